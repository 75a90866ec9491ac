"""What every broker promises.

Named exemptions of the in-process broker, all for want of an outside: nothing is ever RETURNED,
nothing undecodable can arrive, and no connection breaks (see `test_amqp.py`).
"""

import asyncio

import pytest
from broker.announcing import (
    announce,
    announcement,
    buffered,
    depth_becomes,
    event_id,
    ids,
    take,
    tokens,
)
from broker.conftest import Opened
from support.waiting import eventually

from waystation_core.ports.broker import (
    MAX_EVENTS_PER_ANNOUNCEMENT,
    AnnouncedEvent,
    Announcement,
    AnnounceOutcome,
    Notice,
    lowest_priority_of,
)


async def test_an_announcement_arrives_as_it_was_sent(open_one: Opened) -> None:
    router, api = open_one("router"), open_one("api")
    events = (
        AnnouncedEvent(event_id("e-1"), "w-1", "claim", 7),
        AnnouncedEvent(event_id("e-2"), "w-2", "claim", 1, namespace="other"),
    )
    sent = Announcement("claim.processed", lowest_priority_of(4), events, "c-1", "00-ab-cd-01")
    await announce(api, sent)
    subscription = await router.consume(prefetch=10)

    (received,) = await take(subscription, 1)

    assert received.announcement == sent
    assert not received.redelivered


async def test_the_higher_level_goes_first_and_order_stays_within_a_level(open_one: Opened) -> None:
    broker = open_one()
    priorities = {"low-1": 0, "mid-1": 100, "high-1": 255, "mid-2": 102, "low-2": 25, "high-2": 231}
    await announce(broker, *(announcement(name, given) for name, given in priorities.items()))
    subscription = await broker.consume(prefetch=10)
    await buffered(subscription, 6)

    first, rest = await subscription.take(4), await subscription.take(10)

    assert ids(first) == ["high-1", "high-2", "mid-1", "mid-2"]
    assert ids(rest) == ["low-1", "low-2"]


async def test_a_higher_level_overtakes_in_the_queue_what_prefetch_holds_back(
    open_one: Opened,
) -> None:
    broker = open_one()
    await announce(broker, *(announcement(f"low-{n}", 10) for n in range(5)))
    subscription = await broker.consume(prefetch=2)
    held = await take(subscription, 2)
    await announce(broker, announcement("high", 200))

    subscription.ack(tokens(held))

    assert ids(await take(subscription, 2)) == ["high", "low-2"]


async def test_prefetch_bounds_what_a_process_holds(open_one: Opened) -> None:
    broker = open_one()
    await announce(broker, *(announcement(f"e-{n}") for n in range(10)))
    subscription = await broker.consume(prefetch=3)

    held = await take(subscription, 3)
    await depth_becomes(broker, 7)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await subscription.take(1)

    subscription.ack(tokens(held[1:2]))
    assert ids(await take(subscription, 1)) == ["e-3"]
    await depth_becomes(broker, 6)


async def test_take_waits_for_the_first_and_a_cancelled_one_loses_nothing(open_one: Opened) -> None:
    broker = open_one()
    subscription = await broker.consume(prefetch=10)
    cancelled = asyncio.create_task(subscription.take(5))
    await asyncio.sleep(0)  # It has begun to wait.
    cancelled.cancel()
    taking = asyncio.create_task(subscription.take(5))

    await announce(broker, announcement("e-1"))

    async with asyncio.timeout(10):
        assert ids(await taking) == ["e-1"]


async def test_what_is_acked_never_comes_again_and_the_rest_does(open_one: Opened) -> None:
    first, second = open_one(), open_one()
    await announce(first, *(announcement(f"e-{n}") for n in range(6)))
    subscription = await first.consume(prefetch=10)
    held = await take(subscription, 4)

    subscription.ack(tokens(held[:1] + held[2:3]))
    subscription.ack(tokens(held[:1]))  # Once more: dropped silently.
    await subscription.close()

    again = await take(await second.consume(prefetch=10), 4)
    assert ids(again) == ["e-1", "e-3", "e-4", "e-5"]
    assert [message.redelivered for message in again][:2] == [True, True]
    assert await first.depth() == 0


async def test_a_released_message_comes_again_as_redelivered(open_one: Opened) -> None:
    broker = open_one()
    await announce(broker, announcement("e-1"), announcement("e-2"))
    subscription = await broker.consume(prefetch=10)
    held = await take(subscription, 2)

    subscription.release(tokens(held))
    subscription.release(tokens(held))

    again = await take(subscription, 2)
    assert ids(again) == ["e-1", "e-2"]
    assert all(message.redelivered for message in again)


async def test_a_stopped_subscription_gives_back_what_nobody_took(open_one: Opened) -> None:
    broker = open_one()
    await announce(broker, *(announcement(f"e-{n}") for n in range(4)))
    subscription = await broker.consume(prefetch=10)
    await buffered(subscription, 4)
    held = await subscription.take(1)

    await subscription.stop()
    await subscription.stop()

    assert await subscription.take(5) == []
    await depth_becomes(broker, 3)
    subscription.ack(tokens(held))
    await subscription.close()
    await depth_becomes(broker, 3)


async def test_stopping_wakes_who_waits_for_messages(open_one: Opened) -> None:
    broker = open_one()
    subscription = await broker.consume(prefetch=10)
    assert await broker.wait_ready(10)
    taking = asyncio.create_task(subscription.take(5))
    await subscription.stop()
    async with asyncio.timeout(10):
        assert await taking == []


async def test_two_processes_share_a_pool_and_each_message_goes_to_one(open_one: Opened) -> None:
    first, second, api = open_one(), open_one(), open_one("api")
    subscriptions = [await first.consume(prefetch=20), await second.consume(prefetch=20)]
    wanted = {f"e-{n}" for n in range(1000)}
    seen: list[str] = []

    async def work(number: int) -> None:
        while messages := await subscriptions[number].take(7):
            seen.extend(ids(messages))
            subscriptions[number].ack(tokens(messages))

    workers = [asyncio.create_task(work(number)) for number in (0, 1)]
    await announce(api, *(announcement(name, priority=int(name[2:]) % 256) for name in wanted))

    async def count() -> int:
        return len(seen)

    await eventually(count, until=lambda number: number >= 1000, what="all messages")
    for subscription in subscriptions:
        await subscription.stop()
    await asyncio.gather(*workers)
    assert len(seen) == 1000
    assert set(seen) == wanted
    assert await api.depth() == 0
    assert first.status().counters.acked + second.status().counters.acked == 1000


async def test_a_specialised_pool_takes_its_types_away_from_the_default_pool(
    open_one: Opened,
) -> None:
    default, fraud, api = open_one(), open_one(), open_one("api")
    general = await default.consume(prefetch=10)
    special = await fraud.consume(pool="fraud", bindings=("fraud.#", "*.fraud"), prefetch=10)
    assert await fraud.wait_ready(10)

    types = (
        "claim.processed",
        "fraud",
        "fraud.detection.requested",
        "claim.fraud",
        "a.claim.fraud",
    )
    await announce(api, *(announcement(name, event_type=name) for name in types))

    assert ids(await take(general, 2)) == ["claim.processed", "a.claim.fraud"]
    assert ids(await take(special, 3)) == ["fraud", "fraud.detection.requested", "claim.fraud"]
    assert await api.depth("fraud") == 0
    assert await api.depth("unheard-of") is None


async def test_a_pool_without_members_expires_and_the_default_pool_has_its_types(
    open_one: Opened,
) -> None:
    default, fraud, api = open_one(), open_one(), open_one("api")
    general = await default.consume(prefetch=10)
    await fraud.consume(pool="fraud", bindings=("fraud.#",), prefetch=10, expires_seconds=1.0)
    assert await fraud.wait_ready(10)
    await announce(api, announcement("held", event_type="fraud.found"))
    await fraud.close()

    async def look() -> int:
        await announce(api, announcement("after", event_type="fraud.found"))
        return general.buffered

    await eventually(look, what="the default pool to get what the other one took")
    assert await api.depth("fraud") is None


async def test_notices_reach_every_listener(open_one: Opened) -> None:
    router, first, second = open_one(), open_one("api"), open_one("api")
    heard: list[tuple[str, Notice]] = []
    first.subscribe_notices(lambda batch: heard.extend(("first", notice) for notice in batch))
    second.subscribe_notices(lambda batch: heard.extend(("second", notice) for notice in batch))
    for broker in (router, first, second):
        assert await broker.wait_ready(10)

    batch = [
        Notice("w-1", 4, 1, outcome=b"\x00sealed\xff"),
        Notice("w-2", 9, 3, namespace="other"),
    ]
    router.notify(batch)
    router.notify([])

    async def count() -> int:
        return len(heard)

    await eventually(count, until=lambda number: number >= 4, what="the notices")
    assert [notice for who, notice in heard if who == "first"] == batch
    assert [notice for who, notice in heard if who == "second"] == batch


async def test_the_first_consumer_is_notified_that_earlier_announcements_may_be_lost(
    open_one: Opened,
) -> None:
    broker = open_one()
    told: list[str] = []
    broker.on_messages_lost(told.append)

    await broker.consume(prefetch=1)

    async def tellings() -> list[str]:
        return told

    assert len(await eventually(tellings, what="being told")) == 1


async def test_impossible_requests_are_refused(open_one: Opened) -> None:
    broker = open_one()
    for refused in (
        {"pool": "fraud"},
        {"bindings": ("a.#",)},
        {"pool": "No Spaces", "bindings": ("a.#",)},
        {"pool": "x" * 41, "bindings": ("a.#",)},
        {"prefetch": 0},
    ):
        with pytest.raises(ValueError):
            await broker.consume(**{"prefetch": 1, **refused})
    await broker.consume(prefetch=1)
    with pytest.raises(RuntimeError):
        await broker.consume(prefetch=1)
    broker.subscribe_notices(print)
    with pytest.raises(RuntimeError):
        broker.subscribe_notices(print)
    event = AnnouncedEvent(event_id("e-1"), "w-1", "claim", 1)
    for priority, count in ((-1, 1), (256, 1), (100, 0), (100, MAX_EVENTS_PER_ANNOUNCEMENT + 1)):
        with pytest.raises(ValueError):
            Announcement("claim.processed", priority, (event,) * count)


async def test_a_closed_broker_confirms_nothing(open_one: Opened) -> None:
    broker = open_one()
    assert await broker.wait_ready(10)
    assert await broker.announce([]) == []
    await broker.close()
    await broker.close()
    assert await broker.announce([announcement("e-1")]) == [AnnounceOutcome.UNCONFIRMED]
    broker.notify([Notice("w-1", 1, 1)])
    assert not broker.status().ready
    assert not await broker.wait_ready(0.01)
    assert await broker.depth() is None
    assert broker.status().counters.unconfirmed == 1
