"""Calls of tasks as a router makes them, without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.struct_pb2 import Struct

from waystation.v1 import history_pb2, task_handler_service_pb2
from waystation_conversion import (
    context_to_proto,
    event_to_proto,
    payload_from_proto,
    reply_from_proto,
)
from waystation_conversion.statuses import error_of_code
from waystation_domain import model, topics
from waystation_domain.completion_tokens import Attempt
from waystation_domain.model import CLIENT, Event, Instance, Status
from waystation_domain.outcomes import AttemptError, Pending, Reply
from waystation_worker.invocation import CallRefused
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.answers import Answer, Raised, answer_of
from waystation_worker.testing.refusals import refusing
from waystation_worker.values import Json, Model, write_struct

START_OF_TIME = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
"""The default time of the clock: the same in every run."""


def token_of(event_id: str, task_id: str, edit: int, attempt: int) -> str:
    """The completion token of an attempt: readable, as there is nothing to protect."""
    return f"token:{model.idempotency_key(event_id, task_id, edit)}/{attempt}"


def attempt_of(token: str) -> Attempt | None:
    """What a token names; None if it is invalid."""
    parts = re.fullmatch(r"token:([^:]+):([^:/]+)(?::edit-(\d+))?/(\d+)", token)
    if parts is None:
        return None
    event_id, task_id, edit, attempt = parts.groups()
    return Attempt(event_id, task_id, int(edit or 0), int(attempt))


def number(count: int) -> str:
    """An id in the usual format that is the same in every run."""
    return f"00000000-0000-7000-8000-{count:012d}"


async def call(
    service: HandlerService,
    task: HostedTask,
    event: Event,
    instance: Instance,
    *,
    attempt: int = 1,
    edit: int = 0,
    key: str | None = None,
    payload: dict[str, Json] | None = None,
    add_history: Callable[[task_handler_service_pb2.HandleEventRequest], None] | None = None,
    dry_run: bool = False,
) -> Reply | AttemptError | Pending:
    """The task's answer, checked as a router does; `payload` replaces the event's. A call that took too long
    is a failed one."""
    request = task_handler_service_pb2.HandleEventRequest(
        task_id=task.task_id,
        attempt=attempt,
        idempotency_key=key or model.idempotency_key(event.event_id, task.task_id, edit),
        dry_run=dry_run,
        completion_token="" if dry_run else token_of(event.event_id, task.task_id, edit, attempt),
    )
    # By the real clock, like the timeout itself.
    request.deadline.FromDatetime(datetime.now(UTC) + timedelta(seconds=task.timeout))
    event_to_proto(event, instance.workflow_instance_id, payload=payload, into=request.event)
    context_to_proto(instance, into=request.context)
    if add_history is not None and task.spec.history_entries:
        add_history(request)
    try:
        response = await service.answer(request)
    except CallRefused as refused:
        return error_of_code(refused.code, refused.message, reason=refused.reason)
    return reply_from_proto(response)


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
    """Calls one task once with one event and returns its answer.

    `event` is an event type or a `Raised`; default the task's first event type. `payload` is the
    payload of the event, `data` the data of the workflow, `now` the time at which the event was
    raised. A failure is a result too (`result.failure`); the traceback is in the log, which pytest
    shows.

    Raises ValueError for a task that the service does not host, and for an event or a workflow type
    that the task does not handle.
    """
    __tracebackhide__ = True  # pytest shows the test instead
    if task_id not in service.tasks:
        names = ", ".join(service.tasks) or "none"
        raise ValueError(f"{service.name} has no task {task_id}; it hosts {names}")
    task = service.tasks[task_id]
    sent = event if isinstance(event, Raised) else Raised(event or _first(task.spec.event_types))
    if not sent.event_type:
        raise ValueError(f"give an event: {task_id} handles {', '.join(task.spec.event_types)}")
    if not any(topics.matches(one, sent.event_type) for one in task.spec.event_types):
        raise ValueError(
            f"{task_id} does not handle {sent.event_type}; it handles {', '.join(task.spec.event_types)}"
        )
    types = task.spec.workflow_types
    workflow_type = workflow_type or next((name for name in types if name != "*"), "workflow")
    if "*" not in types and workflow_type not in types:
        raise ValueError(
            f"{task_id} does not handle {workflow_type} workflows, only {', '.join(types)}"
        )
    instance = Instance(
        key=1,
        workflow_instance_id=workflow_instance_id,
        workflow_type=workflow_type,
        status=Status[status],
        version=version,
        revision=1,
        data=as_json(data or {}, "data"),
        unsettled=1,
        dead_letters=0,
        event_count=1,
        correlation_id=correlation_id,
    )

    def add_history(request: task_handler_service_pb2.HandleEventRequest) -> None:
        entries = list(history)
        request.history.extend(entries[-task.spec.history_entries :])
        request.history_left_out = len(entries) - len(request.history)

    outcome = await call(
        service,
        task,
        Event(
            event_id=number(1),
            event_type=sent.event_type,
            payload=as_json(sent.payload if payload is None else payload, "payload"),
            raised_by=CLIENT,
            version=1,
            priority=sent.priority,
            correlation_id=correlation_id,
            schema_version=sent.schema_version,
            metadata=sent.metadata,
            created_at=now,
            deliver_at=sent.deliver_at,
            expires_at=sent.expires_at,
        ),
        instance,
        attempt=attempt,
        key=idempotency_key,
        add_history=add_history,
        dry_run=dry_run,
    )
    return answer_of(outcome, instance.data)


def as_json(value: Mapping[str, Any] | Model, place: str) -> dict[str, Json]:
    """A copy as it comes out of the database: whole numbers are int, tuples are lists. Raises the errors of
    the client and the server for invalid values."""
    struct = Struct()
    write_struct(value, struct, place)
    with refusing():
        return payload_from_proto(struct, place)


def _first(types: Iterable[str]) -> str:
    return next((name for name in types if "*" not in name and "#" not in name), "")
