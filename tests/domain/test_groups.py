"""Structured fan-out: when a group fires, once, and what its `then` tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from domain.world import ROUTER, World, task

from waystation_domain import limits, storable
from waystation_domain.completions import complete
from waystation_domain.model import Delivery, DeliveryState, Event, NewEvent, OnFailure, Status
from waystation_domain.notes import note_of
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Completion,
    FanOut,
    Pending,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.retirement import retire

OPENS, WORKS = task("opens"), task("works")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)
NOTHING = Reply(reads=())


def fan_out(*types: str, then: str = "then", **more: Any) -> Reply:
    events = tuple(NewEvent(event_type, {}) for event_type in types)
    return Reply(reads=(), fan_outs=(FanOut(events, NewEvent(then, {"given": 1}), **more),))


def opened(*types: str, **more: Any) -> tuple[World, list[Event]]:
    """An instance whose first event opened a group; the group's events."""
    world = World()
    world.handle(world.first, OPENS, fan_out(*types, **more))
    return world, [event for event in world.events.values() if event.branch is not None]


def payload_of_then(world: World) -> dict[str, Any]:
    (then,) = world.raised("then")
    assert then.payload["given"] == 1
    return dict(then.payload)


def test_then_follows_the_last_branch_once_and_continues_what_opened_the_group() -> None:
    world, branches = opened("a", "b", "c")
    assert [event.branch and event.branch.number for event in branches] == [0, 1, 2]
    for event in branches:
        assert not world.raised("then")
        world.handle(event, WORKS, NOTHING)
    (then,) = world.raised("then")
    assert then.payload == {"given": 1, "failed_branches": []}
    assert (then.raised_by, then.causation_id, then.branch) == ("opens", world.first.event_id, None)
    (entry,) = [entry for entry in world.history if entry.action == "fan_in"]
    assert (entry.processed_by, entry.raised) == ("system", (then.event_id,))
    assert note_of(entry) == "3 of 3 branches settled, 3 of them successfully"
    assert not world.instance.groups


def test_an_empty_group_fires_in_the_commit_that_opens_it() -> None:
    world = World()
    world.handle(world.first, OPENS, fan_out())
    assert payload_of_then(world) == {"given": 1, "failed_branches": []}


def test_empty_groups_count_by_what_they_raise_at_once() -> None:
    empty = FanOut((), NewEvent("then", {}))
    world = World(max_events=1_500)
    answer = Reply((NewEvent("more", {}),), fan_outs=(empty,) * 1_000, reads=())
    world.handle(world.first, OPENS, answer)
    (letter,) = world.open_dead_letters()
    assert world.instance.failure is not None
    assert world.instance.failure.reason == "TOO_MANY_EVENTS"
    world.retry(letter)
    answer = Reply((NewEvent("more", {}),), fan_outs=(empty,) * 999, reads=())
    world.handle(world.first, OPENS, answer)
    assert len(world.raised("then")) == 999


def test_what_a_branch_raises_belongs_to_it() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(b, WORKS, NOTHING)
    world.handle(a, WORKS, Reply((NewEvent("more", {}),), reads=()))
    (more,) = world.raised("more")
    assert more.branch == a.branch
    assert not world.raised("then")
    world.handle(more, WORKS, NOTHING)
    assert payload_of_then(world)["failed_branches"] == []


def test_failed_branches_are_values() -> None:
    world, (dead, lost, good, both) = opened("dead", "lost", "good", "both")
    world.handle(dead, LENIENT, BROKEN)
    world.touch_unhandled(lost)
    world.handle(good, WORKS, NOTHING)
    # One of its two tasks fails: the branch has failed, and the other one is waited for.
    world.handle(both, LENIENT, BROKEN, tasks=(LENIENT, WORKS))
    assert not world.raised("then")
    world.handle(both, WORKS, NOTHING, tasks=(LENIENT, WORKS))
    assert payload_of_then(world)["failed_branches"] == [
        {
            "branch": 0,
            "event_id": dead.event_id,
            "event_type": "dead",
            "task_id": "lenient",
            "reason": "BROKEN",
            "message": "it is broken",
        },
        {
            "branch": 1,
            "event_id": lost.event_id,
            "event_type": "lost",
            "task_id": "",
            "reason": "UNHANDLED",
            "message": "no task handles `lost`",
        },
        {
            "branch": 3,
            "event_id": both.event_id,
            "event_type": "both",
            "task_id": "lenient",
            "reason": "BROKEN",
            "message": "it is broken",
        },
    ]
    assert world.instance.status is Status.ACTIVE


def test_enough_that_settled_well_is_enough() -> None:
    world, (a, b, c, d) = opened("a", "b", "c", "d", need=2)
    world.handle(a, LENIENT, BROKEN)
    world.handle(b, WORKS, NOTHING)
    assert not world.raised("then")
    world.handle(c, WORKS, NOTHING)
    assert [one["branch"] for one in payload_of_then(world)["failed_branches"]] == [0]
    # The others go on, and nothing waits for what they raise.
    world.handle(d, WORKS, Reply((NewEvent("more", {}),), reads=()))
    (more,) = world.raised("more")
    assert more.branch is None
    world.handle(more, WORKS, NOTHING)
    assert len(world.raised("then")) == 1


def test_need_that_can_t_be_reached_fires_when_all_are_settled() -> None:
    world, (a, b) = opened("a", "b", need=2)
    world.handle(a, LENIENT, BROKEN)
    assert not world.raised("then")
    world.handle(b, WORKS, NOTHING)
    assert [one["branch"] for one in payload_of_then(world)["failed_branches"]] == [0]


def test_groups_nest_and_the_outer_one_waits_for_what_the_inner_one_led_to() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(b, WORKS, NOTHING)
    world.handle(a, WORKS, fan_out("x", "y", then="inner"))
    x, y = world.raised("x")[0], world.raised("y")[0]
    assert x.branch != a.branch
    world.handle(x, LENIENT, BROKEN)
    world.handle(y, WORKS, NOTHING)
    (inner,) = world.raised("inner")
    assert inner.branch == a.branch
    assert [one["event_type"] for one in inner.payload["failed_branches"]] == ["x"]
    assert not world.raised("then")
    world.handle(inner, WORKS, NOTHING)
    # What failed inside was told to whom it concerned: `inner`. The outer branch went well.
    assert payload_of_then(world)["failed_branches"] == []


def test_a_branch_waits_for_its_person() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(b, WORKS, NOTHING)
    world.handle(a, WORKS, Reply(waits=(WaitRequest("?", "w-a"),), reads=()))
    assert not world.raised("then")
    answer = world.answer("w-a", {"yes": True})
    assert answer.branch == a.branch
    assert not world.raised("then")
    world.handle(answer, WORKS, NOTHING)
    assert payload_of_then(world)["failed_branches"] == []


def test_under_fail_workflow_the_group_goes_on_with_the_retry() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(b, WORKS, NOTHING)
    world.handle(a, WORKS, BROKEN)
    assert world.instance.status is Status.FAILED
    world.retry(world.open_dead_letters()[0])
    assert not world.claim(a, WORKS).outside_group
    assert not world.raised("then")
    world.handle(a, WORKS, NOTHING)
    assert payload_of_then(world)["failed_branches"] == []


def test_a_discarded_dead_letter_is_a_failed_branch() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(a, LENIENT, BROKEN)
    world.handle(b, WORKS, BROKEN)
    # Retrying the one makes the workflow go on; the other's delivery is open until it is discarded.
    lenient, strict = world.open_dead_letters()
    world.retry(lenient)
    world.discard(strict)
    told = payload_of_then(world)["failed_branches"]
    assert [(one["branch"], one["reason"]) for one in told] == [(0, "BROKEN"), (1, "DISCARDED")]


def test_what_is_retried_later_runs_outside_its_group() -> None:
    world, (a, b) = opened("a", "b")
    world.handle(a, LENIENT, BROKEN)
    (letter,) = world.open_dead_letters()
    world.retry(letter)
    row = world.claim(a, LENIENT)
    assert row.outside_group
    world.handle(a, LENIENT, Reply((NewEvent("late", {}),), reads=()))
    assert world.raised("late")[0].branch is None
    world.handle(b, WORKS, NOTHING)
    assert [one["branch"] for one in payload_of_then(world)["failed_branches"]] == [0]


def test_a_later_retry_that_is_parked_stays_outside_its_group() -> None:
    world, (a, _) = opened("a", "b")
    world.handle(a, LENIENT, BROKEN)
    world.retry(world.open_dead_letters()[0])
    world.claim(a, LENIENT)
    # A router does not know what a row says of groups.
    parked = Delivery(a.event_id, LENIENT.task_id, DeliveryState.AT_CAPACITY)
    world.touch(EventTouch(a, [LENIENT], rows={LENIENT.task_id: parked}))
    row = world.row(a, LENIENT)
    assert row is not None
    assert (row.state, row.outside_group) == (DeliveryState.AT_CAPACITY, True)


def test_a_pending_retry_is_completed_outside_its_group() -> None:
    """Its branch has failed and is settled: whatever the retry raises, nobody waits for it."""
    world, (a, _) = opened("a", "b")
    world.handle(a, LENIENT, BROKEN)
    (letter,) = world.open_dead_letters()
    world.retry(letter)
    world.claim(a, LENIENT)
    world.handle(a, LENIENT, Pending(30.0))
    row = world.row(a, LENIENT)
    assert row is not None
    with world.drafting() as draft:
        assert complete(draft, a, LENIENT, row, Reply((NewEvent("more", {}),), reads=()))
    assert world.raised("more")[0].branch is None


def test_a_task_that_comes_late_takes_an_unhandled_branch_back_while_the_group_waits() -> None:
    world, (a, b) = opened("a", "b")
    world.touch_unhandled(a)
    world.catch_up([a], WORKS)
    assert world.row(a, WORKS) is not None
    world.handle(b, WORKS, NOTHING)
    assert not world.raised("then")
    world.claim(a, WORKS)
    world.handle(a, WORKS, NOTHING)
    assert payload_of_then(world)["failed_branches"] == []


def test_two_tasks_that_come_late_are_one_branch_and_count_once() -> None:
    world, (a, b, c) = opened("a", "b", "c", need=2)
    world.touch_unhandled(a)
    for by in (WORKS, LENIENT):
        world.catch_up([a], by)
        world.claim(a, by)
    world.handle(a, WORKS, NOTHING)
    world.handle(a, LENIENT, NOTHING)
    # Settled well; a third one comes when all that was over, and settles it well again.
    third = task("third")
    world.catch_up([a], third)
    world.claim(a, third)
    world.handle(a, third, NOTHING)
    assert not world.raised("then"), "one branch of two"
    # What another late task failed stays told.
    fourth = task("fourth")
    world.touch_unhandled(b)
    for by, answer in ((LENIENT, BROKEN), (fourth, NOTHING)):
        world.catch_up([b], by)
        world.claim(b, by)
        world.handle(b, by, answer)
    assert not world.raised("then")
    world.handle(c, WORKS, NOTHING)
    (failed,) = payload_of_then(world)["failed_branches"]
    assert (failed["branch"], failed["task_id"], failed["reason"]) == (1, "lenient", "BROKEN")


def test_a_retired_task_fails_the_branches_that_waited_for_it() -> None:
    world, (a, b) = opened("a", "b")
    row = Delivery(a.event_id, "gone", DeliveryState.NO_ENDPOINT)
    world.touch(EventTouch(a, (task("gone"),), {}, {"gone": row}))
    with world.drafting() as draft:
        assert retire(draft, [(row, a)]) == 1
    world.handle(b, WORKS, NOTHING)
    (failed,) = payload_of_then(world)["failed_branches"]
    assert (failed["branch"], failed["task_id"], failed["reason"]) == (0, "gone", "TASK_RETIRED")


def test_a_group_that_has_fired_is_not_caught_up_with() -> None:
    world, (a,) = opened("a")
    world.touch_unhandled(a)
    assert len(payload_of_then(world)["failed_branches"]) == 1
    world.catch_up([a], WORKS)
    assert world.row(a, WORKS) is None


def test_a_group_fires_at_its_time_and_names_what_is_open() -> None:
    world, (a, b, c) = opened("a", "b", "c", timeout=60.0)
    world.handle(b, WORKS, NOTHING)
    world.handle(c, LENIENT, BROKEN)
    world.pass_time(59)
    world.fire_due()
    assert not world.raised("then")
    world.pass_time(1)
    world.fire_due()
    told = payload_of_then(world)
    assert (told["timed_out"], told["open_branches"]) == (True, [0])
    assert [one["branch"] for one in told["failed_branches"]] == [2]
    world.handle(a, WORKS, NOTHING)
    assert len(world.raised("then")) == 1


def test_a_group_that_fired_in_time_has_no_timer_left() -> None:
    world, (a,) = opened("a", timeout=60.0)
    world.handle(a, WORKS, NOTHING)
    world.handle(world.raised("then")[0], WORKS, NOTHING)
    assert not world.timers
    assert world.instance.idle is not None


def test_a_workflow_that_ended_has_no_groups() -> None:
    world, (a, b) = opened("a", "b", timeout=60.0)
    world.handle(a, WORKS, Reply(end=Completion(), reads=()))
    assert not world.instance.groups
    world.fire_due()
    assert not world.timers
    assert world.handle(b, WORKS, NOTHING) is Verdict.SKIPPED
    assert not world.raised("then")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (fan_out("a", need=2), "RESPONSE_INVALID"),
        (fan_out("workflow.completed"), "RESPONSE_INVALID"),
        (fan_out("a", then="workflow.failed"), "RESPONSE_INVALID"),
        (fan_out(*["a"] * 1001), "TOO_MANY_EVENTS"),
        (
            Reply(fan_outs=(FanOut((), NewEvent("then", {"x": "y" * (limits.MAX_BYTES // 2)})),)),
            "PAYLOAD_TOO_LARGE",
        ),
        (Reply(fan_outs=(FanOut((), NewEvent("then", {"x": [0] * 2000})),)), "RESPONSE_INVALID"),
        (Reply(fan_outs=(FanOut((), NewEvent("then", {}, delay=1.0)),)), "RESPONSE_INVALID"),
    ],
)
def test_what_can_t_be_a_group_is_refused_whole(reply: Reply, reason: str) -> None:
    world = World()
    world.handle(world.first, LENIENT, reply)
    assert world.history[-1].error is not None
    assert (world.history[-1].error["reason"], world.instance.event_count) == (reason, 1)


def test_who_handles_the_end_opens_no_group() -> None:
    world = World()
    world.handle(world.first, OPENS, Reply(end=Completion(), reads=()))
    (completed,) = world.raised("workflow.completed")
    world.handle(completed, OPENS, fan_out("a"))
    assert world.history[-1].error is not None
    assert world.history[-1].error["reason"] == "RESPONSE_INVALID"
    assert not world.raised("a")


def test_a_thousand_branches_that_all_fail_with_long_stories_are_reported_within_the_limits() -> (
    None
):
    world, branches = opened(*["work" + "x" * 190] * 1000)
    story = replace(BROKEN, reason="R" * 200, message="\N{PILE OF POO}" * 4000)
    # A few commits, each with the results of many branches.
    for part in range(0, 1000, 250):
        with world.drafting() as draft:
            for event in branches[part : part + 250]:
                result = CallResult(LENIENT, 1, draft.instance.version, story)
                touch = EventTouch(event, (LENIENT,), {"lenient": result})
                apply_touch(draft, touch, router_id=ROUTER)
    told = payload_of_then(world)
    assert [one["branch"] for one in told["failed_branches"]] == list(range(1000))
    assert {one["reason"] for one in told["failed_branches"]} == {"R" * 200}
    assert len(orjson.dumps(told)) <= limits.MAX_BYTES
    storable.check_json(told, "payload")


def test_then_comes_even_at_the_limit_of_events() -> None:
    world = World(max_events=4)
    world.handle(world.first, OPENS, fan_out("a", "b"))
    # Somebody else takes what was left for it.
    world.publish("elsewhere")
    for event in [*world.raised("a"), *world.raised("b")]:
        world.handle(event, WORKS, NOTHING)
    assert len(world.raised("then")) == 1
    assert world.row(world.raised("then")[0], WORKS) is None
    assert all(row.state is not DeliveryState.DEAD for row in world.deliveries.values())
