"""Announcements for the broker's tests, and ways to look at what arrived."""

import asyncio
import uuid
from collections.abc import Sequence

from support.waiting import eventually

from waystation_core.ports.broker import (
    AnnouncedEvent,
    Announcement,
    AnnounceOutcome,
    Broker,
    Received,
    Subscription,
)

_NAMES: dict[str, str] = {}


def event_id(name: str) -> str:
    """The id of the event that a test calls so."""
    made = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    _NAMES[made] = name
    return made


def announcement(
    name: str, priority: int = 100, event_type: str = "claim.processed"
) -> Announcement:
    """One event's."""
    return Announcement(event_type, priority, (AnnouncedEvent(event_id(name), "w-1", "claim", 3),))


async def announce(broker: Broker, *batch: Announcement) -> None:
    """Announces and insists that all were confirmed."""
    assert await broker.wait_ready(10), broker.status()
    outcomes = await broker.announce(batch)
    assert outcomes == [AnnounceOutcome.CONFIRMED] * len(batch)


def ids(received: Sequence[Received]) -> list[str]:
    """The names of the events, in the order in which they came."""
    return [_NAMES[event.event_id] for message in received for event in message.announcement.events]


def tokens(received: Sequence[Received]) -> list[tuple[object, int]]:
    return [message.token for message in received]


async def take(subscription: Subscription, count: int) -> list[Received]:
    """Exactly so many, at once: waits until they are all there."""
    await buffered(subscription, count)
    async with asyncio.timeout(10):
        return await subscription.take(count)


async def buffered(subscription: Subscription, count: int) -> None:
    async def look() -> int:
        return subscription.buffered

    await eventually(look, until=lambda seen: seen >= count, what=f"{count} messages")


async def depth_becomes(broker: Broker, wanted: int | None) -> None:
    """The queue's own count of what waits lags behind the acks a little."""
    await eventually(broker.depth, until=lambda seen: seen == wanted, what=f"a depth of {wanted}")
