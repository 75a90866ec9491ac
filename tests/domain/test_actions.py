"""What clients and operators ask for: input, publish, cancel, dead letters, catch-up."""

from __future__ import annotations

import pytest
from domain.world import World, task

from waystation_domain import actions
from waystation_domain.details import WaitEnded
from waystation_domain.errors import (
    ContextTooLarge,
    InvalidStruct,
    PathTypeMismatch,
    PayloadTooLarge,
    VersionMismatch,
    WaitIdRequired,
    WorkflowEnded,
    WorkflowNotWaiting,
)
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    JsonObject,
    NewEvent,
    OnFailure,
    Result,
    Status,
    idempotency_key,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import AttemptError, Completion, Reply, Verdict, WaitRequest
from waystation_domain.results import EventTouch

A, B = task("a"), task("b")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)


def asked(world: World, *wait_ids: str) -> None:
    for wait_id in wait_ids:
        event = world.publish("ask")
        world.handle(event, A, Reply(waits=(WaitRequest(f"{wait_id}?", wait_id),)))


# --- input -----------------------------------------------------------------------------------


def test_an_answer_is_merged_and_the_last_one_ends_the_waiting() -> None:
    world = World({"a": {"kept": 1}, "n": 0})
    world.handle(world.first, A, Reply())
    asked(world, "first", "second")
    with pytest.raises(WaitIdRequired) as several:
        world.answer("", {})
    assert several.value.metadata["wait_ids"] == "first,second"
    many = World()
    asked(many, *(f"{at:0200}" for at in range(100)))
    with pytest.raises(WaitIdRequired) as most:
        many.answer("", {})
    with pytest.raises(WorkflowNotWaiting) as none:
        many.answer("another", {})
    for refused in (most.value, none.value):
        # Message and details travel as headers.
        assert "and 90 more" in refused.message
        assert len(refused.message) + len(str(refused.metadata)) < 5_000
    event = world.answer("second", {"a/b": {"~": 1}, "n": None})
    assert world.instance.status is Status.WAITING_FOR_INPUT
    assert world.instance.data == {"a": {"kept": 1}, "n": None, "a/b": {"~": 1}}
    asks = {"wait_id": "second", "task_id": "a", "message": "second?"}
    assert event.payload == {**asks, "input": {"a/b": {"~": 1}, "n": None}}
    with pytest.raises(WorkflowNotWaiting):
        world.answer("second", {})
    world.answer("", {"a": 5})
    assert world.instance.status is Status.ACTIVE
    assert world.instance.data["a"] == 5
    assert world.history[-1].detail == WaitEnded("first")
    world.check_history()


def asked_apart(path: str, data: JsonObject) -> World:
    world = World(data)
    world.handle(world.first, A, Reply(waits=(WaitRequest("?", "w", answer_path=path),)))
    return world


def test_an_answer_goes_to_the_place_that_its_wait_names_and_nowhere_else() -> None:
    world = asked_apart("/reviews/legal", {"amount": 5, "reviews": {"tax": True}})
    given = {"amount": 9, "": None, "/reviews/tax": False}
    event = world.answer("", given, "ada@example.org")
    assert world.instance.data == {"amount": 5, "reviews": {"tax": True, "legal": given}}
    asks = {"wait_id": "w", "task_id": "a", "message": "?"}
    assert event.payload == {**asks, "input": given, "answered_by": "ada@example.org"}
    assert world.history[-1].detail == WaitEnded("w", "ada@example.org")
    world.check_history()


def test_an_answer_at_a_place_conflicts_with_what_touches_that_place_alone() -> None:
    world = asked_apart("/reviews/-", {"amount": 5, "reviews": [1]})
    others = [world.publish("others") for _ in range(3)]
    base = world.instance.version
    world.answer("w", {"amount": 9})
    assert world.instance.data["reviews"] == [1, {"amount": 9}]
    seen = [
        world.handle(
            event,
            B,
            Reply(change=(Operation(f"/seen{at}", "set", 0),), reads=(place,)),
            base=base,
        )
        for at, (event, place) in enumerate(zip(others, ("/amount", "/reviews/0", ""), strict=True))
    ]
    assert seen == [Verdict.APPLIED, Verdict.CONFLICT, Verdict.CONFLICT]


def test_an_answer_whose_place_is_gone_is_refused_and_may_be_given_again() -> None:
    world = asked_apart("/reviews/legal", {"reviews": {}})
    other = world.publish("other")
    world.handle(other, B, Reply(change=(Operation("/reviews", "set", "none"),)))
    with pytest.raises(PathTypeMismatch) as refused:
        world.answer("w", {"yes": True})
    assert refused.value.metadata == {"path": "/reviews/legal", "found": "string"}
    assert world.instance.status is Status.WAITING_FOR_INPUT
    world.handle(
        world.publish("other"), B, Reply(change=(Operation("/reviews", "set", {}),), reads=())
    )
    world.answer("w", {"yes": True})
    assert world.instance.data == {"reviews": {"legal": {"yes": True}}}


def test_the_event_of_an_answer_keeps_the_limits_of_a_payload() -> None:
    world = World()
    asked(world, "w")
    deep: JsonObject = {}
    for _ in range(15):
        deep = {"in": deep}
    # Merged, each of them would be small enough for data.
    with pytest.raises(InvalidStruct):
        world.answer("w", deep)
    with pytest.raises(PayloadTooLarge):
        world.answer("w", {"x": "y" * (2**20 - 30)})
    world.answer("w", deep["in"])


def test_an_answer_that_makes_the_context_too_large_changes_nothing() -> None:
    world = World()
    asked(world, "one")
    before = world.instance
    with pytest.raises(ContextTooLarge):
        world.answer("one", {"text": "x" * 2**20})
    assert world.instance is before


def test_input_conflicts_with_what_was_computed_before_it() -> None:
    world = World()
    asked(world, "one")
    base = world.instance.version
    world.answer("one", {"n": 1})
    reads_it = Reply(change=(Operation("/seen", "set", 0),), reads=("/n",))
    assert world.handle(world.first, A, reads_it, base=base) is Verdict.CONFLICT


def test_waits_without_an_id_get_one_each() -> None:
    world = World()
    asked(world, "", "")
    ids = [wait.wait_id for wait in world.instance.waits]
    assert len(set(ids)) == 2
    assert all(ids)


def test_cancelling_ends_the_waiting() -> None:
    world = World()
    asked(world, "one")
    world.cancel()
    assert world.instance.waits == ()
    assert world.instance.failure is not None
    assert world.instance.failure.message == "no longer needed"
    with pytest.raises(WorkflowEnded):
        world.answer("one", {})


def test_a_failed_instance_asks_again_when_it_goes_on() -> None:
    """FAILED while a person was asked: the question is still there after the retry."""
    world = World()
    asked(world, "one")
    world.handle(world.first, A, BROKEN)
    assert world.instance.status is Status.FAILED
    world.retry(world.open_dead_letters()[0])
    assert world.instance.status is Status.WAITING_FOR_INPUT
    assert len(world.raised("workflow.waiting_for_input")) == 2
    world.answer("one", {"n": 1})
    assert world.instance.status is Status.ACTIVE


def test_who_decided_on_another_version_is_refused() -> None:
    world = World()
    actions.expect_version(world.instance, 1)
    actions.expect_version(world.instance, None)
    with pytest.raises(VersionMismatch) as refused:
        actions.expect_version(world.instance, 2)
    assert refused.value.metadata == {"expected_version": "2", "version": "1"}


# --- dead letters ----------------------------------------------------------------------------


def test_an_edited_retry_has_a_key_and_a_payload_of_its_own() -> None:
    world = World({"n": "wrong"})
    keys, payloads = [], []
    for payload in (None, {"n": 1}, {"n": 1}, {"n": True}, {"n": "wrong"}):
        row = world.row(world.first, A)
        edit = row.edit if row is not None else 0
        if row is not None:
            world.claim(world.first, A)
        world.handle(world.first, A, BROKEN, edit=edit)
        world.retry(world.open_dead_letters()[0], payload)
        row = world.row(world.first, A)
        assert row is not None
        assert (row.state, row.attempts) == (DeliveryState.READY, 0)
        key = idempotency_key(world.first.event_id, row.task_id, row.edit)
        keys.append(key.removeprefix(world.first.event_id))
        payloads.append(row.payload)
    assert keys == [":a", ":a:edit-1", ":a:edit-1", ":a:edit-2", ":a:edit-3"]
    assert payloads == [None, {"n": 1}, {"n": 1}, {"n": True}, {"n": "wrong"}]


def test_a_late_result_of_the_unedited_delivery_is_none_of_the_edited_one() -> None:
    world = World()
    world.handle(world.first, A, BROKEN)
    world.retry(world.open_dead_letters()[0], {"n": 1})
    assert world.handle(world.first, A, Reply(), edit=0) is Verdict.DUPLICATE
    world.claim(world.first, A)
    assert world.handle(world.first, A, Reply(), edit=1) is Verdict.APPLIED


def test_what_failed_twice_goes_on_twice() -> None:
    world = World()
    other = world.publish("other")
    world.handle(world.first, A, BROKEN)
    world.retry(world.open_dead_letters()[0])
    world.claim(world.first, A)
    world.handle(other, B, BROKEN)
    assert world.handle(world.first, A, Reply()) is Verdict.HELD
    world.retry(world.open_dead_letters()[0])
    for event, by in ((world.first, A), (other, B)):
        world.claim(event, by)
        assert world.handle(event, by, Reply()) is Verdict.APPLIED
    assert world.instance.status is Status.ACTIVE
    assert world.outbox == {one.event_id for one in world.raised("workflow.failed")}


def test_a_retry_reopens_its_event_only_where_it_was_settled() -> None:
    """`World` counts what is unsettled by itself."""
    for others_first in (True, False):
        world = World()
        tasks = (LENIENT, A)
        world.handle(world.first, LENIENT, BROKEN, tasks=tasks)
        if others_first:
            world.handle(world.first, A, Reply(), tasks=tasks)
        world.retry(world.open_dead_letters()[0])
        assert world.instance.unsettled == 1
        world.claim(world.first, LENIENT)
        world.handle(world.first, LENIENT, Reply())
        world.handle(world.first, A, Reply())
        assert world.instance.unsettled == 0


def test_the_last_discard_leaves_an_instance_idle_with_a_reason() -> None:
    world = World(resolve=lambda *_: ())
    world.handle(world.first, LENIENT, BROKEN)
    assert world.instance.idle is None
    world.discard(world.open_dead_letters()[0])
    assert world.instance.idle is not None
    assert "its dead letter was discarded" in world.instance.idle.message
    assert [entry.result for entry in world.history[-2:]] == [Result.SKIPPED, Result.UNHANDLED]


def test_after_a_registry_change_a_router_settles_the_unhandled_event_of_a_discard() -> None:
    world = World()
    world.handle(world.first, LENIENT, BROKEN)
    world.discard(world.open_dead_letters()[0])
    assert world.instance.idle is None
    world.touch_unhandled(world.raised("workflow.dead_letter.discarded")[0])
    assert world.instance.idle is not None
    assert world.instance.idle.message == (
        "`workflow.dead_letter.discarded` was raised by client; the dead letter of lenient for "
        "`workflow.started` is discarded"
    )


def test_a_discard_is_reported_also_after_the_end_with_how_many_are_left() -> None:
    world = World()
    ask = NewEvent("ask", {}, priority=7, metadata={"traceparent": "x"})
    with world.drafting() as draft:
        other = actions.publish(draft, ask)
    world.handle(other, LENIENT, BROKEN)
    world.handle(world.first, A, BROKEN)
    (failed,) = world.raised("workflow.failed")
    assert failed.payload["open_dead_letters"] == 2
    lenient, strict = world.open_dead_letters()
    world.discard(lenient)
    world.discard(strict)
    first, second = world.raised("workflow.dead_letter.discarded")
    assert first.payload == {
        "dead_letter_id": lenient.dead_letter_id,
        "task_id": "lenient",
        "event_id": other.event_id,
        "event_type": "ask",
        "reason": "BROKEN",
        "message": "it is broken",
        "open_dead_letters": 1,
    }
    assert (second.payload["task_id"], second.payload["open_dead_letters"]) == ("a", 0)
    assert (first.raised_by, first.causation_id) == ("client", other.event_id)
    assert (first.effective_priority, first.metadata) == (7, {"traceparent": "x"})
    assert [entry.raised for entry in world.history[-2:]] == [(first.event_id,), (second.event_id,)]
    # A compensation hears it, though nothing else of the instance is delivered any more.
    undo = Reply(change=(Operation("/undone", "set", True),))
    assert world.handle(second, B, undo) is Verdict.APPLIED
    assert world.instance.data["undone"] is True
    assert world.instance.status is Status.FAILED


def test_a_discard_is_reported_at_the_limit_of_events_too() -> None:
    world = World(max_events=1)
    world.handle(world.first, LENIENT, BROKEN)
    world.discard(world.open_dead_letters()[0])
    assert len(world.raised("workflow.dead_letter.discarded")) == 1


def test_what_was_held_is_skipped_when_no_dead_letter_is_left() -> None:
    world = World()
    others = [world.publish("other") for _ in range(2)]
    world.touch(EventTouch(others[1], (A, B), {}, _parked(others[1])))
    world.handle(world.first, A, BROKEN)
    world.touch(EventTouch(others[0], (A,)))
    assert len(world.held()) == 1
    world.discard(world.open_dead_letters()[0])
    assert world.held() == []
    # What was not held yet finds the same when it is touched.
    for by in (A, B):
        assert world.handle(others[1], by, Reply()) is Verdict.SKIPPED
    assert world.instance.unsettled == 2, "workflow.failed, and that the letter is discarded"
    assert world.instance.status is Status.FAILED


def _parked(event: Event) -> dict[str, Delivery]:
    return {
        task_id: Delivery(event.event_id, task_id, DeliveryState.NO_ENDPOINT)
        for task_id in ("a", "b")
    }


def test_a_dead_letter_of_the_end_is_retried_without_reopening_the_instance() -> None:
    world = World()
    held = world.publish("held")
    world.handle(world.first, A, BROKEN)
    world.touch(EventTouch(held, (A,)))
    (failed,) = world.raised("workflow.failed")
    world.handle(failed, A, BROKEN)
    of_the_end = next(one for one in world.open_dead_letters() if one.event is failed)
    assert of_the_end.on_failure is OnFailure.CONTINUE
    world.discard(next(one for one in world.open_dead_letters() if one.event is not failed))
    assert len(world.held()) == 1
    world.retry(of_the_end)
    assert world.instance.status is Status.FAILED
    assert world.held() == [], "nothing is left that could make it go on"
    world.claim(failed, A)
    assert world.handle(failed, A, Reply()) is Verdict.APPLIED
    (told,) = world.raised("workflow.dead_letter.discarded")
    world.touch_unhandled(told)
    assert world.instance.unsettled == 0


def test_a_dead_letter_of_a_completed_instance_can_only_be_discarded() -> None:
    world = World()
    other = world.publish("other")
    world.handle(other, LENIENT, BROKEN)
    world.handle(world.first, A, Reply(end=Completion()))
    (letter,) = world.open_dead_letters()
    with pytest.raises(WorkflowEnded):
        world.retry(letter)
    world.discard(letter)
    assert world.instance.dead_letters == 0


# --- catch-up --------------------------------------------------------------------------------


def test_catch_up_offers_each_late_task_what_was_unhandled_once() -> None:
    world = World()
    world.touch(EventTouch(world.first, ()))
    assert world.instance.idle is not None
    with world.drafting() as draft:
        actions.catch_up(draft, [world.first], "a")
    assert world.instance.idle is None
    in_call = world.claim(world.first, A)
    with world.drafting() as draft:
        actions.catch_up(draft, [world.first], "a")
    assert world.row(world.first, A) == in_call
    with world.drafting() as draft:
        actions.catch_up(draft, [world.first], "b")
    assert world.row(world.first, A) == in_call
    assert world.handle(world.first, B, Reply()) is Verdict.APPLIED
    assert world.instance.unsettled == 1, "the other late task has it still"
    assert world.handle(world.first, A, Reply(end=Completion())) is Verdict.APPLIED
