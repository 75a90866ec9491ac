"""The results of the client: small frozen values instead of messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from waystation.v1 import event_pb2, history_pb2, wait_pb2, workflow_pb2
from waystation_worker.context import status_name
from waystation_worker.times import time_of
from waystation_worker.values import read_struct


@dataclass(frozen=True, slots=True)
class Wait:
    """An open wait for input from a person. The answer is stored at `answer_path`; None: it is
    merged into data at the top level. The wait times out at `deadline`; None: never."""

    wait_id: str
    task_id: str
    message: str
    schema: dict[str, Any] | None
    since: datetime | None
    deadline: datetime | None = None
    answer_path: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an instance is FAILED or CANCELLED."""

    reason: str
    message: str
    task_id: str
    event_id: str
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """One instance as the server returned it.

    `status`: ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED, CANCELLED. `outcome` (of `run` and
    `wait`): DONE, WAITING_FOR_INPUT, IDLE, TIMED_OUT. `created` and `task_ids` come from `start`
    and `run`: False if the instance existed already; the tasks that handle its first event, empty
    if it will be idle. `idle` says why nothing will continue an open instance. At `deadline` an
    open instance fails. `event_id` is the event that `provide_input` raised.
    """

    id: str
    type: str
    status: str
    version: int
    data: dict[str, Any]
    output: dict[str, Any] | None = None
    waits: tuple[Wait, ...] = ()
    failure: Failure | None = None
    correlation_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = None
    idle: str | None = None
    outcome: str = ""
    created: bool | None = None
    task_ids: tuple[str, ...] = ()
    event_id: str | None = None
    message: workflow_pb2.WorkflowContext = field(
        default_factory=workflow_pb2.WorkflowContext, repr=False, compare=False
    )
    """The whole message."""

    @property
    def ended(self) -> bool:
        """Whether the instance is COMPLETED, FAILED or CANCELLED."""
        return self.status in ("COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event that `publish` raised, and the tasks that currently handle it."""

    event_id: str
    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventWithState:
    """An event of an instance. `state`: PENDING, SETTLED, UNHANDLED, SKIPPED. `deliver_at`: its
    delivery time if it was delayed; `expires_at`: its expiry, if any. `group_id` and `branch`: the
    innermost fan-out group that waits for it, and its branch there."""

    event_id: str
    event_type: str
    state: str
    payload: dict[str, Any]
    raised_by: str
    causation_id: str | None
    priority: int
    created_at: datetime | None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    group_id: str | None = None
    branch: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry of history: what a task, a client or the system did to an instance.

    `result`: SUCCESS, FAILED, SKIPPED, UNHANDLED. `status` is the status after the entry. `action`
    is empty if a task was called, otherwise the action of the client or the system: start, input,
    publish, cancel, fork, dead_letter_retried, dead_letter_discarded; fan_in (a group is settled,
    its `then` is raised), input_timed_out, deadline. `opened_wait_ids` are the waits that it
    opened, `wait_id` the one that it ended, `answered_by` who answered it, if given, `note` a text
    for people. `principal` is who made the call behind an entry of a client, as the server knows it. `error` is the error of a FAILED attempt; with `will_retry` another attempt follows.
    `duration` is the duration of the call, in seconds.
    """

    sequence: int
    event_id: str
    event_type: str
    processed_by: str
    result: str
    status: str
    action: str = ""
    attempt: int = 0
    will_retry: bool = False
    error: str = ""
    duration: float | None = None
    raised_event_ids: tuple[str, ...] = ()
    processed_at: datetime | None = None
    wait_id: str = ""
    answered_by: str = ""
    opened_wait_ids: tuple[str, ...] = ()
    note: str = ""
    principal: str = ""
    message: history_pb2.HistoryEntry = field(
        default_factory=history_pb2.HistoryEntry, repr=False, compare=False
    )
    """The whole message, with the change as stored unless it was left out."""

    @property
    def ended(self) -> bool:
        """Whether the instance is COMPLETED, FAILED or CANCELLED after it."""
        return self.status in ("COMPLETED", "FAILED", "CANCELLED")


def to_workflow(
    context: workflow_pb2.WorkflowContext,
    *,
    outcome: int = 0,
    created: bool | None = None,
    task_ids: Iterable[str] = (),
    event_id: str | None = None,
) -> Workflow:
    """The message as a value."""
    return Workflow(
        id=context.workflow_instance_id,
        type=context.workflow_type,
        status=status_name(context.status),
        version=context.version,
        data=read_struct(context.data),
        output=read_struct(context.output) if context.HasField("output") else None,
        waits=tuple(_wait(wait) for wait in context.waits),
        failure=_failure(context.failure) if context.HasField("failure") else None,
        correlation_id=context.correlation_id or None,
        created_at=time_of(context, "created_at"),
        updated_at=time_of(context, "updated_at"),
        completed_at=time_of(context, "completed_at"),
        deadline=time_of(context, "deadline"),
        idle=context.idle.message if context.HasField("idle") else None,
        outcome=enum_name(workflow_pb2.WaitOutcome, outcome, "WAIT_OUTCOME_") if outcome else "",
        created=created,
        task_ids=tuple(task_ids),
        event_id=event_id,
        message=context,
    )


def to_event_entry(entry: event_pb2.EventWithState) -> EventWithState:
    """The message as a value."""
    event: event_pb2.WorkflowEvent = entry.event
    return EventWithState(
        event_id=event.event_id,
        event_type=event.event_type,
        state=enum_name(event_pb2.EventState, entry.state, "EVENT_STATE_"),
        payload=read_struct(event.payload),
        raised_by=event.raised_by,
        causation_id=event.causation_id or None,
        priority=event.priority,
        created_at=time_of(event, "created_at"),
        deliver_at=time_of(event, "deliver_at"),
        expires_at=time_of(event, "expires_at"),
        group_id=event.group_id or None,
        branch=event.branch if event.group_id else None,
    )


def to_history_entry(entry: history_pb2.HistoryEntry) -> HistoryEntry:
    """The message as a value."""
    return HistoryEntry(
        sequence=entry.sequence,
        event_id=entry.event_id,
        event_type=entry.event_type,
        processed_by=entry.processed_by,
        result=enum_name(history_pb2.HistoryResult, entry.result, "HISTORY_RESULT_"),
        status=status_name(entry.status),
        action=entry.action,
        attempt=entry.attempt,
        will_retry=entry.will_retry,
        error=error_text(entry.error),
        duration=entry.duration.ToTimedelta().total_seconds()
        if entry.HasField("duration")
        else None,
        raised_event_ids=tuple(entry.raised_event_ids),
        processed_at=time_of(entry, "processed_at"),
        wait_id=entry.wait_id,
        answered_by=entry.answered_by,
        opened_wait_ids=tuple(entry.opened_wait_ids),
        note=entry.note,
        principal=entry.principal,
        message=entry,
    )


def error_text(error: history_pb2.AttemptError) -> str:
    """Why an attempt failed, on one line; empty if it did not."""
    return ": ".join(part for part in (error.reason or error.code, error.message) if part)


def enum_name(kind: Any, value: int, prefix: str) -> str:
    """The name of the value; `UNKNOWN_7` for an unknown value."""
    try:
        name: str = kind.Name(value)
    except ValueError:
        return f"UNKNOWN_{value}"
    return name.removeprefix(prefix)


def _wait(wait: wait_pb2.WorkflowWait) -> Wait:
    return Wait(
        wait_id=wait.wait_id,
        task_id=wait.task_id,
        message=wait.message,
        schema=read_struct(wait.input_schema) if wait.HasField("input_schema") else None,
        since=time_of(wait, "since"),
        deadline=time_of(wait, "deadline"),
        answer_path=wait.answer_path or None,
    )


def _failure(failure: workflow_pb2.WorkflowFailure) -> Failure:
    return Failure(
        failure.reason,
        failure.message,
        failure.task_id,
        failure.event_id,
        read_struct(failure.details) if failure.HasField("details") else None,
    )
