"""What happens when timers become due: delayed and expiring events, deadlines, and cleaning up after an end.

A timer is fired under its instance's lock, if it is still set; the commit that fires it removes it, so it
fires once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from waystation_domain import groups, lifecycle
from waystation_domain.details import Action, SkipCause, WaitEnded
from waystation_domain.draft import Draft
from waystation_domain.endings import skip_delivery, skip_event
from waystation_domain.history import record_action
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import (
    SYSTEM,
    Delivery,
    DeliveryState,
    Event,
    Failure,
    NewEvent,
    Status,
    Timer,
    TimerKind,
    Wait,
)
from waystation_domain.notes import DEADLINE_EXCEEDED
from waystation_domain.status_events import raise_status_event, settle_unhandled_now

DEADLINE_REASON = "WORKFLOW_DEADLINE_EXCEEDED"

CLEANUP_AGAIN_SECONDS = 30.0
"""Seconds until the next check of calls in flight: their router may have died."""

# A delivery in one of these states may be, or have been, in call.
_CALLED = (DeliveryState.LEASED, DeliveryState.PENDING, DeliveryState.DEAD)


@dataclass(frozen=True, slots=True)
class FiringFacts:
    """What firing needs besides the instance. The draft must have the facts of these events."""

    events: Mapping[str, Event] = field(default_factory=dict)
    """Events of timers of kind EVENT and EXPIRY, by id."""
    timed: frozenset[str] = frozenset()
    """Ids of all delayed events of the instance."""
    delayed: Sequence[Event] = ()
    """For CLEANUP: all delayed events of the instance."""
    open: Sequence[tuple[Delivery, Event]] = ()
    """For CLEANUP: all open deliveries of the instance."""
    others: Sequence[tuple[TimerKind, str]] = ()
    """For CLEANUP: all timers of the instance."""


def fire(draft: Draft, timer: Timer, material: FiringFacts) -> None:
    """Does what the timer is for, and removes it; does nothing if this commit has removed it already."""
    if draft.has_dropped(timer.kind, timer.ref):
        return
    draft.drop_timer(timer.kind, timer.ref)
    if timer.kind is TimerKind.CLEANUP:
        _clean_up(draft, material)
    elif timer.kind is TimerKind.EVENT:
        _deliver(draft, material.events[timer.ref])
    elif timer.kind is TimerKind.EXPIRY:
        _expire(draft, material.events[timer.ref])
    elif draft.is_over:
        # It has ended meanwhile: what would follow would be skipped.
        return
    elif timer.kind is TimerKind.DEADLINE:
        _exceed(draft)
    elif timer.kind is TimerKind.WAIT:
        _time_out(draft, timer.ref)
    else:
        groups.time_out(draft, timer.ref)


def _deliver(draft: Draft, event: Event) -> None:
    if draft.facts(event.event_id).timed:
        draft.announce(event)


def _expire(draft: Draft, event: Event) -> None:
    """Settles an event that no task was called for. A delivery that was tried goes on: it was delivered in
    time."""
    facts = draft.facts(event.event_id)
    if facts.timed:
        draft.drop_timer(TimerKind.EVENT, event.event_id)
        draft.end_timed(event)
        expire_event(draft, event)
    elif facts.in_outbox:
        draft.leave_outbox(event)
        expire_event(draft, event)
    for row in list(facts.deliveries.values()):
        if row.state not in _CALLED and not row.attempts and not row.suspect:
            groups.fail_expired(draft, event, row.task_id)
            skip_delivery(draft, row, event, SkipCause.EXPIRED)


def expire_event(draft: Draft, event: Event) -> None:
    """Records that an event expired before it had deliveries."""
    groups.fail_expired(draft, event)
    skip_event(draft, event, SkipCause.EXPIRED)


def _exceed(draft: Draft) -> None:
    """The deadline of the workflow: it fails if it is still open."""
    before = draft.snapshot()
    if not before.status.is_open:
        return
    draft.move_to(Status.FAILED)
    draft.touch(failure=Failure(DEADLINE_REASON, DEADLINE_EXCEEDED), turn=None)
    event = raise_status_event(draft, raised_by=SYSTEM, cause=None)
    record_action(draft, Action.DEADLINE, event, by=SYSTEM, before=before, raised=[event])
    settle_unhandled_now(draft, [event])


def _time_out(draft: Draft, wait_id: str) -> None:
    """The deadline of a wait without an answer."""
    before = draft.snapshot()
    wait = next((wait for wait in before.waits if wait.wait_id == wait_id), None)
    if wait is None:
        return
    event = draft.raise_event(
        NewEvent(lifecycle.INPUT_TIMED_OUT, wait.named()),
        raised_by=SYSTEM,
        cause=None,
        branch=wait.branch,
        # Otherwise the instance would be idle.
        limited=False,
    )
    end_wait(draft, wait)
    record_action(
        draft,
        Action.INPUT_TIMED_OUT,
        event,
        by=SYSTEM,
        before=before,
        raised=[event],
        detail=WaitEnded(wait_id),
    )
    leave_wait(draft, wait)


def end_wait(draft: Draft, wait: Wait) -> None:
    """Removes a wait; without another one the instance becomes ACTIVE again. Call `leave_wait` after the
    entry is recorded."""
    draft.touch(waits=tuple(one for one in draft.instance.waits if one.wait_id != wait.wait_id))
    if not draft.instance.waits and draft.instance.status is Status.WAITING_FOR_INPUT:
        draft.move_to(Status.ACTIVE)


def leave_wait(draft: Draft, wait: Wait) -> None:
    """The wait's branch no longer waits for it, but for the event that ended it."""
    if wait.branch is not None:
        groups.leave(draft, wait.branch)


def _clean_up(draft: Draft, material: FiringFacts) -> None:
    """Settles what is open of an instance that has ended. Announced events and calls in flight settle on
    their own; calls in flight are checked again, as their router may die."""
    # Events that another timer of this commit has ended or announced are left out.
    delayed = [event for event in material.delayed if draft.facts(event.event_id).timed]
    # Events that were raised while the end was handled are delivered at their time.
    given_up = [event for event in delayed if draft.treatment(event) is Treatment.SKIP]
    kept = {event.event_id for event in delayed if event not in given_up}
    given_up_ids = {event.event_id for event in given_up}
    for kind, ref in material.others:
        # Others that expire may have been raised while the end was handled.
        may_expire = kind is TimerKind.EXPIRY and ref not in given_up_ids
        if kind is not TimerKind.CLEANUP and ref not in kept and not may_expire:
            draft.drop_timer(kind, ref)
    for event in given_up:
        draft.end_timed(event)
        skip_event(draft, event, SkipCause.ENDED)
    in_call = False
    for row, event in material.open:
        if (
            row.task_id in draft.facts(event.event_id).deliveries
            and row.state is not DeliveryState.DEAD
            and draft.treatment(event) is Treatment.SKIP
        ):
            if row.state is DeliveryState.LEASED:
                in_call = True
            else:
                skip_delivery(draft, row, event, SkipCause.ENDED)
    if in_call:
        draft.put_timer(Timer(TimerKind.CLEANUP, due_in=CLEANUP_AGAIN_SECONDS))
