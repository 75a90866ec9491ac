"""The client's methods for history: list, replay, fork."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from waystation.v1 import history_pb2, operation_pb2, replay_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.events import NewEvent
from waystation_worker.result import TaskResult
from waystation_worker.values import Json, read_value
from waystation_worker.workflows import (
    HistoryEntry,
    Workflow,
    enum_name,
    error_text,
    to_history_entry,
    to_workflow,
)

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ReplayDifference:
    """A path in the data (a JSON Pointer) at which a replay differs. None: no value."""

    path: str
    recorded: Json
    replayed: Json


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """A history entry that records a call, compared with the result of the same call now.

    `outcome`: SAME, DIFFERS, FAILED (see `error`), SKIPPED (see `skipped`). `differences` are in
    the data, `instance_differences` in the rest of the instance (`/status`, `/output/total`).
    Differences in events are in the message.
    """

    sequence: int
    task_id: str
    event_type: str
    outcome: str
    differences: tuple[ReplayDifference, ...] = ()
    instance_differences: tuple[ReplayDifference, ...] = ()
    recorded_event_types: tuple[str, ...] = ()
    replayed_event_types: tuple[str, ...] = ()
    error: str = ""
    skipped: str = ""
    message: replay_pb2.ReplayStep = field(
        default_factory=replay_pb2.ReplayStep, repr=False, compare=False
    )
    """The whole message."""

    @property
    def differs(self) -> bool:
        """Whether the result would differ now, or the call failed."""
        return self.outcome in ("DIFFERS", "FAILED")


class Revisiting(Connection):
    """Methods for the history of an instance."""

    async def history(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        event_types: Iterable[str] = (),
        results: Iterable[str] = (),
        actions: Iterable[str] = (),
        newest_first: bool = False,
        with_change: bool = True,
    ) -> AsyncIterator[HistoryEntry]:
        """The entries of the instance's history: `async for entry in client.history(id)`.

        A range of sequence numbers (0: the first, the last), optionally only entries of these
        tasks, event types, results (such as `FAILED`) or actions (such as `input`). Without
        `with_change` the messages of the entries have no `change`. Pages are read as you iterate.
        Raises ValueError for an unknown result.
        """
        request = pb.ListHistoryRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            view=history_pb2.HISTORY_VIEW_FULL if with_change else history_pb2.HISTORY_VIEW_BASIC,
            newest_first=newest_first,
            page_size=_PAGE,
            filter=history_pb2.HistoryFilter(
                from_sequence=from_sequence,
                to_sequence=to_sequence,
                task_ids=task_ids,
                event_types=event_types,
                results=[f"HISTORY_RESULT_{result}" for result in results],
                actions=actions,
            ),
        )
        while True:
            response = await self._call(self._workflows.ListHistory, request)
            for entry in response.entries:
                yield to_history_entry(entry)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def replay(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        failed_attempts: bool = False,
        timeout: float = 120.0,
    ) -> tuple[ReplayStep, ...]:
        """Calls replayable tasks again on recorded events, with `dry_run`, and reports the
        differences. Changes nothing.

        A range of sequence numbers (0: the first, the last), optionally only of these tasks; with
        `failed_attempts` also failed attempts. The server replays the range in portions; `timeout`
        limits each portion, in seconds.
        """
        request = pb.ReplayWorkflowRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            from_sequence=from_sequence,
            to_sequence=to_sequence,
            task_ids=task_ids,
            failed_attempts=failed_attempts,
        )
        steps: list[ReplayStep] = []
        while True:
            response = await self._call(self._workflows.ReplayWorkflow, request, timeout)
            steps += map(_step, response.steps)
            if not response.next_from_sequence:
                return tuple(steps)
            request.from_sequence = response.next_from_sequence

    async def fork(
        self,
        workflow_instance_id: str,
        at_sequence: int,
        *,
        new_id: str | None = None,
        edits: TaskResult | Mapping[str, Any] | None = None,
        event: NewEvent | None = None,
        event_of_sequence: int = 0,
        request_id: str | None = None,
    ) -> Workflow:
        """Starts a new instance from the state of this one after an entry of its history.

        `edits` change its data first: a mapping of paths to values, or the changes of a TaskResult.
        It starts with `event`, by default the event that the entry handled, or with the event of
        another entry: `fork(id, 6, event_of_sequence=7)` repeats entry 7.
        """
        request = pb.ForkWorkflowRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            at_sequence=at_sequence,
            new_workflow_instance_id=new_id or "",
            edits=None if edits is None else _operations(edits),
            request_id=request_id or str(uuid.uuid4()),
        )
        if event is not None and event_of_sequence:
            raise ValueError("event and event_of_sequence exclude each other; give one of them")
        if event is not None:
            request.event.CopyFrom(event._message())
        elif event_of_sequence:
            request.event_of_sequence = event_of_sequence
        response = await self._call(self._workflows.ForkWorkflow, request)
        return to_workflow(response.context, created=response.created)


def _operations(edits: TaskResult | Mapping[str, Any]) -> operation_pb2.OperationList:
    if not isinstance(edits, TaskResult):
        values, edits = edits, TaskResult()
        for where, value in values.items():
            edits.set(where, value)
    return edits._only_changes()


def _step(step: replay_pb2.ReplayStep) -> ReplayStep:
    return ReplayStep(
        sequence=step.sequence,
        task_id=step.task_id,
        event_type=step.event_type,
        outcome=enum_name(replay_pb2.ReplayOutcome, step.outcome, "REPLAY_OUTCOME_"),
        differences=_differences(step.differences),
        instance_differences=_differences(step.instance_differences),
        recorded_event_types=tuple(step.recorded_event_types),
        replayed_event_types=tuple(step.replayed_event_types),
        error=error_text(step.error),
        skipped=step.skip_message,
        message=step,
    )


def _differences(found: Iterable[replay_pb2.ReplayDifference]) -> tuple[ReplayDifference, ...]:
    return tuple(
        ReplayDifference(one.path, read_value(one.recorded), read_value(one.replayed))
        for one in found
    )
