"""What becomes due: delayed and expiring events, deadlines, pending deliveries, and cleaning up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from domain.world import ROUTER, START, World, task

from waystation_domain.commit import EventFacts
from waystation_domain.completion_tokens import Attempt
from waystation_domain.completions import AttemptState, attempt_state, complete, extend
from waystation_domain.details import SkipCause, Skipped, WaitEnded
from waystation_domain.errors import PathTypeMismatch, WorkflowEnded
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    NewEvent,
    OnFailure,
    Result,
    Status,
    TimerKind,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import (
    AttemptError,
    Completion,
    Cut,
    Failing,
    FanOut,
    Outcome,
    Pending,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import EventTouch, take_turn

EXPIRED = Skipped(SkipCause.EXPIRED)
A = task("a", attempts=2)
NOTHING = Reply(reads=())
ERROR = AttemptError("TASK_FAILURE", "BUSY", "later")


def raising(**times: object) -> tuple[World, Event]:
    world = World()
    new = NewEvent("later", {}, **times)  # type: ignore[arg-type]
    world.handle(world.first, A, Reply((new,), reads=()))
    return world, world.raised("later")[0]


@pytest.mark.parametrize("times", [{"delay": 60.0}, {"deliver_at": START + timedelta(seconds=60)}])
def test_a_delayed_event_is_raised_now_and_announced_at_its_time(times: dict[str, object]) -> None:
    world, event = raising(**times)
    assert event.event_id not in world.outbox
    assert world.instance.idle is None
    world.pass_time(59.9)
    world.fire_due()
    assert event.event_id not in world.outbox
    world.pass_time(0.1)
    world.fire_due()
    assert event.event_id in world.outbox
    assert not world.timers
    # Its time adds no entry of history.
    assert [entry.sequence for entry in world.history] == [1, 2]


def test_a_time_that_is_over_is_no_delay() -> None:
    world, event = raising(deliver_at=START - timedelta(seconds=1))
    assert event.event_id in world.outbox
    assert not world.timers


def test_an_event_expires_where_no_task_was_called_with_it() -> None:
    world, event = raising(expires_at=START + timedelta(seconds=60))
    world.pass_time(60)
    world.fire_due()
    assert event.event_id not in world.outbox
    last = world.history[-1]
    assert (last.event_id, last.result, last.detail) == (event.event_id, Result.SKIPPED, EXPIRED)
    assert world.instance.idle is not None


def test_an_event_that_a_task_was_called_with_does_not_expire() -> None:
    world, event = raising(expires_at=START + timedelta(seconds=60))
    world.handle(event, A, ERROR)
    world.pass_time(60)
    world.fire_due()
    row = world.row(event, A)
    assert row is not None
    assert row.state is DeliveryState.READY


@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_what_an_operator_retries_does_not_expire(on_failure: OnFailure) -> None:
    fails = task("a", on_failure=on_failure, attempts=1)
    world, event = raising(expires_at=START + timedelta(seconds=60))
    world.handle(event, fails, ERROR)
    (letter,) = world.open_dead_letters()
    world.retry(letter)
    world.pass_time(60)
    world.fire_due()
    row = world.row(event, fails)
    assert row is not None
    assert row.state is DeliveryState.READY


def test_a_delivery_that_waited_for_an_endpoint_expires() -> None:
    world, event = raising(expires_at=START + timedelta(seconds=60))
    parked = Delivery(event.event_id, "a", DeliveryState.NO_ENDPOINT)
    world.touch(EventTouch(event, (A,), {}, {"a": parked}))
    world.pass_time(60)
    world.fire_due()
    assert world.row(event, A) is None
    assert world.history[-1].detail == EXPIRED


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, DeliveryState.LEASED),
        (Pending(90.0), DeliveryState.PENDING),
        (Cut("it died"), DeliveryState.READY),
        (replace(ERROR, permanent=True), DeliveryState.DEAD),
    ],
)
def test_what_may_have_been_called_does_not_expire(
    outcome: Outcome | None, state: DeliveryState
) -> None:
    world, event = raising(expires_at=START + timedelta(seconds=60))
    if outcome is None:
        world.touch(EventTouch(event, (A,), lease=True))
    else:
        world.handle(event, A, outcome)
    world.pass_time(60)
    world.fire_due()
    row = world.row(event, A)
    assert row is not None
    assert row.state is state


def test_a_branch_whose_delivery_expired_has_failed_by_its_task() -> None:
    world = World()
    branch = NewEvent("branch", {}, expires_at=START + timedelta(seconds=60))
    group = FanOut((branch,), NewEvent("then", {}))
    world.handle(world.first, A, Reply(fan_outs=(group,), reads=()))
    (event,) = world.raised("branch")
    parked = Delivery(event.event_id, "a", DeliveryState.AT_CAPACITY)
    world.touch(EventTouch(event, (A,), {}, {"a": parked}))
    world.pass_time(60)
    world.fire_due()
    (failed,) = world.raised("then")[0].payload["failed_branches"]
    assert (failed["task_id"], failed["reason"]) == ("a", "EXPIRED")


def test_the_commit_skips_an_event_that_expired_before_its_call() -> None:
    """The router leases first; whatever its own clock says, the commit's decides."""
    world, event = raising(expires_at=START + timedelta(seconds=60))
    leased = EventTouch(event, (A,), lease=True)
    world.pass_time(60)
    world.touch(leased)
    assert world.row(event, A) is None
    assert world.history[-1].detail == EXPIRED
    world, event = raising(expires_at=START + timedelta(seconds=60))
    world.touch(EventTouch(event, (A,), lease=True))
    row = world.row(event, A)
    assert row is not None
    assert (row.state, row.leased_by) == (DeliveryState.LEASED, ROUTER)


def test_a_delayed_event_that_expires_first_never_comes() -> None:
    world, event = raising(delay=60.0, expires_at=START + timedelta(seconds=30))
    world.pass_time(100)
    world.fire_due()
    assert event.event_id not in world.outbox
    assert not world.timers


def test_an_open_workflow_fails_at_its_deadline() -> None:
    world = World(deadline=60.0)
    world.handle(world.first, A, NOTHING)
    # A deadline moves nothing: whoever waits for it is to hear that it is idle.
    assert world.instance.idle is not None
    world.pass_time(60)
    world.fire_due()
    assert world.instance.status is Status.FAILED
    assert world.instance.failure is not None
    assert world.instance.failure.reason == "WORKFLOW_DEADLINE_EXCEEDED"
    (failed,) = world.raised("workflow.failed")
    assert (failed.raised_by, failed.payload["reason"]) == ("system", "WORKFLOW_DEADLINE_EXCEEDED")
    assert [entry.action for entry in world.history if entry.action][-1] == "deadline"


def test_a_workflow_that_ended_in_time_has_no_deadline() -> None:
    world = World(deadline=60.0)
    world.handle(world.first, A, Reply(end=Completion(), reads=()))
    world.fire_due()
    assert not world.timers
    world.pass_time(60)
    world.fire_due()
    assert world.instance.status is Status.COMPLETED


@pytest.mark.parametrize("deadline", [None, 60.0])
def test_an_end_that_leaves_nothing_but_timers_takes_them_away(deadline: float | None) -> None:
    world = World(deadline=deadline, resolve=lambda *_: ())
    if deadline is None:
        world.handle(world.first, A, Reply(waits=(WaitRequest("?", timeout=60.0),), reads=()))
        world.cancel()
    else:
        world.handle(world.first, A, Reply(end=Completion(), reads=()))
    assert world.instance.unsettled == 0
    world.fire_due()
    assert not world.timers


def test_a_wait_that_nobody_answers_is_over_at_its_time() -> None:
    world = World()
    world.handle(world.first, A, Reply(waits=(WaitRequest("?", "w-1", timeout=60.0),), reads=()))
    (wait,) = world.instance.waits
    assert wait.deadline == (START + timedelta(seconds=60)).isoformat()
    world.pass_time(60)
    world.fire_due()
    assert (world.instance.status, world.instance.waits) == (Status.ACTIVE, ())
    (event,) = world.raised("user.input.timed_out")
    assert event.payload == {"wait_id": "w-1", "task_id": "a", "message": "?"}
    assert event.raised_by == "system"
    (entry,) = [entry for entry in world.history if entry.action == "input_timed_out"]
    assert (entry.detail, entry.raised) == (WaitEnded("w-1"), (event.event_id,))
    world.check_history()


def test_a_branch_goes_on_with_the_end_of_its_wait() -> None:
    world = World()
    group = FanOut((NewEvent("asks", {}),), NewEvent("then", {}))
    world.handle(world.first, A, Reply(fan_outs=(group,), reads=()))
    (asks,) = world.raised("asks")
    world.handle(asks, A, Reply(waits=(WaitRequest("?", "w-1", timeout=60.0),), reads=()))
    world.pass_time(60)
    world.fire_due()
    (timed_out,) = world.raised("user.input.timed_out")
    assert timed_out.branch == asks.branch
    assert not world.raised("then")
    world.handle(timed_out, A, NOTHING)
    assert world.raised("then")


@pytest.mark.parametrize("ended_before", [True, False])
def test_nothing_is_raised_by_a_timer_after_the_end(ended_before: bool) -> None:
    """However late its timers are fired, and whether the deadline comes with them or was before."""
    fan_out = FanOut((NewEvent("branch", {}),), NewEvent("then", {}), timeout=60.0)
    wait = WaitRequest("?", "w-1", timeout=60.0)
    world = World(deadline=50.0)
    world.handle(world.first, A, Reply(waits=(wait,), fan_outs=(fan_out,), reads=()))
    if ended_before:
        last = world.publish("last")
        world.handle(last, A, Reply(end=Failing("HOPELESS"), reads=()))
        world.timers[TimerKind.CLEANUP, ""] = START + timedelta(seconds=90)
    world.pass_time(100)
    world.fire_due()
    assert world.instance.status is Status.FAILED
    assert not world.raised("user.input.timed_out")
    assert not world.raised("then")
    assert not world.timers


def test_an_answer_in_time_ends_the_timer_too() -> None:
    world = World()
    world.handle(world.first, A, Reply(waits=(WaitRequest("?", "w-1", timeout=60.0),), reads=()))
    world.answer("w-1", {"x": 1})
    assert not world.timers


def test_an_end_settles_what_is_open_and_not_in_call() -> None:
    world = World()
    events = (
        NewEvent("delayed", {}, delay=3600.0),
        NewEvent("parked", {}),
        NewEvent("pending", {}),
        NewEvent("in call", {}),
        NewEvent("ends", {}),
    )
    world.handle(world.first, A, Reply(events, reads=()))
    parked, pending, in_call, ends = (
        world.raised(name)[0] for name in ("parked", "pending", "in call", "ends")
    )
    world.touch(
        EventTouch(
            parked, (A,), {}, {"a": Delivery(parked.event_id, "a", DeliveryState.NO_ENDPOINT)}
        )
    )
    world.handle(pending, A, Pending())
    world.touch(EventTouch(in_call, (A,), lease=True))
    world.handle(ends, A, Reply(end=Completion(), reads=()))
    world.fire_due()
    assert list(world.timers) == [(TimerKind.CLEANUP, "")]
    assert [row.event_id for row in world.deliveries.values()] == [in_call.event_id]
    skipped = {e.event_type for e in world.history if e.result is Result.SKIPPED}
    assert skipped == {"delayed", "parked", "pending"}
    assert world.handle(in_call, A, NOTHING) is Verdict.SKIPPED
    world.pass_time(60)
    world.fire_due()
    assert not world.timers


def test_cleaning_up_comes_back_for_what_was_in_call() -> None:
    """Its router dies, and no endpoint of its task is there: nobody else would ever take it."""
    world = World()
    in_call = world.publish("in call")
    world.touch(EventTouch(in_call, (A,), lease=True))
    world.handle(world.first, A, Reply(end=Completion(), reads=()))
    world.fire_due()
    row = world.row(in_call, A)
    assert row is not None
    broken = replace(row, state=DeliveryState.READY, leased_by=None, suspect=True)
    world.deliveries[in_call.event_id, "a"] = broken
    world.pass_time(60)
    world.fire_due()
    assert not world.deliveries
    assert not world.timers


def test_an_event_raised_while_the_end_was_handled_is_delivered() -> None:
    world = World()
    world.handle(world.first, A, Reply(end=Completion(), reads=()))
    (completed,) = world.raised("workflow.completed")
    raised = (NewEvent("mail", {}, delay=60.0), NewEvent("parked", {}))
    world.handle(completed, A, Reply(raised, reads=()))
    (mail,), (parked,) = world.raised("mail"), world.raised("parked")
    row = Delivery(parked.event_id, "a", DeliveryState.NO_ENDPOINT)
    world.touch(EventTouch(parked, (A,), {}, {"a": row}))
    world.fire_due()
    assert world.row(parked, A) == row
    world.pass_time(60)
    world.fire_due()
    assert mail.event_id in world.outbox


def test_what_was_raised_while_the_end_was_handled_expires_after_it() -> None:
    world = World()
    world.handle(world.first, A, Reply(end=Completion(), reads=()))
    (completed,) = world.raised("workflow.completed")
    new = NewEvent("mail", {}, expires_at=START + timedelta(seconds=60))
    world.handle(completed, A, Reply((new,), reads=()))
    world.fire_due()
    world.pass_time(60)
    world.fire_due()
    (mail,) = world.raised("mail")
    assert mail.event_id not in world.outbox
    assert not world.timers


# --- pending ---------------------------------------------------------------------------------


def pending_world() -> tuple[World, Attempt]:
    world = World({"n": 0})
    assert world.handle(world.first, A, Pending(30.0)) is Verdict.APPLIED
    row = world.row(world.first, A)
    assert row is not None
    assert (row.state, row.attempts, row.due_in) == (DeliveryState.PENDING, 0, 30.0)
    return world, Attempt(world.first.event_id, "a", 0, 1)


def end(world: World, attempt: Attempt, outcome: Reply | AttemptError) -> bool:
    fenced = isinstance(outcome, AttemptError)
    where, row = attempt_state(world.facts()[world.first.event_id], attempt, fenced=fenced)
    assert where is AttemptState.PENDING
    assert row is not None
    with world.drafting() as draft:
        return complete(draft, world.first, A, row, outcome)


def test_a_pending_result_takes_effect_on_the_instance_as_it_is_now() -> None:
    world, attempt = pending_world()
    assert world.instance.idle is None
    other = world.publish("other")
    world.handle(other, A, Reply(change=(Operation("/n", "set", 5),), reads=()))
    # No conflict, though it says nothing of its reads.
    assert end(world, attempt, Reply(change=(Operation("/n", "increment", 1),)))
    assert world.instance.data == {"n": 6}
    facts = world.facts()[world.first.event_id]
    assert attempt_state(facts, attempt, fenced=False) == (AttemptState.OVER, None)
    world.check_history()


def test_a_result_that_breaks_a_rule_is_refused_and_may_come_again() -> None:
    world, attempt = pending_world()
    with pytest.raises(PathTypeMismatch):
        end(world, attempt, Reply(change=(Operation("/n/x", "set", 1),)))
    assert end(world, attempt, NOTHING)


def test_a_failed_pending_attempt_is_followed_by_another_and_then_by_a_dead_letter() -> None:
    world, attempt = pending_world()
    assert end(world, attempt, ERROR)
    row = world.row(world.first, A)
    assert row is not None
    assert (row.state, row.attempts) == (DeliveryState.READY, 1)
    world.claim(world.first, A)
    assert world.handle(world.first, A, Pending(30.0), attempt=2) is Verdict.APPLIED
    first, second = attempt, replace(attempt, attempt=2)
    facts = world.facts()[world.first.event_id]
    assert attempt_state(facts, first, fenced=True)[0] is AttemptState.OVER
    assert attempt_state(facts, first, fenced=False)[0] is AttemptState.PENDING, (
        "its result would count"
    )
    assert end(world, second, ERROR)
    assert world.instance.status is Status.FAILED
    assert world.open_dead_letters()[0].attempts == 2


def test_a_pending_delivery_can_be_given_more_time() -> None:
    world, attempt = pending_world()
    _, row = attempt_state(world.facts()[world.first.event_id], attempt, fenced=True)
    assert row is not None
    with world.drafting() as draft:
        extend(draft, row, 500.0)
    row = world.row(world.first, A)
    assert row is not None
    assert (row.state, row.due_in) == (DeliveryState.PENDING, 500.0)


def test_a_repeated_answer_pending_changes_nothing() -> None:
    world, _ = pending_world()
    assert world.handle(world.first, A, Pending(99.0)) is Verdict.DUPLICATE


def test_what_the_end_raised_can_be_completed_after_it() -> None:
    world = World()
    world.handle(world.first, A, Reply(end=Completion(), reads=()))
    (completed,) = world.raised("workflow.completed")
    world.handle(completed, A, Pending(30.0))
    row = world.row(completed, A)
    assert row is not None
    with world.drafting() as draft:
        assert complete(draft, completed, A, row, Reply((NewEvent("mail", {}),), reads=()))
    assert world.raised("mail")


def test_a_completion_waits_for_the_turn_of_another_delivery() -> None:
    world, attempt = pending_world()
    other = world.publish("other")
    with world.drafting() as draft:
        take_turn(draft, EventTouch(other, (A,)), A, router_id=ROUTER)
    assert not end(world, attempt, NOTHING)
    assert world.handle(other, A, NOTHING) is Verdict.APPLIED
    assert end(world, attempt, NOTHING)


def test_a_suspect_that_answers_pending_has_its_attempt_still() -> None:
    world = World()
    world.handle(world.first, A, Cut("it died"))
    claimed = world.claim(world.first, A)
    assert (claimed.suspect, claimed.attempts) == (True, 1)
    assert world.handle(world.first, A, Pending(30.0)) is Verdict.APPLIED
    row = world.row(world.first, A)
    assert row is not None
    assert (row.state, row.suspect, row.attempts) == (DeliveryState.PENDING, False, 0)


@pytest.mark.parametrize("outcome", [ERROR, Cut("the endpoint died")])
def test_a_second_call_that_fails_cuts_nothing_that_is_pending(outcome: AttemptError | Cut) -> None:
    """An event that was announced twice, or a deadline that was extended while it was cut: whoever
    completes the delivery was promised that it waits for him."""
    world, attempt = pending_world()
    assert world.handle(world.first, A, outcome) is Verdict.DUPLICATE
    assert end(world, attempt, NOTHING)


def test_a_late_answer_pending_of_an_attempt_that_failed_gives_none_back() -> None:
    world = World()
    world.handle(world.first, A, ERROR)
    assert world.handle(world.first, A, Pending(99.0)) is Verdict.DUPLICATE
    row = world.row(world.first, A)
    assert row is not None
    assert (row.state, row.attempts) == (DeliveryState.READY, 1)


def test_nothing_is_pending_in_a_workflow_that_ended() -> None:
    world, attempt = pending_world()
    world.cancel()
    with pytest.raises(WorkflowEnded):
        end(world, attempt, NOTHING)


def test_what_is_in_call_is_not_pending_yet() -> None:
    leased = Delivery("e", "a", DeliveryState.LEASED, leased_by=ROUTER)
    first = Attempt("e", "a", 0, 1)
    edited = Delivery("e", "a", DeliveryState.PENDING, edit=1)
    for fenced in (True, False):
        for facts, attempt, expected in (
            (EventFacts(True), first, (AttemptState.IN_CALL, None)),
            (EventFacts(False, {"a": leased}), first, (AttemptState.IN_CALL, leased)),
            (EventFacts(False), first, (AttemptState.OVER, None)),
            (EventFacts(False, {"a": edited}), first, (AttemptState.OVER, edited)),
            (
                EventFacts(False, {"a": edited}),
                replace(first, edit=1),
                (AttemptState.PENDING, edited),
            ),
        ):
            assert attempt_state(facts, attempt, fenced=fenced) == expected


@pytest.mark.parametrize("expires_in", [None, 60])
def test_what_is_due_in_the_commit_that_cleans_up_ends_once(expires_in: int | None) -> None:
    expires_at = None if expires_in is None else START + timedelta(seconds=expires_in)
    world, event = raising(delay=60.0, expires_at=expires_at)
    world.handle(world.publish("last"), A, Reply(end=Completion(), reads=()))
    world.pass_time(60)
    # Whatever the end was due to clean up comes together with what is due by itself.
    world.timers[TimerKind.CLEANUP, ""] = world.now
    world.fire_due()
    if event.event_id in world.outbox:
        world.touch(EventTouch(event, (A,)))
    assert [entry.result for entry in world.history if entry.event_id == event.event_id] == [
        Result.SKIPPED
    ]
    assert not world.timers
