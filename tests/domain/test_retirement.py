"""What becomes of a retired task's open deliveries: dead letters, under CONTINUE, and nothing stalls."""

from __future__ import annotations

import pytest
from domain.world import ROUTER, World, task

from waystation_domain.model import (
    DeadLetterState,
    Delivery,
    DeliveryState,
    Event,
    OnFailure,
    Result,
    Status,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import AttemptError, Reply, Verdict
from waystation_domain.results import EventTouch
from waystation_domain.retirement import retire
from waystation_domain.task_spec import TaskSpec

OLD, NEW = task("old"), task("new")
NO_LUCK = AttemptError("TASK_FAILURE", "NO_LUCK", "not now")
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)


def put(world: World, event: Event, state: DeliveryState, *beside: TaskSpec) -> None:
    """The first touch of an event, which leaves OLD's delivery in this state."""
    leased_by = ROUTER if state is DeliveryState.LEASED else None
    row = Delivery(event.event_id, "old", state, leased_by=leased_by)
    world.touch(EventTouch(event, (OLD, *beside), {}, {"old": row}))


def retire_old(world: World) -> int:
    with world.drafting() as draft:
        return retire(
            draft,
            [
                (row, world.events[event_id])
                for (event_id, task_id), row in list(world.deliveries.items())
                if task_id == "old"
            ],
        )


@pytest.mark.parametrize(
    "state",
    [
        DeliveryState.READY,
        DeliveryState.NO_ENDPOINT,
        DeliveryState.AT_CAPACITY,
        DeliveryState.PENDING,
    ],
)
def test_what_waits_to_be_called_becomes_a_dead_letter_and_the_workflow_goes_on(
    state: DeliveryState,
) -> None:
    world = World()
    put(world, world.first, state, NEW)
    assert OLD.on_failure is OnFailure.FAIL_WORKFLOW
    assert retire_old(world) == 1
    (letter,) = world.open_dead_letters()
    assert (letter.task_id, letter.attempts) == ("old", 0)
    assert letter.on_failure is OnFailure.CONTINUE
    entry = world.history[-1]
    assert (entry.processed_by, entry.result, entry.attempt) == ("old", Result.FAILED, 0)
    assert entry.error is not None
    assert (entry.error["reason"], entry.error["permanent"]) == ("TASK_RETIRED", True)
    assert retire_old(world) == 0, "once"

    change = (Operation("/n", "set", 1),)
    assert world.handle(world.first, NEW, Reply(change=change)) is Verdict.APPLIED
    assert world.instance.status is Status.ACTIVE
    assert world.instance.unsettled == 0
    world.discard(letter)
    world.touch_unhandled(world.raised("workflow.dead_letter.discarded")[0])
    assert world.instance.idle is not None
    world.check_history()


def test_a_retry_under_way_is_over_with_the_attempts_that_it_took() -> None:
    world = World()
    world.handle(world.first, OLD, NO_LUCK)
    assert retire_old(world) == 1
    (letter,) = world.open_dead_letters()
    assert (letter.attempts, world.history[-1].attempt) == (1, 1)


def test_what_is_in_call_finishes_and_counts() -> None:
    world = World()
    put(world, world.first, DeliveryState.LEASED)
    assert retire_old(world) == 0
    done = Reply(change=(Operation("/n", "set", 1),))
    assert world.handle(world.first, OLD, done) is Verdict.APPLIED
    assert world.instance.data == {"n": 1}
    # A call that fails is not made again: the look that goes on finds what it left.
    event = world.publish("again")
    put(world, event, DeliveryState.LEASED)
    world.handle(event, OLD, NO_LUCK)
    assert retire_old(world) == 1


def test_of_an_ended_instance_it_is_skipped_and_of_what_its_end_raised_a_dead_letter() -> None:
    world = World()
    put(world, world.first, DeliveryState.NO_ENDPOINT)
    world.cancel()
    (cancelled,) = world.raised("workflow.cancelled")
    put(world, cancelled, DeliveryState.NO_ENDPOINT)
    assert retire_old(world) == 1
    assert [letter.event for letter in world.open_dead_letters()] == [cancelled]
    results = {entry.event_id: entry.result for entry in world.history}
    assert results[world.first.event_id] is Result.SKIPPED
    assert world.instance.unsettled == 0


def test_of_a_failed_instance_it_is_held_and_retired_when_that_goes_on() -> None:
    world = World()
    ready, held = world.publish("ready"), world.publish("held")
    put(world, ready, DeliveryState.NO_ENDPOINT)
    world.handle(world.first, NEW, BROKEN)
    put(world, held, DeliveryState.READY)
    assert retire_old(world) == 0
    assert {row.state for row, _ in world.held()} == {DeliveryState.HELD}
    assert len(world.held()) == 2
    (letter,) = world.open_dead_letters()
    world.retry(letter)
    assert retire_old(world) == 2
    assert world.instance.status is Status.ACTIVE


def test_a_retry_of_its_dead_letter_comes_back_as_another_one() -> None:
    world = World()
    world.handle(world.first, OLD, BROKEN)
    assert retire_old(world) == 0, "it is dead already"
    (letter,) = world.open_dead_letters()
    world.retry(letter)
    assert world.instance.status is Status.ACTIVE
    assert retire_old(world) == 1
    assert world.instance.status is Status.ACTIVE
    states = [one.state for one in world.letters.values()]
    assert states == [DeadLetterState.RETRIED, DeadLetterState.OPEN]
