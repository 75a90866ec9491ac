"""What a router announces, and what it brings back that was never announced, or without effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from router.given import INSTANCE
from router.whole import Made, WholeRouter, task
from store.instances import Engine, a_start
from support.scripted_store import reply_lost
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.ids import new_id
from waystation_core.ports.broker import Announcement, AnnounceOutcome, level_of
from waystation_core.ports.store import DueEvent
from waystation_core.relay.relay import MOST_UNDER_WAY, Relay
from waystation_core.store.connections import open_connections
from waystation_domain.commit import InstanceCommit
from waystation_domain.model import Event
from waystation_router import sweeper


@pytest.fixture
async def whole(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WholeRouter]:
    """One that announces all that it raises."""
    connections = open_connections(database_url, size=8, name="test")
    await connections.open(wait=True)
    router = WholeRouter(
        Engine(connections), database_url, monkeypatch, router_continues_locally=False
    )
    yield router
    await router.stop()
    await connections.close()


HIGHEST = 255
"""A priority at which nothing is raised to the highest level any more."""


def goes_on(made: Made) -> None:
    """The first task raises an event for the second one."""
    response = pb.HandleEventResponse(result={})
    if made.request.task_id == "first":
        response.result.events.add(event_type="went.on")
    made.answer(response)


async def test_nothing_is_announced_before_it_is_committed(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole.register(task("first"), task("second", "went.on"))
    whole.endpoints.on_call = goes_on
    unknown: list[str] = []
    announce = whole.broker.announce

    async def looked_at(batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        for announced in (event for each in batch for event in each.events):
            query = "SELECT 1 FROM events WHERE event_id = %s::uuid"
            if not await whole.engine.rows(query, announced.event_id):
                unknown.append(announced.event_id)
        return await announce(batch)

    monkeypatch.setattr(whole.broker, "announce", looked_at)
    await whole.start()
    await whole.begin(5)
    await whole.all_settled()
    assert unknown == []
    assert len(whole.endpoints.calls) == 10


async def test_what_a_commit_of_unknown_outcome_raised_is_announced_soon(
    whole: WholeRouter,
) -> None:
    await whole.register(task("first"), task("second", "went.on"))
    whole.endpoints.on_call = goes_on
    whole.script.on("commit", reply_lost(), calls=1)
    await whole.start()
    (start,) = [a_start(priority=HIGHEST)]
    await whole.engine.store.start([start])
    await whole.engine.store.make_due([start.event.event_id])
    await whole.all_settled(timeout=30)
    assert sorted(made.request.task_id for made in whole.endpoints.calls) == ["first", "second"]
    # Else it is found when it has starved.
    assert whole.script.calls["make_due"] == 1


@pytest.fixture
def nothing_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has waited for long would be announced by another sweep."""
    monkeypatch.setattr(sweeper, "STARVING_AFTER", 3_600.0)


@pytest.mark.usefixtures("nothing_starves")
async def test_what_is_due_is_announced_again(whole: WholeRouter) -> None:
    await whole.register(task("first"))
    whole.endpoints.on_call = goes_on
    start = a_start(priority=HIGHEST)
    assert level_of(HIGHEST) == 9
    await whole.engine.store.start([start])
    await whole.engine.store.make_due([start.event.event_id])
    await whole.start()
    await whole.all_settled(timeout=30)


async def test_an_event_that_was_never_announced_is_found_by_the_sweep(whole: WholeRouter) -> None:
    await whole.register(task("first"))
    whole.endpoints.on_call = goes_on
    # Not before: what a broker that begins may have lost is announced again in any case.
    await whole.start()

    async def brought_back() -> int:
        return whole.script.calls["make_lost_due"]

    await eventually(brought_back, until=lambda calls: calls >= 2, what="the loss to be over")
    await whole.engine.store.start([a_start(priority=0)])
    await whole.engine.rows("UPDATE outbox SET created_at = now() - interval '6 s'")
    await whole.all_settled(timeout=30)


@pytest.mark.usefixtures("nothing_starves")
async def test_what_a_broker_may_have_lost_is_announced_again(whole: WholeRouter) -> None:
    await whole.register(task("first"))
    whole.endpoints.on_call = goes_on
    await whole.engine.store.start([a_start(priority=HIGHEST)])
    # This one begins, and says that earlier announcements may be gone.
    await whole.start()
    await whole.all_settled(timeout=30)


async def test_nothing_is_announced_again_into_a_queue_that_is_full(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole.register(task("first"))
    whole.endpoints.on_call = goes_on
    looks = 0

    async def depth(*_: Any) -> int:
        nonlocal looks
        looks += 1
        return 1_000_000

    monkeypatch.setattr(whole.broker, "depth", depth)
    await whole.start()
    start = a_start(priority=HIGHEST)
    await whole.engine.store.start([start])
    await whole.engine.store.make_due([start.event.event_id])

    async def looked() -> int:
        return looks

    before = looks
    # Two sweeps look, each in its turn.
    await eventually(looked, until=lambda number: number >= before + 4, what="four looks")
    assert whole.script.calls["claim_due_events"] == 0
    assert whole.endpoints.calls == []
    monkeypatch.undo()
    whole.broker.depth = _empty  # type: ignore[method-assign]
    await whole.all_settled(timeout=30)


async def _empty(*_: Any) -> int:
    return 0


class OneOf:
    """A broker that takes the first of each batch; and a store that notes what it is to make due."""

    def __init__(self) -> None:
        self.due: list[str] = []

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        outcomes = [AnnounceOutcome.RETURNED, AnnounceOutcome.UNCONFIRMED] * len(batch)
        return [AnnounceOutcome.CONFIRMED, *outcomes][: len(batch)]

    async def make_due(self, event_ids: Sequence[str]) -> None:
        self.due += event_ids


async def test_what_was_returned_or_not_confirmed_is_due_at_once() -> None:
    one_of = OneOf()
    relay = Relay(cast(Any, one_of), cast(Any, one_of))
    events = [
        DueEvent(new_id(), f"type.{n}", "w-1", "claim", 1, 100, 1, None, None, "default")
        for n in range(3)
    ]
    assert not await relay.announce_due(events)
    assert one_of.due == [event.event_id for event in events[1:]]


class SlowBroker(OneOf):
    """A broker that gives no outcome until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.events = 0

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        self.events += sum(len(announcement.events) for announcement in batch)
        await self.open.wait()
        return [AnnounceOutcome.CONFIRMED] * len(batch)


async def test_what_a_slow_broker_does_not_take_is_left_to_the_sweeper() -> None:
    slow = SlowBroker()
    relay = Relay(cast(Any, slow), cast(Any, slow))
    starts = [a_start() for _ in range(1_000)]
    for _ in range(30):
        relay.started(starts)
        await asyncio.sleep(0)
    assert slow.events == MOST_UNDER_WAY == 20_000
    slow.open.set()
    await relay.close()
    relay.started(starts)
    await relay.close()
    assert slow.events == 21_000
    assert slow.due == []


async def test_messages_are_acknowledged_when_what_came_of_them_is_committed(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole.register(task("first"))
    acked: list[int] = []
    consume = whole.broker.consume

    async def watched(**how: Any) -> Any:
        subscription = await consume(**how)
        ack = subscription.ack

        def noted(tokens: Any) -> None:
            acked.append(len(tokens))
            ack(tokens)

        monkeypatch.setattr(subscription, "ack", noted)
        return subscription

    monkeypatch.setattr(whole.broker, "consume", watched)
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    # Acks of one turn of the loop go together in the next.
    for _ in range(5):
        await asyncio.sleep(0)
    assert acked == []
    made.answer()
    await whole.all_settled()

    async def acks() -> int:
        return sum(acked)

    await eventually(acks, what="the message to be acknowledged")


async def test_what_is_continued_counts_when_it_is_asked_who_floods() -> None:
    """A few announced events beside many continued ones of another type are no flood."""
    announced: list[tuple[str, int]] = []

    class Broker:
        async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
            announced.extend(
                (event.workflow_type, each.level) for each in batch for event in each.events
            )
            return [AnnounceOutcome.CONFIRMED] * len(batch)

    relay = Relay(cast(Any, None), cast(Any, Broker()))

    def commits(workflow_type: str, events: int, *, continued: bool = False) -> None:
        instance = replace(INSTANCE, workflow_type=workflow_type)
        raised = [Event(new_id(), "went.on", {}, "first", version=2) for _ in range(events)]
        commit = InstanceCommit(instance, replace(instance, version=2), outbox_add=raised)
        ids = frozenset(event.event_id for event in raised if continued)
        relay.committed([commit], continued=ids)

    commits("flood", 1_000, continued=True)
    commits("quiet", 200)
    commits("flood", 1)
    await relay.close()
    normal = level_of(100)
    assert set(announced) == {("quiet", normal), ("flood", normal - 1)}
