"""The client's part for what has happened: lists it, replays it, and goes on from it elsewhere."""

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
    """A place in the data, a JSON Pointer, that differs. None where nothing is there."""

    path: str
    recorded: Json
    replayed: Json


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """An entry of history that records a call, and what the same call would give today.

    `outcome`: SAME, DIFFERS, FAILED (`error` says how), SKIPPED (`skipped` says why). `differences`
    are in the data, `instance_differences` in the rest of the instance (`/status`, `/output/total`).
    What differs inside of events is in the message.
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
        """Whether the call would give anything else today, a failure included."""
        return self.outcome in ("DIFFERS", "FAILED")


class Revisiting(Connection):
    """Calls about entries of an instance's history."""

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

        From entry to entry (0: the first, the last), and only those processed by one of these tasks, about
        an event of one of these types, with one of these results (such as `FAILED`) or actions (such as
        `input`), where some are named. Without `with_change` the entries' messages have no `change`.
        It is read page by page, as you go on. Raises ValueError for a result that there is not.
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
        """Calls replayable tasks again on recorded events, with `dry_run`, and says what would
        differ today. Changes nothing.

        From entry to entry (0: the first, the last), only of these tasks where some are named; with
        `failed_attempts` also what failed then. A server replays a portion of the range at a time; each
        may take `timeout` seconds, and so may one task at most.
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
        """Starts a new instance from this one as it was after an entry of its history.

        `edits` change its data first: values by place, or the changes of a TaskResult (places as
        there). It begins with `event`, by default the one that the entry handled; or with the one
        that another entry handled: `fork(id, 6, event_of_sequence=7)` does entry 7 again.
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
            raise ValueError("event and event_of_sequence name two events: name one")
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
