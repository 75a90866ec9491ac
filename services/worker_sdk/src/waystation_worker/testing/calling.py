"""Calls of tasks as a router makes them, without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from waystation.v1 import history_pb2, status_pb2, task_handler_service_pb2
from waystation_worker.invocation import CallRefused
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.answers import Answer, Failed, Raised, read_answer
from waystation_worker.values import Json, Model, read_struct, write_struct

START_OF_TIME = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
"""What the clock shows where a test says nothing: the same in every run."""


class Branch(NamedTuple):
    """A place in a fan-out group: which of its events it began with, from 0."""

    group_id: str
    number: int


DEFAULT_PRIORITY = 100
_HISTORY_BYTES = 1024 * 1024
"""Of what comes of it with an event."""


@dataclass(frozen=True)
class SentEvent:
    """An event as tasks get it."""

    event_id: str
    event_type: str
    payload: dict[str, Json]
    raised_by: str = "client"
    causation_id: str = ""
    priority: int | None = None
    correlation_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    schema_version: str = ""
    created_at: datetime = START_OF_TIME
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    branch: Branch | None = None
    """The innermost one that waits for it."""
    after_end: bool = False
    """Raised by the end of the instance, or while handling what was."""


@dataclass(frozen=True)
class Snapshot:
    """The instance as a call sees it. `history` is all of it, oldest first: a task gets what it asks for."""

    workflow_instance_id: str
    workflow_type: str
    status: str
    version: int
    data: dict[str, Json]
    history: tuple[history_pb2.HistoryEntry, ...] = ()


def token_of(key: str, attempt: int) -> str:
    """The completion token of an attempt: readable, as nobody needs to be kept out here."""
    return f"token:{key}/{attempt}"


def number(count: int) -> str:
    """An event id that looks like one and is the same in every run."""
    return f"00000000-0000-7000-8000-{count:012d}"


async def call(
    service: HandlerService,
    task: HostedTask,
    event: SentEvent,
    context: Snapshot,
    *,
    attempt: int = 1,
    key: str,
    dry_run: bool = False,
) -> Answer:
    """What the task answers. A call that took too long is a failed one."""
    request = task_handler_service_pb2.HandleEventRequest(
        task_id=task.task_id,
        attempt=attempt,
        idempotency_key=key,
        dry_run=dry_run,
        completion_token="" if dry_run else token_of(key, attempt),
    )
    # By the real clock, like the timeout itself.
    request.deadline.FromDatetime(datetime.now(UTC) + timedelta(seconds=task.timeout))
    _write_event(event, request, context)
    _write_context(request, context, event.correlation_id)
    if wanted := task.spec.history_entries:
        request.history.extend(_newest(context.history[-wanted:]))
        request.history_left_out = len(context.history) - len(request.history)
    try:
        response = await service.answer(request)
    except CallRefused as refused:
        return Answer(
            context.data,
            failure=Failed(
                refused.reason or refused.code.name, refused.message, code=refused.code.name
            ),
        )
    return read_answer(response, context.data)


async def run_task(
    service: HandlerService,
    task_id: str,
    *,
    event: str | Raised | None = None,
    payload: Mapping[str, Any] | Model | None = None,
    data: Mapping[str, Any] | Model | None = None,
    workflow_type: str | None = None,
    workflow_instance_id: str = "workflow-1",
    status: str = "ACTIVE",
    version: int = 1,
    attempt: int = 1,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    history: Iterable[history_pb2.HistoryEntry] = (),
    now: datetime = START_OF_TIME,
    dry_run: bool = False,
) -> Answer:
    """Calls one task once with one event, and gives what it answered.

    `event` is a type or a `Raised`; default the first type that the task was declared with.
    `payload` is the event's, `data` the workflow's, `now` when the event was raised. A failure is
    a result too (`result.failure`); the traceback is in the log, which pytest shows.

    Raises ValueError for a task that the service does not host, and for an event or a workflow type
    that this task would never get.
    """
    __tracebackhide__ = True  # pytest shows the test instead
    if task_id not in service.tasks:
        names = ", ".join(service.tasks) or "none"
        raise ValueError(f"{service.name} has no task {task_id}; it hosts {names}")
    task = service.tasks[task_id]
    sent = event if isinstance(event, Raised) else Raised(event or _first(task.spec.event_types))
    if not sent.event_type:
        raise ValueError(f"say which event: {task_id} takes {', '.join(task.spec.event_types)}")
    if not takes(task.spec.event_types, sent.event_type):
        raise ValueError(
            f"{task_id} never gets {sent.event_type}: it takes {task.spec.event_types}"
        )
    types = task.spec.workflow_types
    workflow_type = workflow_type or next((name for name in types if name != "*"), "workflow")
    if "*" not in types and workflow_type not in types:
        raise ValueError(f"{task_id} gets nothing of {workflow_type} workflows, only of {types}")
    event_id = number(1)
    return await call(
        service,
        task,
        SentEvent(
            event_id=event_id,
            event_type=sent.event_type,
            payload=as_json(sent.payload if payload is None else payload, "payload"),
            priority=sent.priority,
            correlation_id=correlation_id,
            metadata=sent.metadata,
            schema_version=sent.schema_version,
            created_at=now,
            deliver_at=sent.deliver_at,
            expires_at=sent.expires_at,
        ),
        Snapshot(
            workflow_instance_id,
            workflow_type,
            status,
            version,
            as_json(data or {}, "data"),
            tuple(history),
        ),
        attempt=attempt,
        key=idempotency_key or f"{event_id}:{task_id}",
        dry_run=dry_run,
    )


def as_json(value: Mapping[str, Any] | Model, place: str) -> dict[str, Json]:
    """A copy as it comes out of the database: whole numbers are int, tuples are lists."""
    request = task_handler_service_pb2.HandleEventRequest()
    write_struct(value, request.event.payload, place)
    return read_struct(request.event.payload)


def takes(patterns: Iterable[str], event_type: str) -> bool:
    """Whether one of the types or patterns (`claim.*`, `claim.#`) means this event type."""
    words = event_type.split(".")
    return any(_means(pattern.split("."), words) for pattern in patterns)


def _means(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_means(pattern[1:], words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _means(pattern[1:], words[1:])


def _first(types: Iterable[str]) -> str:
    return next((name for name in types if "*" not in name and "#" not in name), "")


def _write_event(
    event: SentEvent, request: task_handler_service_pb2.HandleEventRequest, context: Snapshot
) -> None:
    into = request.event
    into.event_id = event.event_id
    into.event_type = event.event_type
    into.workflow_instance_id = context.workflow_instance_id
    into.raised_by = event.raised_by
    into.causation_id = event.causation_id
    into.schema_version = event.schema_version
    into.created_at.FromDatetime(event.created_at)
    into.metadata.update(event.metadata)
    into.priority = DEFAULT_PRIORITY if event.priority is None else event.priority
    if event.correlation_id is not None:
        into.correlation_id = event.correlation_id
    if event.deliver_at is not None:
        into.deliver_at.FromDatetime(event.deliver_at)
    if event.expires_at is not None:
        into.expires_at.FromDatetime(event.expires_at)
    if event.branch is not None:
        into.group_id, into.branch = event.branch
    write_struct(event.payload, into.payload, "payload")


def _newest(history: Sequence[history_pb2.HistoryEntry]) -> list[history_pb2.HistoryEntry]:
    """As many as there is room for, the oldest left out first."""
    room = _HISTORY_BYTES
    found: list[history_pb2.HistoryEntry] = []
    for entry in reversed(history):
        room -= entry.ByteSize()
        if room < 0:
            break
        found.append(entry)
    return found[::-1]


def _write_context(
    request: task_handler_service_pb2.HandleEventRequest,
    context: Snapshot,
    correlation_id: str | None,
) -> None:
    into = request.context
    into.workflow_instance_id = context.workflow_instance_id
    into.workflow_type = context.workflow_type
    into.status = getattr(status_pb2, f"WORKFLOW_STATUS_{context.status}")
    into.version = context.version
    if correlation_id is not None:
        into.correlation_id = correlation_id
    write_struct(context.data, into.data, "data")
