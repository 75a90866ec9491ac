"""Payloads and new events, which clients and tasks send in the same form."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.struct_pb2 import Struct

from waystation.v1 import event_pb2
from waystation_conversion.sizes import json_size
from waystation_conversion.structs import to_dict
from waystation_conversion.times import seconds_from_proto, timestamp_from_proto
from waystation_conversion.unexpected import refuses_unexpected
from waystation_domain import limits
from waystation_domain.errors import (
    InvalidField,
    PayloadTooLarge,
    ResourceExhausted,
)
from waystation_domain.model import JsonObject, NewEvent

# A Struct takes at least a sixth of its JSON's bytes, so the size of a small one need not be computed.
_SURELY_SMALL = limits.MAX_BYTES // 8


@refuses_unexpected("payload")
def payload_from_proto(
    struct: Struct,
    field: str,
    *,
    error: type[ResourceExhausted] = PayloadTooLarge,
) -> JsonObject:
    """The dict; InvalidStruct, or PayloadTooLarge above 1 MiB as JSON."""
    data = to_dict(struct, field)
    if struct.ByteSize() > _SURELY_SMALL:
        limits.check_size(json_size(data), field, error=error)
    return data


@refuses_unexpected("event")
def new_event_from_proto(message: event_pb2.NewEvent, field: str = "event") -> NewEvent:
    """An event to raise, within the limits; whether its type may be raised is not checked here."""
    limits.check_event_type(message.event_type, f"{field}.event_type")
    priority = None
    if message.HasField("priority"):
        priority = limits.check_priority(message.priority, f"{field}.priority")
    limits.check_short_text(message.schema_version, f"{field}.schema_version")
    delay, deliver_at, expires_at = _times(message, field)
    return NewEvent(
        event_type=message.event_type,
        payload=payload_from_proto(message.payload, f"{field}.payload")
        if message.HasField("payload")
        else {},
        priority=priority,
        metadata=limits.check_metadata(message.metadata, f"{field}.metadata")
        if message.metadata
        else None,
        schema_version=message.schema_version,
        delay=delay,
        deliver_at=deliver_at,
        expires_at=expires_at,
    )


def _times(
    message: event_pb2.NewEvent, field: str
) -> tuple[float | None, datetime | None, datetime | None]:
    delay, deliver_at, expires_at = None, None, None
    if message.HasField("delay"):
        delay = seconds_from_proto(message.delay, f"{field}.delay", most=limits.MAX_DELAY_SECONDS)
    if message.HasField("deliver_at"):
        deliver_at = timestamp_from_proto(message.deliver_at, f"{field}.deliver_at")
    if message.HasField("expires_at"):
        expires_at = timestamp_from_proto(message.expires_at, f"{field}.expires_at")
        if deliver_at is not None and expires_at <= deliver_at:
            raise InvalidField(
                f"{field}.expires_at must be after deliver_at; otherwise the event would never be delivered.",
                field=f"{field}.expires_at",
            )
    return delay, deliver_at, expires_at
