"""Events as messages of the contract."""

from __future__ import annotations

from waystation.v1 import event_pb2
from waystation_conversion.structs import to_struct
from waystation_conversion.times import set_timestamp
from waystation_domain.model import Event, JsonObject


def event_to_proto(
    event: Event,
    workflow_instance_id: str,
    *,
    payload: JsonObject | None = None,
    into: event_pb2.WorkflowEvent | None = None,
) -> event_pb2.WorkflowEvent:
    """Fills `into`, or a new message. `payload` is that of an edited retry."""
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
