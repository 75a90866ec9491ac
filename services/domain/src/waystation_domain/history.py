"""Entries of history: what all kinds of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waystation_domain.commit import HistoryEntry, effects, writes_of
from waystation_domain.conflicts import Write
from waystation_domain.details import Action, Detail
from waystation_domain.draft import Draft
from waystation_domain.model import CLIENT, Event, Instance, Result
from waystation_domain.operations import Operation, to_json
from waystation_domain.outcomes import CallResult


def record_attempt(
    draft: Draft,
    event: Event,
    result: CallResult,
    how: Result,
    *,
    before: Instance | None = None,
    operations: Sequence[Operation] | None = None,
    raised: Sequence[Event] = (),
    **more: object,
) -> None:
    """Adds the entry of one attempt of one delivery. `before` and `operations` as of
    `record_action`."""
    moved, writes = _moves(draft, before, operations, raised)
    entry = HistoryEntry(
        sequence=draft.next_version,
        event_id=event.event_id,
        event_type=event.event_type,
        processed_by=result.task.task_id,
        result=how,
        status=draft.instance.status,
        attempt=max(result.attempt, 1),
        base_version=result.base_version,
        duration_us=result.duration_us,
        service_name=result.task.service_name,
        service_version=result.service_version or None,
        endpoint=result.endpoint or None,
        **moved,
        **more,  # type: ignore[arg-type]
    )
    draft.record(entry, writes)


def record_action(
    draft: Draft,
    action: Action,
    about: Event,
    *,
    by: str,
    before: Instance | None = None,
    operations: Sequence[Operation] | None = None,
    raised: Sequence[Event] = (),
    detail: Detail | None = None,
) -> None:
    """Adds the entry of an action of a client or the system: `operations` are its changes of data (None:
    none), `before` is the instance before its other changes (None: none)."""
    moved, writes = _moves(draft, before, operations, raised)
    principal = draft.principal if by == CLIENT else None
    _record(
        draft,
        about,
        by,
        Result.SUCCESS,
        writes,
        action=action,
        detail=detail,
        principal=principal,
        **moved,
    )


def record_ended(draft: Draft, event: Event, by: str, how: Result, **more: object) -> None:
    """Adds the entry of an event or a delivery that ended without a call."""
    _record(draft, event, by, how, (), **more)


def _moves(
    draft: Draft,
    before: Instance | None,
    operations: Sequence[Operation] | None,
    raised: Sequence[Event],
) -> tuple[dict[str, Any], tuple[Write, ...]]:
    """The change and the raised events of an entry, and what it wrote."""
    changed = effects(before, draft.instance) if before is not None else None
    moved = {
        "change": [to_json(each) for each in operations] if operations is not None else None,
        "raised": tuple(event.event_id for event in raised),
        "effects": changed,
    }
    return moved, writes_of(operations or (), changed)


def _record(
    draft: Draft,
    about: Event,
    by: str,
    how: Result,
    writes: Sequence[Write] = (),
    **more: object,
) -> None:
    draft.record(
        HistoryEntry(
            sequence=draft.next_version,
            event_id=about.event_id,
            event_type=about.event_type,
            processed_by=by,
            result=how,
            status=draft.instance.status,
            base_version=draft.instance.version,
            **more,  # type: ignore[arg-type]
        ),
        writes,
    )
