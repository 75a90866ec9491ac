"""Entries of history, and the errors in them, as messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from waystation.v1 import history_pb2, operation_pb2, task_handler_service_pb2
from waystation_conversion.structs import to_struct, to_value
from waystation_conversion.times import set_duration, set_timestamp
from waystation_domain import limits
from waystation_domain.details import WaitEnded, WaitsOpened
from waystation_domain.model import Json
from waystation_domain.notes import note_of
from waystation_domain.stored import StoredEntry

_AROUND_ENTRY_BYTES = 6
"""The tag and the length of an entry's field."""
_AROUND_HISTORY_BYTES = 64
"""`history_left_out`, and what a stream adds around a request."""


def entry_to_proto(
    stored: StoredEntry, into: history_pb2.HistoryEntry | None = None
) -> history_pb2.HistoryEntry:
    """Fills `into`, or a new message."""
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
    message.principal = entry.principal or ""
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
    """Adds to a request that has everything else as many of the newest entries as there is room for."""
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
    """From the stored form, such as `["set", "/a", 1]`."""
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
    """Why an attempt failed, from the stored form."""
    message = history_pb2.AttemptError() if into is None else into
    message.code = error.get("code") or ""
    message.reason = error.get("reason") or ""
    message.message = error.get("message") or ""
    message.permanent = bool(error.get("permanent"))
    metadata = error.get("metadata")
    if metadata:
        to_struct(metadata, message.metadata)
    return message
