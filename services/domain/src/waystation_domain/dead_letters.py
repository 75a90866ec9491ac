"""Retrying and discarding dead letters, applied to a draft. Each is refused before the first change, or not
at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from waystation_domain import groups, lifecycle
from waystation_domain.actions import require_open
from waystation_domain.details import Action, DeadLetterRetried, SkipCause
from waystation_domain.draft import Draft
from waystation_domain.endings import end_event, skip_delivery
from waystation_domain.errors import (
    WorkflowEnded,
)
from waystation_domain.history import record_action, record_ended
from waystation_domain.idle import Ending
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import (
    CLIENT,
    DeadLetterState,
    Delivery,
    DeliveryState,
    Event,
    JsonObject,
    NewEvent,
    OnFailure,
    Result,
    Status,
    TimerKind,
)
from waystation_domain.operations import json_equal
from waystation_domain.status_events import raise_status_event, settle_unhandled_now


@dataclass(frozen=True, slots=True)
class OpenDeadLetter:
    """A dead letter to retry or discard, with its event."""

    dead_letter_id: str
    event: Event
    task_id: str
    attempts: int
    on_failure: OnFailure
    edit: int
    payload: JsonObject | None
    error: JsonObject
    """Its `reason` and `message`."""
    state: DeadLetterState = DeadLetterState.OPEN


def can_be_retried(status: Status, *, after_end: bool) -> bool:
    """Whether an open dead letter of an instance in this status may be retried: an instance that cannot
    continue retries only events that its end raised."""
    return after_end or status.is_open or status is Status.FAILED


def retry_dead_letter(
    draft: Draft,
    dead_letter: OpenDeadLetter,
    payload: JsonObject | None,
    held: Sequence[tuple[Delivery, Event]],
) -> None:
    """Retries a delivery from its first attempt. A FAILED instance becomes ACTIVE, its open waits are asked
    again, and its HELD deliveries (`held`) continue.

    The draft must have the facts of the dead letter's event and of the held ones.
    """
    before = draft.snapshot()
    event = dead_letter.event
    if not can_be_retried(before.status, after_end=event.after_end):
        require_open(before)
    tried = event.payload if dead_letter.payload is None else dead_letter.payload
    edited = payload is not None and not json_equal(payload, tried)
    # A dead letter under FAIL_WORKFLOW kept its row. Without a row the delivery had its final outcome, and
    # its group has counted it.
    row = draft.facts(event.event_id).deliveries.get(dead_letter.task_id)
    outside = row.outside_group if row is not None else event.branch is not None
    draft.put_delivery(
        Delivery(
            event_id=event.event_id,
            task_id=dead_letter.task_id,
            state=DeliveryState.READY,
            edit=dead_letter.edit + 1 if edited else dead_letter.edit,
            payload=payload if edited else dead_letter.payload,
            outside_group=outside,
        )
    )
    if event.expires_at is not None:
        # The event was delivered in time, so the retry is not bound by its expiry.
        draft.drop_timer(TimerKind.EXPIRY, event.event_id)
    draft.take_dead_letter(dead_letter.dead_letter_id, retried=True)
    raised: list[Event] = []
    if before.status is Status.FAILED and not event.after_end:
        draft.move_to(Status.ACTIVE)
        if before.waits:
            draft.move_to(Status.WAITING_FOR_INPUT)
            raised.append(raise_status_event(draft, raised_by=CLIENT, cause=None))
        for row, _ in held:
            draft.put_delivery(replace(row, state=DeliveryState.READY, due_in=0.0))
    record_action(
        draft,
        Action.DEAD_LETTER_RETRIED,
        event,
        by=CLIENT,
        before=before,
        raised=raised,
        detail=DeadLetterRetried(dead_letter.task_id, edited),
    )
    settle_unhandled_now(draft, raised)
    _skip_what_cannot_go_on(draft, held)


def retry_dead_letters(
    draft: Draft, dead_letters: Sequence[OpenDeadLetter], held: Sequence[tuple[Delivery, Event]]
) -> int:
    """Retries several dead letters of one instance as they are; returns how many. Those of an instance that
    can no longer continue are left open."""
    retried = 0
    for dead_letter in dead_letters:
        try:
            retry_dead_letter(draft, dead_letter, None, _still_open(draft, held))
        except WorkflowEnded:
            continue
        retried += 1
    return retried


def discard_dead_letters(
    draft: Draft, dead_letters: Sequence[OpenDeadLetter], held: Sequence[tuple[Delivery, Event]]
) -> int:
    """Discards several dead letters of one instance; returns how many."""
    for dead_letter in dead_letters:
        discard_dead_letter(draft, dead_letter, _still_open(draft, held))
    return len(dead_letters)


def _still_open(
    draft: Draft, held: Sequence[tuple[Delivery, Event]]
) -> list[tuple[Delivery, Event]]:
    return [
        (row, event) for row, event in held if row.task_id in draft.facts(event.event_id).deliveries
    ]


def discard_dead_letter(
    draft: Draft, dead_letter: OpenDeadLetter, held: Sequence[tuple[Delivery, Event]]
) -> None:
    """Discards a dead letter and raises an event that says so. When a FAILED instance has no dead letter
    left, its HELD deliveries (`held`) are skipped.

    The draft must have the facts of the dead letter's event and of the held ones.
    """
    event = dead_letter.event
    row = draft.facts(event.event_id).deliveries.get(dead_letter.task_id)
    if row is not None and not row.outside_group:
        groups.fail(
            draft,
            event,
            dead_letter.task_id,
            "DISCARDED",
            f"the dead letter of {dead_letter.task_id} was discarded",
        )
    draft.take_dead_letter(dead_letter.dead_letter_id, retried=False)
    draft.end_delivery(event.event_id, dead_letter.task_id)
    raised = _raise_discarded(draft, dead_letter)
    record_ended(
        draft,
        event,
        dead_letter.task_id,
        Result.SKIPPED,
        attempt=max(dead_letter.attempts, 1),
        action=Action.DEAD_LETTER_DISCARDED,
        raised=(raised.event_id,),
        principal=draft.principal,
    )
    settle_unhandled_now(draft, [raised])
    end_event(draft, event, Ending.DISCARDED)
    _skip_what_cannot_go_on(draft, held)


def _raise_discarded(draft: Draft, dead_letter: OpenDeadLetter) -> Event:
    """Raises the event that says that the delivery has no result: a compensation may handle it."""
    return draft.raise_event(
        NewEvent(
            lifecycle.DEAD_LETTER_DISCARDED,
            {
                "dead_letter_id": dead_letter.dead_letter_id,
                "task_id": dead_letter.task_id,
                "event_id": dead_letter.event.event_id,
                "event_type": dead_letter.event.event_type,
                "reason": dead_letter.error["reason"],
                "message": dead_letter.error["message"],
                "open_dead_letters": draft.instance.dead_letters,
            },
        ),
        raised_by=CLIENT,
        cause=dead_letter.event,
        after_end=not draft.instance.status.is_open,
        limited=False,
    )


def _skip_what_cannot_go_on(draft: Draft, held: Sequence[tuple[Delivery, Event]]) -> None:
    for row, event in held:
        if draft.treatment(event) is Treatment.SKIP:
            skip_delivery(draft, row, event, SkipCause.STAYS_ENDED)
