"""What a router calls, with whom beside it, and what it holds while a call lasts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from router.given import INSTANCE, NO_REGISTRY, meters_of
from router.whole import SERVICE, Endpoints, Made, WholeRouter, task
from store.instances import a_start
from support.scripted_store import broken, held, unavailable
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.broker.in_process import InProcessBroker
from waystation_core.ports.broker import Notice
from waystation_core.ports.store import Loaded, Registration, WriteRefused
from waystation_core.providers import PROVIDERS
from waystation_core.rpc.attempts import NotSent
from waystation_domain.commit import EventFacts
from waystation_domain.draft import Draft, Rules
from waystation_domain.history import record_action
from waystation_domain.model import CLIENT, DeliveryState, Event, Status, unshared
from waystation_domain.operations import Operation, apply
from waystation_domain.pools import Pool
from waystation_router import ledger as ledger_module
from waystation_router import sweeper as sweeper_module
from waystation_router.attempt_spans import NoSpans
from waystation_router.calls import Calls
from waystation_router.commit_queue import CommitQueue
from waystation_router.endpoints import Cancelled
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.pools import PoolsSeen


async def test_no_lock_is_held_while_a_task_is_in_call(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    workflow_instance_id = made.request.context.workflow_instance_id
    async with whole.engine.store.locked(workflow_instance_id=workflow_instance_id) as locked:
        assert locked.instance.status is Status.ACTIVE
    made.answer()
    await whole.all_settled()


@pytest.mark.parametrize("known", [True, False], ids=["the copy is new", "the copy is old"])
async def test_a_task_that_comes_before_the_first_commit_gets_the_event_too(
    whole: WholeRouter, known: bool
) -> None:
    await whole.register(task("early"))
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    frozen = None if known else whole.script.on("namespaces", held())
    if frozen is not None:
        await eventually(lambda: _is(frozen.reached.is_set()), what="the copy to stay as it is")
    await whole.register(task("early"), task("late"))
    if known:
        # The look after the next one has begun.
        seen = whole.script.calls["namespaces"] + 2
        await eventually(
            lambda: _is(whole.script.calls["namespaces"] >= seen), what="the copy to be new"
        )
    made.answer()
    if frozen is not None:
        await eventually(lambda: _is(whole.script.calls["locked"] > 0), what="the second form")
        frozen.open()
    calls = await whole.endpoints.made(2)
    assert [call.request.task_id for call in calls] == ["early", "late"]
    calls[1].answer()
    await whole.all_settled()


async def _is(condition: bool) -> bool:
    return condition


async def test_one_result_that_postgres_refuses_delays_no_other(whole: WholeRouter) -> None:
    await whole.register(task())
    whole.endpoints.on_call = lambda made: made.answer()
    whole.script.on("commit", broken(WriteRefused("a value that no column takes")))
    await whole.start()
    await whole.begin(5)
    await whole.all_settled()


async def test_an_event_that_was_announced_often_is_called_alone(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.engine.store.start([start := a_start()])
    await whole.engine.rows("UPDATE outbox SET announcements = 3, due_at = now()")
    await whole.start()
    (made,) = await whole.endpoints.made(1)
    assert made.request.event.event_id == start.event.event_id
    assert made.alone
    made.answer()
    await whole.all_settled()


async def test_an_event_that_was_in_hand_elsewhere_is_called_alone(whole: WholeRouter) -> None:
    await whole.register(task())
    other = InProcessBroker(whole.hub)
    subscription = await other.consume(prefetch=10)
    await whole.begin()
    assert len(await subscription.take(10)) == 1
    await other.close()
    await whole.start()
    (made,) = await whole.endpoints.made(1)
    assert made.alone
    made.answer()
    await whole.all_settled()


async def test_so_many_calls_of_a_task_at_once_and_no_more(whole: WholeRouter) -> None:
    at_once: list[int] = []

    def called(made: Made) -> None:
        at_once.append(sum(not each.outcome.done() for each in whole.endpoints.calls))

    def answered(made: Made) -> None:
        called(made)
        made.answer()

    whole.endpoints.on_call = called
    await whole.register(task(max_in_flight=2))
    await whole.start()
    await whole.begin(5)
    await whole.endpoints.made(2)
    received = whole.broker.status
    await eventually(lambda: _is(received().counters.received == 5), what="all to be taken in")
    whole.endpoints.on_call = answered
    for made in list(whole.endpoints.calls):
        made.answer()
    await whole.all_settled()
    assert len(at_once) == 5
    assert max(at_once) == 2


async def test_what_waits_for_a_place_costs_no_lock(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one slow task thousands go off the fast way and come back: together, not one by one."""
    monkeypatch.setattr(sweeper_module, "ACK_HOLD", 0.0)
    await whole.register(task(max_in_flight=1))
    await whole.start()
    await whole.begin(20)
    (made,) = await whole.endpoints.made(1)

    async def off_the_fast_way() -> list[tuple[Any, ...]]:
        return await whole.engine.rows(
            "SELECT state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1"
        )

    at_last = [(int(DeliveryState.LEASED), 1), (int(DeliveryState.AT_CAPACITY), 19)]
    await eventually(off_the_fast_way, until=lambda found: found == at_last, what="19 to be parked")
    whole.endpoints.on_call = lambda made: made.answer()
    made.answer()
    await whole.all_settled()
    assert whole.script.calls["locked"] == 0


async def test_what_is_submitted_for_one_that_was_let_go_is_not_lost() -> None:
    """A commit on its way lets go of an event that was submitted once more; the event comes back in hand, and
    its result takes the place of the old one in the queue."""
    ledger = Ledger()
    event = Event("01a20000-0000-7000-8000-000000000001", "asked", {}, "split", version=2)
    facts = EventFacts(False, {})
    ledger.learn(Loaded({event.event_id: (event, 1)}, {1: INSTANCE}, {event.event_id: facts}))
    queue = CommitQueue(ledger)
    let_go = ledger.open(event, ledger.state(1), facts, 3)
    queue.put(let_go)
    ledger.close(let_go)
    back = ledger.open(event, ledger.state(1), facts, 3)
    back.calls["score"] = DeliveryCall(task())
    queue.put(back)
    queue.close()
    assert [portion.handlings for portion in await queue.take()] == [[back]]
    assert ledger.handlings[event.event_id] is back


async def test_what_cost_every_attempt_a_router_is_called_no_more(whole: WholeRouter) -> None:
    await whole.register(task(attempts=2))
    start = a_start()
    await whole.engine.store.start([start])
    await whole.engine.rows(
        "INSERT INTO deliveries (event_id, task_id, instance_key, state, attempts, suspect, "
        "conflicts, edit, due_at) "
        "SELECT event_id, 'score', instance_key, 1, 2, true, 0, 0, now() FROM outbox"
    )
    await whole.engine.rows("DELETE FROM outbox")
    await whole.start()

    async def letters() -> list[tuple[Any, ...]]:
        return await whole.engine.rows("SELECT attempts, error->>'reason' FROM dead_letters")

    assert await eventually(letters, what="the dead letter") == [(2, "CALL_CUT")]
    assert whole.endpoints.calls == []


async def test_a_delivery_that_lost_three_times_has_the_turn(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    for tries in range(1, 4):
        made = (await whole.endpoints.made(tries))[-1]
        await _somebody_writes(whole, made, tries)
        response = pb.HandleEventResponse()
        response.result.data_patch.update({"mine": tries})
        made.answer(response)
    made = (await whole.endpoints.made(4))[-1]
    holders = await whole.engine.rows("SELECT turn_holder FROM workflow_instances")
    assert holders == [(f"{made.request.event.event_id}:score",)]
    made.answer()
    await whole.all_settled()
    assert await whole.engine.rows("SELECT turn_holder FROM workflow_instances") == [(None,)]


async def _somebody_writes(whole: WholeRouter, made: Made, value: int) -> None:
    """Something else changes the instance's data while it is in call."""
    workflow_instance_id = made.request.context.workflow_instance_id
    async with whole.engine.store.locked(workflow_instance_id=workflow_instance_id) as locked:
        event = await locked.event(made.request.event.event_id)
        assert event is not None
        draft = Draft(locked.instance, facts={}, rules=Rules(PROVIDERS), now=datetime.now(UTC))
        operations = [Operation("/theirs", "set", value)]
        draft.touch(data=apply(locked.instance.data, operations))
        record_action(draft, "input", event, by=CLIENT, operations=operations)
        await locked.write(draft.commit())


async def test_an_instance_that_was_cancelled_meanwhile_is_not_called() -> None:
    ledger = Ledger()
    ledger.learn(Loaded({}, {INSTANCE.key: INSTANCE}, {}))
    told: list[Handling] = []
    spec = task(max_in_flight=1)
    endpoints = Endpoints()
    endpoints.update([Registration("", SERVICE, "1", "127.0.0.1", 7500, True, (spec,))])
    calls = Calls(
        ledger,
        cast(Any, None),
        cast(Any, endpoints),
        PoolsSeen(Pool("default", routers=1)),
        NO_REGISTRY,
        told.append,
        floods=lambda workflow_type, namespace: False,
        meters=meters_of(ledger),
        spans=NoSpans(),
    )
    handling = ledger.open(
        Event("01a20000-0000-7000-8000-000000000001", "asked", {}, "split", version=2),
        ledger.state(INSTANCE.key),
        EventFacts(True),
        INSTANCE.revision,
    )
    handling.calls["score"] = call = DeliveryCall(spec)
    cancelled = unshared(INSTANCE)
    object.__setattr__(cancelled, "status", Status.CANCELLED)
    handling.state.instance = cancelled
    calls.start(handling, call)
    assert not endpoints.calls
    assert told == [handling], "the commit says what becomes of it"


async def test_a_copy_that_is_wrong_drops_no_result(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    handling = whole.router._ledger.handlings[made.request.event.event_id]
    # As if its outcome were known, at the revision that the instance has.
    handling.facts = EventFacts(False)
    response = pb.HandleEventResponse()
    response.result.data_patch.update({"done": True})
    made.answer(response)
    await whole.all_settled()
    assert await whole.engine.rows("SELECT data FROM workflow_instances") == [({"done": True},)]
    assert len(whole.endpoints.calls) == 1


async def test_what_was_never_sent_costs_no_attempt(whole: WholeRouter) -> None:
    await whole.register(task())
    whole.endpoints.on_call = lambda made: made.end(NotSent("nobody is there"))
    await whole.start()
    await whole.begin()

    async def parked() -> list[tuple[Any, ...]]:
        return await whole.engine.rows("SELECT attempts FROM deliveries WHERE state = 3")

    assert await eventually(parked, what="the delivery to be parked") == [(0,)]
    whole.endpoints.on_call = lambda made: made.answer()
    whole.endpoints.changed()
    await whole.all_settled()
    assert {made.attempt for made in whole.endpoints.calls} == {1}


async def test_an_endpoint_that_comes_while_a_delivery_is_being_parked_gets_it_at_once(
    whole: WholeRouter,
) -> None:
    await whole.register(task())
    nobody = NotSent("nobody announces it", unannounced=True)
    whole.endpoints.on_call = lambda made: made.end(nobody)
    late, locked = whole.script.on("commit", held()), whole.script.on("locked", held())
    await whole.start()
    await whole.begin()

    async def on_its_way() -> bool:
        return late.reached.is_set() or locked.reached.is_set()

    await eventually(on_its_way, what="the delivery to be on its way into the database")
    whole.endpoints.on_call = lambda made: made.answer()
    whole.endpoints.changed()
    woken = whole.script.calls["wake_parked"] + 1

    async def looked() -> bool:
        return whole.script.calls["wake_parked"] > woken

    await eventually(looked, what="a look at what is parked, after the change")
    whole.script.heal()
    await whole.all_settled()


async def test_a_result_older_than_what_is_remembered_is_decided_under_the_lock(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MAX_REMEMBERED_WRITES", 2)
    await whole.register(task("slow"), task("step", "step"), task("first"))
    steps_left = iter(range(9, -1, -1))

    def on_call(made: Made) -> None:
        response = pb.HandleEventResponse(result={"reads": {}})
        if made.request.task_id == "first":
            # What the slow one reads is written first, and then much else.
            response.result.operations.items.add(path="/seen", set={"bool_value": True})
            response.result.events.add(event_type="step")
        elif made.request.task_id == "step":
            response.result.operations.items.add(path="/steps", increment=1)
            if next(steps_left) > 0:
                response.result.events.add(event_type="step")
        else:
            return
        made.answer(response)

    whole.endpoints.on_call = on_call
    await whole.start()
    await whole.begin()

    async def steps() -> list[tuple[Any, ...]]:
        return await whole.engine.rows("SELECT data->>'steps' FROM workflow_instances")

    await eventually(steps, until=lambda found: found == [("10",)], what="ten steps")
    (slow,) = [made for made in whole.endpoints.calls if made.request.task_id == "slow"]
    response = pb.HandleEventResponse(result={"reads": {"paths": ["/seen"]}})
    response.result.operations.items.add(path="/slow", set={"string_value": "saw nothing"})
    slow.answer(response)

    async def slow_calls() -> list[Made]:
        return [made for made in whole.endpoints.calls if made.request.task_id == "slow"]

    (_, again) = await eventually(
        slow_calls, until=lambda calls: len(calls) == 2, what="it to be called again"
    )
    assert again.request.context.data["seen"] is True
    again.answer()
    await whole.all_settled()


async def test_calls_of_a_cancelled_instance_are_cancelled_at_its_notice(
    whole: WholeRouter,
) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin(2)
    made, other = await whole.endpoints.made(2)
    whole.broker.notify(
        [
            Notice(
                workflow_instance_id=made.request.context.workflow_instance_id,
                version=2,
                status=int(Status.CANCELLED),
                idle=False,
                namespace="default",
            )
        ]
    )
    async with asyncio.timeout(20):
        assert isinstance(await made.outcome, Cancelled)
    assert not other.outcome.done()


async def test_a_router_starts_through_an_outage(whole: WholeRouter) -> None:
    """Postgres went away between the look at its schema and the first read."""
    await whole.register(task())
    whole.script.on("changes", unavailable(), calls=(1, 2))
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    made.answer()
    await whole.all_settled()


async def test_the_newest_entries_come_with_a_delivery_up_to_the_version_that_it_shows(
    whole: WholeRouter,
) -> None:
    await whole.register(task("plain"), task("curious", history_entries=2))
    frozen = whole.script.on("newest_history", held())
    await whole.start()
    await whole.begin()
    (plain,) = await whole.endpoints.made(1)
    assert (len(plain.request.history), plain.request.history_left_out) == (0, 0)
    await eventually(lambda: _is(frozen.reached.is_set()), what="history to be read")
    # Meanwhile the instance moves on.
    plain.answer(
        pb.HandleEventResponse(
            result={"events": [{"event_type": "more"}, {"event_type": "no.task"}]}
        )
    )
    workflow_instance_id = plain.request.context.workflow_instance_id

    async def version() -> int:
        return (await whole.engine.queries.instances([workflow_instance_id]))[
            workflow_instance_id
        ].version

    moved = await eventually(version, until=lambda now: now >= 4, what="three more entries")
    frozen.open()
    curious = (await whole.endpoints.made(2))[1]
    assert curious.request.context.version == moved
    assert [entry.sequence for entry in curious.request.history] == [moved - 1, moved]
    assert curious.request.history_left_out == moved - 2
    curious.answer()
    await whole.all_settled()


async def test_the_result_of_a_task_that_handles_the_type_no_more_is_dropped_at_once(
    whole: WholeRouter,
) -> None:
    """Or it is committed again and again, until the event's other calls get their leases."""
    await whole.register(task("old"))
    await whole.start()
    (event,) = await whole.begin()
    (old,) = await whole.endpoints.made(1)
    registry = whole.router._registries.of("default")
    before = registry.generation
    await whole.register(task("old", "other"), task("new"))

    async def generation() -> int:
        return registry.generation

    await eventually(generation, until=lambda now: now > before, what="the new tasks")
    old.answer()
    _, new = await whole.endpoints.made(2)
    assert list(whole.router._ledger.handlings[event.event_id].calls) == ["new"]
    new.answer()
    await whole.all_settled()
    assert [made.request.task_id for made in whole.endpoints.calls] == ["old", "new"]
