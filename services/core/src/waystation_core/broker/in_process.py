"""The broker within one process: for `waystation dev`, and for tests.

It keeps the port's promises, with one process instead of many: everything is gone with the process, an
announcement is CONFIRMED at once, and none is RETURNED because the default pool always exists. Copies of dead
letters are dropped: nobody can look at them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waystation_core.broker.levels import Levels
from waystation_core.ports.broker import (
    DEFAULT_POOL,
    POOL_EXPIRES_SECONDS,
    AnnouncedEvent,
    Announcement,
    AnnounceOutcome,
    BrokerCounters,
    BrokerStatus,
    DeadLetterCopy,
    Notice,
    Received,
    Token,
    lowest_priority_of,
    require_pool,
)
from waystation_domain import topics

HELD_AT_MOST = 100_000
"""Messages of one pool; a full one refuses more, like RabbitMQ under an alarm."""


@dataclass(slots=True)
class _Message:
    announcement: Announcement
    redelivered: bool = False


class _PoolQueue:
    """One queue and the subscriptions that take from it."""

    def __init__(self, bindings: Sequence[str]) -> None:
        self.bindings = tuple(bindings)
        self.waiting: Levels[_Message] = Levels()
        self.subscriptions: list[InProcessSubscription] = []

    def put(self, message: _Message) -> None:
        self.waiting.put(message.announcement.level, message)

    def put_back(self, message: _Message) -> None:
        message.redelivered = True
        self.waiting.put_back(message.announcement.level, message)

    def wake(self) -> None:
        for subscription in self.subscriptions:
            subscription.wake.set()


class Hub:
    """What the brokers of one process share; in tests each broker plays a process."""

    def __init__(self) -> None:
        self.pools: dict[str, _PoolQueue] = {DEFAULT_POOL: _PoolQueue(())}
        self.listeners: list[Callable[[Sequence[Notice]], None]] = []
        self.consumed_before = False

    def pools_of(self, event_type: str) -> list[_PoolQueue]:
        """The pools bound to a type; the default pool if there are none."""
        bound = [
            pool
            for pool in self.pools.values()
            if any(topics.matches(binding, event_type) for binding in pool.bindings)
        ]
        return bound or [self.pools[DEFAULT_POOL]]

    def join(self, name: str, bindings: Sequence[str]) -> _PoolQueue:
        if name not in self.pools:
            self.pools[name] = _PoolQueue(bindings)
        return self.pools[name]

    def leave(self, name: str, subscription: InProcessSubscription) -> None:
        """A pool without members ends at once, and its messages go to the pools that take them now."""
        pool = self.pools[name]
        pool.subscriptions.remove(subscription)
        if name != DEFAULT_POOL and not pool.subscriptions:
            del self.pools[name]
            for message in pool.waiting.pop(len(pool.waiting)):
                self.pools[DEFAULT_POOL].put(message)
            self.pools[DEFAULT_POOL].wake()


class InProcessSubscription:
    """See `waystation_core.ports.broker.Subscription`."""

    def __init__(
        self,
        pool: _PoolQueue,
        prefetch: int,
        counters: BrokerCounters,
        on_close: Callable[[], None],
    ) -> None:
        self.wake = asyncio.Event()
        self._pool = pool
        self._prefetch = prefetch
        self._counters = counters
        self._on_close: Callable[[], None] | None = on_close
        self._stopped = False
        self._numbers = itertools.count(1)
        self._held: dict[Token, _Message] = {}

    @property
    def buffered(self) -> int:
        return 0 if self._stopped else min(len(self._pool.waiting), self._room)

    @property
    def _room(self) -> int:
        return self._prefetch - len(self._held)

    async def take(self, limit: int) -> list[Received]:
        while not self._stopped:
            messages = self._pool.waiting.pop(min(limit, self._room))
            if messages:
                self._counters.received += len(messages)
                return [self._hold(message) for message in messages]
            self.wake.clear()
            await self.wake.wait()
        return []

    def _hold(self, message: _Message) -> Received:
        # The subscription is part of the token, so a token of another one is stale here.
        token = (self, next(self._numbers))
        self._held[token] = message
        return Received(message.announcement, message.redelivered, token)

    def ack(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if self._held.pop(token, None) is not None:
                self._counters.acked += 1
        self.wake.set()

    def release(self, tokens: Sequence[Token]) -> None:
        back = [self._held.pop(token, None) for token in tokens]
        # From the end, as each goes before the others: their order stays.
        for message in reversed([message for message in back if message is not None]):
            self._pool.put_back(message)
        self._pool.wake()

    async def stop(self) -> None:
        self._stopped = True
        self.wake.set()

    async def close(self) -> None:
        await self.stop()
        self.release(list(self._held))
        if self._on_close is not None:
            self._on_close()
            self._on_close = None


class InProcessBroker:
    """See `waystation_core.ports.broker.Broker`. Brokers with the same hub are connected."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub or Hub()
        self._counters = BrokerCounters()
        self._subscription: InProcessSubscription | None = None
        self._listener: Callable[[Sequence[Notice]], None] | None = None
        self._lost: list[Callable[[str], None]] = []
        self._closed = False

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        return [self._announce(announcement) for announcement in batch]

    def _announce(self, announcement: Announcement) -> AnnounceOutcome:
        self._counters.announced += 1
        pools = self._hub.pools_of(announcement.event_type)
        if self._closed or any(len(pool.waiting) >= HELD_AT_MOST for pool in pools):
            self._counters.unconfirmed += 1
            return AnnounceOutcome.UNCONFIRMED
        for pool in pools:
            pool.put(_Message(_as_received(announcement)))
            pool.wake()
        self._counters.confirmed += 1
        return AnnounceOutcome.CONFIRMED

    def dead_letter(self, copies: Sequence[DeadLetterCopy]) -> None:
        pass

    def notify(self, batch: Sequence[Notice]) -> None:
        if not batch or self._closed:
            return
        notices = tuple(batch)
        loop = asyncio.get_running_loop()
        # Not in the caller's turn: it may hold something that a listener needs.
        for listener in self._hub.listeners:
            loop.call_soon(listener, notices)

    def subscribe_notices(
        self,
        callback: Callable[[Sequence[Notice]], None],
        on_reconnected: Callable[[], None] | None = None,
    ) -> None:
        if self._listener is not None:
            raise RuntimeError("this broker has its subscription to notices already")
        self._listener = callback
        self._hub.listeners.append(callback)

    async def consume(
        self,
        *,
        pool: str = DEFAULT_POOL,
        bindings: Sequence[str] = (),
        prefetch: int,
        expires_seconds: float = POOL_EXPIRES_SECONDS,
    ) -> InProcessSubscription:
        require_pool(pool, bindings)
        if prefetch < 1:
            raise ValueError(f"prefetch {prefetch} is not at least 1")
        if self._subscription is not None:
            raise RuntimeError("this broker has its subscription already")
        joined = self._hub.join(pool, bindings)
        subscription = InProcessSubscription(
            joined, prefetch, self._counters, lambda: self._hub.leave(pool, subscription)
        )
        joined.subscriptions.append(subscription)
        self._subscription = subscription
        if not self._hub.consumed_before:
            self._hub.consumed_before = True
            loop = asyncio.get_running_loop()
            for on_lost in self._lost:
                loop.call_soon(on_lost, "this process started, and its broker with it")
        return subscription

    def on_messages_lost(self, callback: Callable[[str], None]) -> None:
        self._lost.append(callback)

    async def depth(self, pool: str = DEFAULT_POOL) -> int | None:
        known = self._hub.pools.get(pool)
        return None if known is None or self._closed else len(known.waiting)

    def status(self) -> BrokerStatus:
        return BrokerStatus(
            target="this process",
            connected=not self._closed,
            consuming=not self._closed,
            blocked=False,
            last_error=None,
            counters=self._counters,
        )

    async def wait_ready(self, seconds: float | None = None) -> bool:
        return not self._closed

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._listener is not None:
            self._hub.listeners.remove(self._listener)
        if self._subscription is not None:
            await self._subscription.close()


def _as_received(announcement: Announcement) -> Announcement:
    """As received over a network, with the level instead of the priority."""
    priority = lowest_priority_of(announcement.level)
    if priority == announcement.priority:
        return announcement
    events: tuple[AnnouncedEvent, ...] = announcement.events
    return Announcement(
        announcement.event_type,
        priority,
        events,
        announcement.correlation_id,
        announcement.traceparent,
    )
