"""Forks: a new instance from the data of another one, edited, and one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from waystation_domain import actions, storable
from waystation_domain.details import Action, ForkedFrom
from waystation_domain.lifecycle import NOTICES
from waystation_domain.model import Event, Instance, NewEvent
from waystation_domain.operations import Operation, apply
from waystation_domain.providers import Providers


def fork(
    source: Instance,
    *,
    providers: Providers,
    workflow_instance_id: str,
    edits: Sequence[Operation],
    event: NewEvent,
    digest: bytes,
    request_id: str | None,
    principal: str | None = None,
) -> actions.Start:
    """A new instance with the data of `source`, edited; `source` may be an earlier state. It has the source's
    type and correlation id, and otherwise what any new instance has: what was open in the source (waits,
    deliveries) belongs to the source's events, and continues there.

    Raises the errors of invalid edits: InvalidPath, PathTypeMismatch, ResponseInvalid, InvalidStruct,
    ContextTooLarge. The caller checks the limits of the event.
    """
    data = apply(source.data, edits)
    storable.check_context(data, providers.size_of)
    begun = actions.start(
        providers=providers,
        workflow_instance_id=workflow_instance_id,
        workflow_type=source.workflow_type,
        data=data,
        payload=event.payload,
        correlation_id=source.correlation_id,
        priority=event.priority,
        metadata=dict(event.metadata) if event.metadata else None,
        digest=digest,
        request_id=request_id,
        namespace=source.namespace,
        principal=principal,
    )
    return replace(
        begun,
        event=replace(
            begun.event, event_type=event.event_type, schema_version=event.schema_version
        ),
        entry=replace(
            begun.entry,
            event_type=event.event_type,
            action=Action.FORK,
            detail=ForkedFrom(source.workflow_instance_id, source.version),
        ),
    )


def may_be_raised_again(event_type: str) -> bool:
    """Whether a fork may start with an event of this type of its source: any but the events of statuses,
    which would be wrong about the fork."""
    return event_type not in NOTICES


def again(event: Event) -> NewEvent:
    """The same event, to be raised in a fork."""
    return NewEvent(
        event_type=event.event_type,
        payload=event.payload,
        priority=event.priority,
        metadata=event.metadata,
        schema_version=event.schema_version,
    )
