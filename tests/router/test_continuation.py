"""What a router's own commits raise, it handles itself: when it may, when it may not, and what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest
from router.given import INSTANCE
from router.whole import Made, WholeRouter, task
from store.instances import Engine
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.broker.in_process import InProcessSubscription
from waystation_core.ids import new_id
from waystation_core.ports.broker import Announcement, AnnounceOutcome
from waystation_core.ports.store import Loaded, RouterReport
from waystation_core.store.connections import open_connections
from waystation_domain.commit import InstanceCommit
from waystation_domain.model import DeliveryState, Event
from waystation_domain.pools import Pool
from waystation_router import sweeper
from waystation_router.continuation import (
    CALLS_TO_SPARE,
    MOST_BUFFERED,
    MOST_OF_A_COMMIT,
    Continuation,
)
from waystation_router.flood_window import FloodWindow
from waystation_router.ledger import Handling, Ledger
from waystation_router.pools import PoolsSeen
from waystation_router.portions import Portion

# --- a whole router ------------------------------------------------------------------------

TASKS = (task("first"), task("second", "went.on"))


def goes_on(made: Made) -> None:
    """The first task raises an event, which nobody answers."""
    if made.request.task_id == "first":
        response = pb.HandleEventResponse(result={})
        response.result.events.add(event_type="went.on")
        made.answer(response)


async def announced(whole: WholeRouter, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The types of all events that go over the broker, first ones of workflows too."""
    types: list[str] = []
    announce = whole.broker.announce

    async def noted(batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        types.extend(each.event_type for each in batch for _ in each.events)
        return await announce(batch)

    monkeypatch.setattr(whole.broker, "announce", noted)
    return types


async def test_what_a_commit_raises_is_handled_here_without_the_broker(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = await announced(whole, monkeypatch)
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin(3)
    calls = await whole.endpoints.made(6)
    for made in calls:
        made.answer()
    await whole.all_settled()
    assert sorted(made.request.task_id for made in whole.endpoints.calls) == [
        *["first"] * 3,
        *["second"] * 3,
    ]
    assert set(types) == {"workflow.started"}
    report = whole.router._report()
    assert (report.events_announced, report.events_continued) == (0, 3)
    assert whole.router._continuation.left() == []


async def test_switched_off_everything_goes_over_the_broker(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = WholeRouter(engine, database_url, monkeypatch, router_continues_locally=False)
    types = await announced(whole, monkeypatch)
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin(3)
    await whole.endpoints.made(6)
    assert types.count("went.on") == 3
    report = whole.router._report()
    assert (report.events_announced, report.events_continued) == (3, 0)
    await whole.stop()


async def test_a_call_that_lasts_gets_a_lease_before_others_would_announce_its_event(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "ACK_HOLD", 0.1)
    monkeypatch.setattr(sweeper, "HOLDS_EVERY", 0.05)
    # Else its event would be announced, and this router would have a message for it.
    monkeypatch.setattr(sweeper, "STARVING_AFTER", 3_600.0)
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin()
    calls = await whole.endpoints.made(2)

    async def leased() -> list[tuple[Any, ...]]:
        return await whole.engine.rows(
            "SELECT event_id::text, task_id, leased_by::text FROM deliveries WHERE state = %s",
            int(DeliveryState.LEASED),
        )

    expected = [(calls[1].request.event.event_id, "second", whole.router.router_id)]
    assert await eventually(leased, until=bool, what="a lease") == expected
    assert await whole.engine.rows("SELECT 1 FROM outbox") == []
    calls[1].answer()
    await whole.all_settled()
    assert len(whole.endpoints.calls) == 2


async def test_what_a_stopping_router_has_in_hand_is_due_at_once(whole: WholeRouter) -> None:
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin()
    calls = await whole.endpoints.made(2)
    await whole.router.stop()
    whole._started = False
    assert await whole.engine.rows(
        "SELECT event_id::text, due_at <= now(), announcements FROM outbox"
    ) == [(calls[1].request.event.event_id, True, 1)]


async def test_a_router_that_stops_begins_nothing_new(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a chain of events would keep it for as long as it is let."""
    whole = WholeRouter(engine, database_url, monkeypatch, stop_grace_seconds=20.0)
    types = await announced(whole, monkeypatch)
    await whole.register(*TASKS)
    await whole.start()
    await whole.begin()
    (first,) = await whole.endpoints.made(1)
    draining = asyncio.Event()
    drain = whole.router._calls.drain

    async def noted(seconds: float) -> None:
        draining.set()
        await drain(seconds)

    monkeypatch.setattr(whole.router._calls, "drain", noted)
    stopping = asyncio.ensure_future(whole.router.stop())
    # Before that, the event could come back over the broker.
    async with asyncio.timeout(15):
        await draining.wait()
    goes_on(first)
    async with asyncio.timeout(15):
        await stopping
    assert types.count("went.on") == 1
    assert [made.request.task_id for made in whole.endpoints.calls] == ["first"]


async def test_a_call_that_a_stopping_router_waits_for_gets_a_lease(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or others would announce its event while it lasts."""
    monkeypatch.setattr(sweeper, "ACK_HOLD", 0.1)
    # Before the stop there is no turn but the first.
    monkeypatch.setattr(sweeper, "HOLDS_EVERY", 0.5)
    whole = WholeRouter(engine, database_url, monkeypatch, stop_grace_seconds=20.0)
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin()
    calls = await whole.endpoints.made(2)
    stopping = asyncio.ensure_future(whole.router.stop())

    async def leased() -> list[tuple[Any, ...]]:
        return await whole.engine.rows(
            "SELECT event_id::text FROM deliveries WHERE state = %s", int(DeliveryState.LEASED)
        )

    try:
        found = await eventually(leased, until=bool, timeout=15, what="a lease")
    finally:
        calls[1].answer()
        async with asyncio.timeout(15):
            await stopping
    assert found == [(calls[1].request.event.event_id,)]
    assert await whole.open_events() == 0


async def test_what_is_handled_at_once_has_the_times_of_its_commit(whole: WholeRouter) -> None:
    await whole.register(*TASKS)
    whole.endpoints.on_call = goes_on
    await whole.start()
    await whole.begin()
    request = (await whole.endpoints.made(2))[1].request
    ((created_at, updated_at),) = await whole.engine.rows(
        "SELECT e.created_at, i.updated_at FROM events e JOIN workflow_instances i ON key = instance_key "
        "WHERE event_id = %s::uuid",
        request.event.event_id,
    )
    assert request.event.created_at.ToDatetime(UTC) == created_at
    assert request.context.updated_at.ToDatetime(UTC) == updated_at


async def test_what_has_no_place_here_is_announced_to_the_other_routers(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = await announced(whole, monkeypatch)
    report = RouterReport(0, 0, {})
    await whole.engine.store.heartbeat(new_id(), "default", "another", 60.0, report)
    # One place for each of two routers.
    await whole.register(task("first"), task("second", "went.on", max_in_flight=2))
    whole.endpoints.on_call = goes_on
    await whole.start()

    async def routers() -> int:
        return whole.router._continuation._pools.now.own.routers

    await eventually(routers, until=lambda number: number == 2, what="the other router to be seen")
    await whole.begin()
    await whole.endpoints.made(2)
    assert types.count("went.on") == 0
    await whole.begin()

    async def left() -> int:
        return types.count("went.on")

    await eventually(left, until=lambda number: number == 1, what="the event to be announced")


async def test_messages_that_come_again_take_room_only_while_they_are_in_hand(
    whole: WholeRouter,
) -> None:
    """After a lost connection they are here twice, under another token each time."""
    await whole.register(*TASKS)
    await whole.start()
    await whole.begin(3)
    calls = await whole.endpoints.made(3)
    subscription = whole.router._subscription
    assert isinstance(subscription, InProcessSubscription)
    subscription.release(list(subscription._held))
    intake = whole.router._intake

    async def held() -> int:
        return intake.unacknowledged - intake.buffered

    await eventually(held, until=lambda number: number == 6, what="the messages to come again")
    for made in calls:
        made.answer()
    await whole.all_settled()
    await eventually(held, until=lambda number: number == 0, what="all to be acknowledged")
    assert len(whole.endpoints.calls) == 3


@pytest.fixture
async def engine(database_url: str) -> Any:
    connections = open_connections(database_url, size=8, name="test")
    await connections.open(wait=True)
    yield Engine(connections)
    await connections.close()


# --- which events are continued ------------------------------------------------------------


class Router:
    """What a `Continuation` asks of its router, and what it takes in hand."""

    def __init__(self, *there: Pool) -> None:
        self.unacknowledged = self.buffered = self.calls_in_flight = 0
        self.has_places = True
        self.admitted: list[str] = []
        self.ledger = Ledger()
        self.ledger.learn(Loaded({}, {1: INSTANCE}, {}))
        pools = PoolsSeen(Pool("default", routers=1))
        if there:
            pools.update(there)
        self.continuation = Continuation(
            enabled=True,
            most_in_hand=20,
            window=FloodWindow(100),
            ledger=self.ledger,
            pools=pools,
            admit=self.admit,
            unacknowledged=lambda: self.unacknowledged,
            buffered=lambda: self.buffered,
            calls_in_flight=lambda: self.calls_in_flight,
            has_places=lambda event_type, workflow_type: self.has_places,
        )

    def admit(self, handling: Handling) -> None:
        self.admitted.append(handling.event_id)

    def commits(self, events: int, event_type: str = "went.on") -> int:
        """How many of the events that one commit raised are continued."""
        raised = [Event(new_id(), event_type, {}, "first", version=2) for _ in range(events)]
        commit = InstanceCommit(before=INSTANCE, after=INSTANCE, outbox_add=raised)
        taken = self.continuation.continue_with([Portion(self.ledger.state(1), [], commit)])
        assert taken <= {event.event_id for event in raised}
        return len(taken)


ALONE = (Pool("default", routers=1),)
TWO = (Pool("default", routers=2, calls_in_flight=40),)


def test_a_router_alone_continues_with_all_that_it_has_room_for() -> None:
    assert Router(*ALONE).commits(15) == 15
    assert Router(*ALONE).commits(50) == 20


def test_what_is_in_hand_takes_room_until_it_is_settled_or_leased() -> None:
    router = Router(*ALONE)
    router.unacknowledged = 12
    assert router.commits(50) == 8
    assert router.commits(1) == 0
    settled = router.ledger.handlings[router.admitted[0]]
    settled.release_messages()
    router.ledger.close(settled)
    assert router.commits(2) == 1


def test_nothing_passes_messages_that_wait() -> None:
    router = Router(*ALONE)
    router.buffered = MOST_BUFFERED
    assert router.commits(1) == 1
    router.buffered += 1
    assert router.commits(1) == 0


def test_a_wide_fan_out_is_shared_with_other_routers() -> None:
    assert Router(*TWO).commits(MOST_OF_A_COMMIT) == MOST_OF_A_COMMIT
    assert Router(*TWO).commits(MOST_OF_A_COMMIT + 1) == 0
    assert Router(*ALONE).commits(MOST_OF_A_COMMIT + 1) == MOST_OF_A_COMMIT + 1


def test_a_router_that_is_busier_than_others_leaves_events_to_them() -> None:
    router = Router(*TWO)
    router.calls_in_flight = 25 + CALLS_TO_SPARE
    assert router.commits(1) == 1
    router.calls_in_flight += 1
    assert router.commits(1) == 0
    alone = Router(*ALONE)
    alone.calls_in_flight = 10_000
    assert alone.commits(1) == 1


def test_an_event_whose_task_has_no_place_here_is_left_to_others() -> None:
    router = Router(*TWO)
    router.has_places = False
    assert router.commits(1) == 0
    alone = Router(*ALONE)
    alone.has_places = False
    assert alone.commits(1) == 1


def test_only_types_of_its_own_pool_are_continued() -> None:
    agents = Pool("agents", ("agent.#",), routers=1)
    router = Router(*ALONE, agents)
    assert router.commits(1, "agent.asked") == 0
    assert router.commits(1, "went.on") == 1


def test_an_event_that_cannot_be_taken_in_hand_is_announced() -> None:
    router = Router(*ALONE)

    def fails(handling: Handling) -> None:
        raise RuntimeError("a fault of ours")

    router.continuation._admit = fails
    assert router.commits(3) == 0
    assert router.ledger.handlings == {}
    assert router.continuation.left() == []
