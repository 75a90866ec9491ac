"""Results that were computed from an older version, and turns for those that keep losing."""

from __future__ import annotations

from typing import Any

import pytest
from domain.world import ROUTER, World, task

from waystation_domain.model import (
    Delivery,
    DeliveryState,
    NewEvent,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Completion,
    Cut,
    Patch,
    Replacement,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import CONFLICTS_BEFORE_TURN, EventTouch, apply_touch, take_turn

A, B = task("a"), task("b")
ERROR = AttemptError("UNAVAILABLE", "BUSY", "later")
CUT = Cut("the endpoint went away")


def adds(place: str, value: Any = 1, *, reads: tuple[str, ...] | None = ()) -> Reply:
    return Reply(change=(Operation(place, "set", value),), reads=reads)


def test_results_of_one_event_are_folded_and_see_each_other() -> None:
    """Two that read and write one place: the first commits, the second is called again."""
    world = World({"n": 0})
    results = {
        by.task_id: CallResult(by, 1, 1, adds("/n", at, reads=("/n",)))
        for at, by in enumerate((A, B), start=1)
    }
    verdicts = world.touch(EventTouch(world.first, (A, B), results))
    assert verdicts == {"a": Verdict.APPLIED, "b": Verdict.CONFLICT}
    assert world.instance.data == {"n": 1}
    row = world.row(world.first, B)
    assert row is not None
    assert (row.state, row.attempts) == (DeliveryState.LEASED, 0)


def test_several_touches_in_one_commit_see_each_other() -> None:
    world = World({"n": 0})
    other = world.publish("other")
    base = world.instance.version
    with world.drafting() as draft:
        verdicts = [
            apply_touch(
                draft,
                EventTouch(event, (by,), {by.task_id: CallResult(by, 1, base, reply)}),
                router_id=ROUTER,
            )[by.task_id]
            for event, by, reply in (
                (world.first, A, adds("/n", 1, reads=("/n",))),
                (other, B, adds("/n", 2, reads=("/n",))),
            )
        ]
    assert verdicts == [Verdict.APPLIED, Verdict.CONFLICT]
    assert world.instance.data == {"n": 1}
    assert world.outbox == {other.event_id}


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (adds("/other"), Verdict.APPLIED),
        (adds("/other", reads=("/other",)), Verdict.APPLIED),
        (adds("/other", reads=("/n",)), Verdict.CONFLICT),
        (adds("/other", reads=("",)), Verdict.CONFLICT),
        (adds("/other", reads=None), Verdict.CONFLICT),
        (adds("/n"), Verdict.CONFLICT),
        (adds("/n/deeper"), Verdict.CONFLICT),
        (Reply(change=Patch({"other": 1}), reads=()), Verdict.APPLIED),
        (Reply(change=Patch({"n": None}), reads=()), Verdict.CONFLICT),
        (Reply(change=Replacement({}), reads=()), Verdict.CONFLICT),
        (Reply(reads=(), end=Completion()), Verdict.APPLIED),
        (ERROR, Verdict.APPLIED),
    ],
    ids=str,
)
def test_a_result_from_an_older_version(reply: Reply | AttemptError, verdict: Verdict) -> None:
    world = World({"n": 0})
    other = world.publish("other")
    base = world.instance.version
    world.handle(other, B, adds("/n", 5))
    assert world.handle(world.first, A, reply, base=base) is verdict
    if verdict is Verdict.CONFLICT:
        assert world.first.event_id in world.outbox, "a conflict alone writes nothing"
        assert isinstance(reply, Reply)
        assert world.handle(world.first, A, reply) is Verdict.APPLIED


def test_what_only_raised_events_meanwhile_is_no_conflict() -> None:
    world = World()
    base = world.instance.version
    world.publish("news")
    assert world.handle(world.first, A, adds("/a", reads=None), base=base) is Verdict.APPLIED


@pytest.mark.parametrize(
    "second",
    [
        Reply(end=Completion(), reads=()),
        Reply(events=(NewEvent("workflow.completed", {}),), reads=()),
        Reply(waits=(WaitRequest("and which?"),), reads=()),
        adds("/b", reads=("status",)),
    ],
    ids=["status", "event", "wait", "read"],
)
def test_status_is_a_path_like_any_other(second: Reply) -> None:
    world = World()
    other = world.publish("other")
    base = world.instance.version
    world.handle(other, B, Reply(waits=(WaitRequest("how many?"),), reads=()))
    assert world.handle(world.first, A, second, base=base) is Verdict.CONFLICT
    assert world.handle(world.first, A, adds("/a"), base=base) is Verdict.APPLIED


def test_a_delivery_that_lost_thrice_takes_the_turn_and_others_wait() -> None:
    world = World({"n": 0})
    other = world.publish("other")
    base = world.instance.version
    touch = EventTouch(world.first, (A,))
    with world.drafting() as draft:
        take_turn(draft, touch, A, router_id=ROUTER)
    row = world.row(world.first, A)
    assert row is not None
    assert row.conflicts == CONFLICTS_BEFORE_TURN
    assert world.handle(other, B, adds("/b"), base=base) is Verdict.WAIT
    assert world.handle(other, B, ERROR) is Verdict.APPLIED, "a failure needs no turn"
    world.publish("news")
    assert world.handle(world.first, A, adds("/n")) is Verdict.APPLIED
    assert world.instance.turn is None
    world.claim(other, B)
    assert world.handle(other, B, adds("/b"), base=base, attempt=2) is Verdict.APPLIED


def test_a_turn_ends_with_its_time_or_when_its_call_ended_without_a_result() -> None:
    world = World()
    other = world.publish("other")
    touch = EventTouch(world.first, (A,))
    with world.drafting() as draft:
        take_turn(draft, touch, A, router_id=ROUTER)
    with world.drafting() as draft:
        take_turn(draft, EventTouch(other, (B,)), B, router_id=ROUTER)
    assert world.instance.turn is not None
    assert world.instance.turn.holder == (world.first.event_id, "a"), "it is not taken away"
    world.pass_time(A.timeout + 3)
    assert world.handle(other, B, adds("/b")) is Verdict.APPLIED

    for ends in (
        EventTouch(
            world.first, (A,), {}, {"a": Delivery(world.first.event_id, "a", DeliveryState.READY)}
        ),
        EventTouch(world.first, (A,), {"a": CallResult(A, 1, 1, CUT)}),
    ):
        with world.drafting() as draft:
            take_turn(draft, touch, A, router_id=ROUTER)
        assert world.instance.turn is not None
        world.touch(ends)
        assert world.instance.turn is None
        world.claim(world.first, A)
