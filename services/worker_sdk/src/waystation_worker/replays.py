"""Replays of a history, compared with what it records; the edits of a fork."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from waystation.v1 import operation_pb2, replay_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.result import TaskResult
from waystation_worker.times import MILLISECOND, Span, seconds_of
from waystation_worker.values import Json, read_value
from waystation_worker.workflows import enum_name, error_text


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


async def replay_all(
    connection: Connection, request: pb.ReplayWorkflowRequest, timeout: Span
) -> tuple[ReplayStep, ...]:
    """Replays the range of the request, portion by portion; `timeout` limits each portion."""
    limit = seconds_of(timeout, "timeout", shortest=MILLISECOND)
    steps: list[ReplayStep] = []
    while True:
        response = await connection.call(connection.workflows.ReplayWorkflow, request, limit)
        steps += map(_step, response.steps)
        if not response.next_from_sequence:
            return tuple(steps)
        request.from_sequence = response.next_from_sequence


def fork_edits(edits: TaskResult | Mapping[str, Any]) -> operation_pb2.OperationList:
    if not isinstance(edits, TaskResult):
        if not isinstance(edits, Mapping):
            raise TypeError(
                f"edits must be a mapping of paths to values or a TaskResult, not {type(edits).__name__}"
            )
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
