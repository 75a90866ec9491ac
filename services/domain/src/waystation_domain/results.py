"""Results of tasks, applied to a draft, one event at a time.

The rules for one result, in order: dedupe, the end of the instance, the turn, the conflict rule, and then the
answer itself (`replies`). An answer that breaks a rule is a permanent failure (`failures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from waystation_domain import failures, groups, replies, timers
from waystation_domain.details import SkipCause, Skipped
from waystation_domain.draft import Draft
from waystation_domain.endings import end_event, skip_delivery, skip_event
from waystation_domain.errors import WaystationError
from waystation_domain.history import record_attempt, record_ended
from waystation_domain.idle import Ending
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import SYSTEM, Delivery, DeliveryState, Event, Result, Turn
from waystation_domain.outcomes import (
    CallResult,
    Pending,
    Reply,
    Verdict,
    fault_of,
)
from waystation_domain.task_spec import TaskSpec

CONFLICTS_BEFORE_TURN = 3
TURN_MARGIN_SECONDS = 2.0
"""Seconds beyond the call's own deadline, for the commit."""


@dataclass(frozen=True, slots=True)
class EventTouch:
    """What a router reports of one event and its deliveries."""

    event: Event
    tasks: Sequence[TaskSpec]
    """The tasks by the registry; used only while the event's tasks are not fixed."""
    results: Mapping[str, CallResult] = field(default_factory=dict)
    """Results by task_id."""
    rows: Mapping[str, Delivery] = field(default_factory=dict)
    """Rows to write, by task_id, for deliveries that have no result yet."""
    lease: bool = False
    """Whether each task gets a row before it is called: an event with an expiry is either leased or expired,
    by the database's clock."""


def apply_touch(draft: Draft, touch: EventTouch, *, router_id: str) -> dict[str, Verdict]:
    """Applies one event's results and rows; returns the verdict of each result."""
    event = touch.event
    facts = draft.facts(event.event_id)
    if not facts.in_outbox:
        verdicts = _apply_fixed(draft, touch, router_id)
    elif draft.treatment(event) is Treatment.SKIP:
        return _skip_event(draft, touch)
    elif touch.lease and event.expires_at is not None and event.expires_at <= draft.now:
        draft.leave_outbox(event)
        timers.expire_event(draft, event)
        return {}
    elif not touch.tasks:
        draft.fix_tasks(event)
        groups.fail_unhandled(draft, event)
        record_ended(draft, event, SYSTEM, Result.UNHANDLED)
        end_event(draft, event, Ending.UNHANDLED)
        return {}
    else:
        verdicts = _fix_and_apply(draft, touch, router_id)
    if facts.is_open:
        end_event(draft, event, Ending.HANDLED, sorted(touch.results))
    return verdicts


def take_turn(
    draft: Draft,
    touch: EventTouch,
    task: TaskSpec,
    *,
    router_id: str,
    conflicts: int = CONFLICTS_BEFORE_TURN,
) -> bool:
    """Gives the instance's turn to an open delivery: other results wait until it has committed or its time is
    over. The delivery gets its row, with the number of its conflicts. Returns False if another delivery has
    the turn."""
    event_id = touch.event.event_id
    if draft.facts(event_id).in_outbox:
        _fix(draft, touch, router_id)
    row = draft.facts(event_id).deliveries.get(task.task_id)
    turn = draft.instance.turn
    holder = (event_id, task.task_id)
    if turn is not None and turn.until > draft.now:
        return turn.holder == holder
    if row is not None:
        draft.put_delivery(replace(row, conflicts=row.conflicts + conflicts))
        until = draft.now + timedelta(seconds=task.timeout + TURN_MARGIN_SECONDS)
        draft.touch(turn=Turn(holder=holder, until=until))
    return True


def _skip_event(draft: Draft, touch: EventTouch) -> dict[str, Verdict]:
    """Settles an event whose tasks were never fixed, as its instance has ended."""
    event = touch.event
    draft.leave_outbox(event)
    skip_event(draft, event, SkipCause.ENDED)
    return dict.fromkeys(touch.results, Verdict.SKIPPED)


def _fix(draft: Draft, touch: EventTouch, router_id: str) -> None:
    """Fixes the event's tasks: each gets a row, until this commit or its own call ends it."""
    draft.fix_tasks(touch.event)
    for task in touch.tasks:
        row = touch.rows.get(task.task_id)
        if row is None:
            row = Delivery(
                touch.event.event_id, task.task_id, DeliveryState.LEASED, leased_by=router_id
            )
        draft.put_delivery(row)


def _fix_and_apply(draft: Draft, touch: EventTouch, router_id: str) -> dict[str, Verdict]:
    """The first commit for an event: each task without a final outcome gets a row."""
    event = touch.event
    known = {task.task_id for task in touch.tasks}
    results = {task_id: one for task_id, one in touch.results.items() if task_id in known}
    # A task that does not handle the event any more has no delivery of it.
    strange = dict.fromkeys(touch.results.keys() - known, Verdict.DUPLICATE)
    held = draft.treatment(event) is Treatment.HOLD
    if not touch.rows and not touch.lease and not held:
        # Checked before anything is written: conflicts alone do not change the event.
        hindered = {
            task_id: found
            for task_id, result in results.items()
            if isinstance(result.outcome, Reply)
            and (found := replies.obstacle(draft, event, result, result.outcome)) is not None
        }
        if len(hindered) == len(results):
            return hindered | strange
    _fix(draft, touch, router_id)
    verdicts = strange | {
        task_id: _apply(draft, event, result, router_id) for task_id, result in results.items()
    }
    if draft.treatment(event) is Treatment.HOLD:
        for row in list(draft.facts(event.event_id).deliveries.values()):
            if row.state is not DeliveryState.DEAD:
                _hold(draft, row)
    return verdicts


def _apply_fixed(draft: Draft, touch: EventTouch, router_id: str) -> dict[str, Verdict]:
    """Results and rows of an event whose deliveries have rows or outcomes."""
    event = touch.event
    verdicts = {
        task_id: _apply(draft, event, result, router_id)
        for task_id, result in touch.results.items()
    }
    for task_id, row in touch.rows.items():
        known = draft.facts(event.event_id).deliveries.get(task_id)
        if known is None or known.edit != row.edit or known.leased_by != router_id:
            # It has its final outcome, or another router has it.
            continue
        # The router does not know that it is a retry of a final outcome, which its group does not wait for.
        row = replace(row, outside_group=known.outside_group)
        treatment = draft.treatment(event)
        if treatment is Treatment.SKIP:
            skip_delivery(draft, known, event, SkipCause.ENDED)
        elif treatment is Treatment.HOLD:
            _hold(draft, row)
        else:
            draft.put_delivery(row)
    return verdicts


def _apply(draft: Draft, event: Event, result: CallResult, router_id: str) -> Verdict:
    """Applies one result of a delivery that has a row."""
    row = draft.facts(event.event_id).deliveries.get(result.task.task_id)
    if row is None or row.edit != result.edit or row.state is DeliveryState.DEAD:
        return Verdict.DUPLICATE
    treatment = draft.treatment(event)
    if treatment is Treatment.HOLD:
        _hold(draft, row)
        return Verdict.HELD
    if treatment is Treatment.SKIP:
        draft.end_delivery(event.event_id, row.task_id)
        detail = Skipped(SkipCause.ANSWERED_LATE)
        record_attempt(draft, event, result, Result.SKIPPED, detail=detail)
        return Verdict.SKIPPED
    outcome = result.outcome
    if row.outside_group:
        # Whatever the outcome, the event's group does not wait for it.
        event = replace(event, branch=None)
    if isinstance(outcome, Pending):
        return _wait_for_completion(draft, result, row, outcome, router_id)
    if not isinstance(outcome, Reply):
        return failures.count(draft, event, result, row, outcome, router_id=router_id)
    hindered = replies.obstacle(draft, event, result, outcome)
    if hindered is not None:
        return hindered
    try:
        replies.succeed(draft, event, result, outcome)
    except WaystationError as fault:
        failures.fail(draft, event, result, row, fault_of(fault))
    return Verdict.APPLIED


def _wait_for_completion(
    draft: Draft, result: CallResult, row: Delivery, pending: Pending, router_id: str
) -> Verdict:
    """The task answered `pending`."""
    if row.state is DeliveryState.PENDING or row.leased_by not in (None, router_id):
        return Verdict.DUPLICATE
    if row.attempts >= result.attempt and not row.suspect:
        # That attempt has failed meanwhile; the next one is separate.
        return Verdict.DUPLICATE
    timeout = pending.timeout if pending.timeout is not None else result.task.timeout
    draft.put_delivery(
        replace(
            row,
            state=DeliveryState.PENDING,
            # A suspect's attempt was recorded by its claim; a task that answers did not crash.
            attempts=result.attempt - 1,
            suspect=False,
            leased_by=None,
            due_in=timeout,
        )
    )
    return Verdict.APPLIED


def _hold(draft: Draft, row: Delivery) -> None:
    draft.put_delivery(replace(row, state=DeliveryState.HELD, leased_by=None, due_in=0.0))
