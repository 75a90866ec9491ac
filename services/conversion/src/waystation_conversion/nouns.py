"""What goes out: events, contexts, entries of history and dead letters as the contract has them.

Each function fills the message given as `into`, so that nothing is built twice and copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from waystation.v1 import (
    dead_letter_pb2,
    event_pb2,
    history_pb2,
    operation_pb2,
    task_handler_service_pb2,
    wait_pb2,
    workflow_pb2,
)
from waystation_conversion.structs import to_struct, to_value
from waystation_conversion.times import set_duration, set_timestamp
from waystation_domain import limits
from waystation_domain.details import WaitEnded, WaitsOpened
from waystation_domain.model import Event, Instance, Json, JsonObject, Wait
from waystation_domain.notes import note_of
from waystation_domain.stored import DeadLetterFact, StoredEntry

_AROUND_ENTRY_BYTES = 6
"""What an entry's field and its length take."""
_AROUND_HISTORY_BYTES = 64
"""What is said of the history beside its entries, and what a stream puts round a request."""


def event_to_proto(
    event: Event,
    workflow_instance_id: str,
    *,
    payload: JsonObject | None = None,
    into: event_pb2.WorkflowEvent | None = None,
) -> event_pb2.WorkflowEvent:
    """An event; `payload` instead of its own where an edited retry replaced it."""
    message = event_pb2.WorkflowEvent() if into is None else into
    message.event_id = event.event_id
    message.event_type = event.event_type
    message.workflow_instance_id = workflow_instance_id
    to_struct(event.payload if payload is None else payload, message.payload)
    message.raised_by = event.raised_by
    if event.created_at is not None:
        set_timestamp(message.created_at, event.created_at)
    if event.correlation_id is not None:
        message.correlation_id = event.correlation_id
    message.priority = event.effective_priority
    if event.causation_id:
        message.causation_id = event.causation_id
    if event.schema_version:
        message.schema_version = event.schema_version
    if event.metadata:
        message.metadata.update(event.metadata)
    if event.deliver_at is not None:
        set_timestamp(message.deliver_at, event.deliver_at)
    if event.expires_at is not None:
        set_timestamp(message.expires_at, event.expires_at)
    if event.branch is not None:
        message.group_id, message.branch = event.branch
    return message


def context_to_proto(
    instance: Instance,
    *,
    with_data: bool = True,
    into: workflow_pb2.WorkflowContext | None = None,
) -> workflow_pb2.WorkflowContext:
    """An instance; without `with_data`, as lists have it: data, output, the forms of waits and the
    details of a failure are left out."""
    message = workflow_pb2.WorkflowContext() if into is None else into
    message.workflow_instance_id = instance.workflow_instance_id
    message.workflow_type = instance.workflow_type
    message.status = int(instance.status)  # type: ignore[assignment]
    message.version = instance.version
    message.namespace = instance.namespace
    if with_data:
        to_struct(instance.data, message.data)
        if instance.output is not None:
            to_struct(instance.output, message.output)
    set_timestamp(message.created_at, instance.created_at)
    set_timestamp(message.updated_at, instance.updated_at)
    if instance.completed_at is not None:
        set_timestamp(message.completed_at, instance.completed_at)
    if instance.deadline is not None:
        set_timestamp(message.deadline, instance.deadline)
    if instance.correlation_id is not None:
        message.correlation_id = instance.correlation_id
    for wait in instance.waits:
        _wait_to_proto(wait, message.waits.add(), with_form=with_data)
    failure = instance.failure
    if failure is not None:
        target = message.failure
        target.reason = failure.reason
        target.message = failure.message
        target.task_id = failure.task_id
        target.event_id = failure.event_id
        if with_data and failure.details is not None:
            to_struct(failure.details, target.details)
    if instance.idle is not None:
        set_timestamp(message.idle.since, instance.idle_since)
        message.idle.event_id = instance.idle.event_id
        message.idle.event_type = instance.idle.event_type
        message.idle.raised_by = instance.idle.raised_by
        message.idle.message = instance.idle.message
    return message


def _wait_to_proto(wait: Wait, message: wait_pb2.WorkflowWait, *, with_form: bool) -> None:
    message.wait_id = wait.wait_id
    message.task_id = wait.task_id
    message.message = wait.message
    set_timestamp(message.since, datetime.fromisoformat(wait.since))
    if with_form and wait.input_schema is not None:
        to_struct(wait.input_schema, message.input_schema)
    message.answer_path = wait.answer_path or ""
    if wait.deadline is not None:
        set_timestamp(message.deadline, datetime.fromisoformat(wait.deadline))


def entry_to_proto(
    stored: StoredEntry, into: history_pb2.HistoryEntry | None = None
) -> history_pb2.HistoryEntry:
    """One entry of history."""
    message = history_pb2.HistoryEntry() if into is None else into
    entry = stored.entry
    message.sequence = entry.sequence
    message.version = entry.sequence
    message.event_id = entry.event_id or ""
    message.event_type = entry.event_type
    set_timestamp(message.processed_at, stored.processed_at)
    message.processed_by = entry.processed_by
    message.result = int(entry.result)  # type: ignore[assignment]
    message.attempt = entry.attempt
    message.will_retry = entry.will_retry
    if entry.will_retry:
        set_timestamp(message.next_attempt_at, stored.next_attempt_at)
    if entry.duration_us is not None:
        set_duration(message.duration, entry.duration_us / 1_000_000)
    if entry.error is not None:
        error_to_proto(entry.error, message.error)
    message.base_version = entry.base_version
    for operation in entry.change or ():
        _operation_to_proto(operation, message.change.add())
    message.raised_event_ids.extend(entry.raised)
    message.service_name = entry.service_name or ""
    message.service_version = entry.service_version or ""
    message.endpoint = entry.endpoint or ""
    message.status = int(entry.status)  # type: ignore[assignment]
    message.action = entry.action or ""
    message.note = note_of(entry)
    detail = entry.detail
    if isinstance(detail, WaitEnded):
        message.wait_id = detail.wait_id
        message.answered_by = detail.answered_by
    elif isinstance(detail, WaitsOpened):
        message.opened_wait_ids.extend(detail.wait_ids)
    return message


def add_history(
    request: task_handler_service_pb2.HandleEventRequest, newest_first: Sequence[StoredEntry]
) -> None:
    """Adds to a request, which has everything else, the newest entries up to its context's version, as far as
    there is room for them."""
    room = min(
        limits.MAX_HISTORY_BYTES,
        limits.MAX_MESSAGE_BYTES - request.ByteSize() - _AROUND_HISTORY_BYTES,
    )
    entries = []
    for stored in newest_first:
        entry = entry_to_proto(stored)
        room -= entry.ByteSize() + _AROUND_ENTRY_BYTES
        if room < 0:
            break
        entries.append(entry)
    request.history.extend(reversed(entries))
    request.history_left_out = request.context.version - len(entries)


def _operation_to_proto(stored: list[Json], message: operation_pb2.Operation) -> None:
    """From the form that history keeps, such as `["set", "/a", 1]`."""
    kind, message.path = stored[0], stored[1]
    if kind == "remove":
        message.remove.SetInParent()
    elif kind == "increment":
        message.increment = stored[2]
    elif kind == "maximum":
        message.maximum = stored[2]
    else:
        to_value(stored[2], getattr(message, kind))


def error_to_proto(
    error: Mapping[str, Json], into: history_pb2.AttemptError | None = None
) -> history_pb2.AttemptError:
    """Why an attempt failed, from the form in which it is stored."""
    message = history_pb2.AttemptError() if into is None else into
    message.code = error.get("code") or ""
    message.reason = error.get("reason") or ""
    message.message = error.get("message") or ""
    message.permanent = bool(error.get("permanent"))
    metadata = error.get("metadata")
    if metadata:
        to_struct(metadata, message.metadata)
    return message


def dead_letter_to_proto(letter: DeadLetterFact) -> dead_letter_pb2.DeadLetter:
    """A dead letter with its event."""
    message = dead_letter_pb2.DeadLetter()
    message.dead_letter_id = letter.dead_letter_id
    event_to_proto(letter.event, letter.workflow_instance_id, into=message.event)
    message.task_id = letter.task_id
    message.workflow_instance_id = letter.workflow_instance_id
    message.workflow_type = letter.workflow_type
    message.attempts = letter.attempts
    error_to_proto(letter.error, message.error)
    message.on_failure = int(letter.on_failure)  # type: ignore[assignment]
    message.state = int(letter.state)  # type: ignore[assignment]
    set_timestamp(message.created_at, letter.created_at)
    if letter.resolved_at is not None:
        set_timestamp(message.resolved_at, letter.resolved_at)
    return message
