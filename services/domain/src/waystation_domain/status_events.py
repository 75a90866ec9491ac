"""Events of a status: their payload, and how they settle if no task handles them."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_domain import lifecycle
from waystation_domain.draft import Draft
from waystation_domain.history import record_ended
from waystation_domain.model import SYSTEM, Event, JsonObject, NewEvent, Result, Status


def raise_status_event(draft: Draft, *, raised_by: str, cause: Event | None) -> Event:
    """Raises the event of the status just entered."""
    instance = draft.instance
    payload: JsonObject
    if instance.failure is not None:
        payload = instance.failure.to_json()
        if instance.status is Status.FAILED:
            # None: it cannot continue.
            payload["open_dead_letters"] = instance.dead_letters
    elif instance.status is Status.WAITING_FOR_INPUT:
        payload = {"waits": [wait.to_event_json() for wait in instance.waits]}
    else:
        payload = instance.output or {}
    return draft.raise_event(
        NewEvent(lifecycle.EVENT_OF_STATUS[instance.status], payload),
        raised_by=raised_by,
        cause=cause,
        after_end=not instance.status.is_open,
        limited=False,
    )


def settle_unhandled_now(draft: Draft, raised: Sequence[Event]) -> None:
    """Settles events of a status that no task handles in the commit that raised them, which saves a message
    for every workflow that ends. Call after the entry is recorded."""
    if draft.rules.resolve is None:
        return
    for event in raised:
        if event.event_type not in lifecycle.NOTICES:
            continue
        if not draft.rules.resolve(event.event_type, draft.instance.workflow_type):
            draft.fix_tasks(event)
            record_ended(draft, event, SYSTEM, Result.UNHANDLED)
