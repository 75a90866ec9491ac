"""The broker over RabbitMQ: one connection to announce, one to consume, one for notices.

Separate ones, because RabbitMQ under an alarm stops reading from connections that publish, and acks must not
wait behind announcements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from waystation_core.background import job
from waystation_core.broker import wire
from waystation_core.broker.connection import (
    SessionLostError,
    connection_parameters,
    process_name,
)
from waystation_core.broker.notices import NoticeListener
from waystation_core.broker.persistent_session import PersistentSession
from waystation_core.broker.publisher import Publisher
from waystation_core.broker.subscription import AmqpSubscription
from waystation_core.broker.topology import Topology
from waystation_core.ports.broker import (
    DEFAULT_POOL,
    POOL_EXPIRES_SECONDS,
    Announcement,
    AnnounceOutcome,
    BrokerCounters,
    BrokerStatus,
    DeadLetterCopy,
    Notice,
    require_pool,
)

LOSS_WAITS_SECONDS = 10.0
"""How long the report of a loss waits for the announcing connection, so that announcing again does not fail
at once."""

_log = structlog.get_logger(__name__)


class AmqpBroker:
    """See `waystation_core.ports.broker.Broker`."""

    def __init__(
        self, url: str, *, role: str, topology: Topology | None = None, ca: Path | None = None
    ) -> None:
        """Starts to connect. `ca` is a file of authorities for `amqps://`. Raises ValueError for a url that pika
        cannot read."""
        parameters = connection_parameters(url, ca)
        self._url = url
        self._ca = ca
        self._role = role
        self._topology = topology or Topology()
        self._target = f"RabbitMQ at {parameters.host}:{parameters.port}"
        self._counters = BrokerCounters()
        self._changed = asyncio.Event()
        self._lost: list[Callable[[str], None]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._subscription: AmqpSubscription | None = None
        self._notices: NoticeListener | None = None
        self._closed = False
        self._publisher = Publisher(
            parameters, self._topology, process_name(role), self._counters, self._changed.set
        )

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        return await self._publisher.announce(batch)

    def dead_letter(self, copies: Sequence[DeadLetterCopy]) -> None:
        for copy in copies:
            body, headers = wire.dead_letter_message(copy)
            self._publisher.send(
                self._topology.dead_letters,
                "",
                body,
                headers=headers,
                kind=copy.event_type,
                persistent=True,
            )

    def _copy_undecodable(self, body: bytes, headers: dict[str, Any]) -> None:
        self._publisher.send(
            self._topology.dead_letters,
            "",
            body,
            headers=headers,
            content_type="application/octet-stream",
            persistent=True,
        )

    def notify(self, batch: Sequence[Notice]) -> None:
        if batch:
            self._publisher.send(self._topology.notices, "", wire.notices_body(batch))

    def subscribe_notices(
        self,
        callback: Callable[[Sequence[Notice]], None],
        on_reconnected: Callable[[], None] | None = None,
    ) -> None:
        if self._notices is not None:
            raise RuntimeError("this broker has its subscription to notices already")
        self._notices = NoticeListener(
            connection_parameters(self._url, self._ca),
            self._topology,
            process_name(self._role),
            callback,
            on_reconnected,
            counters=self._counters,
            on_change=self._changed.set,
        )

    async def consume(
        self,
        *,
        pool: str = DEFAULT_POOL,
        bindings: Sequence[str] = (),
        prefetch: int,
        expires_seconds: float = POOL_EXPIRES_SECONDS,
    ) -> AmqpSubscription:
        require_pool(pool, bindings)
        if prefetch < 1:
            raise ValueError(f"prefetch {prefetch} is not at least 1")
        if self._subscription is not None:
            raise RuntimeError("this broker has its subscription already")
        self._subscription = AmqpSubscription(
            connection_parameters(self._url, self._ca),
            self._topology,
            self._topology.pool_queue(pool, bindings, expires_seconds),
            process_name(self._role, pool),
            prefetch,
            counters=self._counters,
            on_change=self._changed.set,
            on_lost_messages=self._messages_lost,
            copy_undecodable=self._copy_undecodable,
        )
        return self._subscription

    def on_messages_lost(self, callback: Callable[[str], None]) -> None:
        self._lost.append(callback)

    def _messages_lost(self, reason: str) -> None:
        telling = job("tell of lost messages", self._report_loss(reason))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _report_loss(self, reason: str) -> None:
        await self._wait_until(lambda: self.status().connected, LOSS_WAITS_SECONDS)
        _log.warning("broker_messages_lost", reason=reason)
        for on_lost in self._lost:
            asyncio.get_running_loop().call_soon(on_lost, reason)
        # Last: if the process ends before this, the next one reports the loss.
        self._publisher.send("", self._topology.marker, b"{}", kind="marker")

    async def depth(self, pool: str = DEFAULT_POOL) -> int | None:
        session = self._publisher.link.session
        if session is None or session.blocked:
            return None
        try:
            return await session.waiting_in(self._topology.pool(pool))
        except SessionLostError:
            return None

    def status(self) -> BrokerStatus:
        links = self._links()
        subscription, notices = self._subscription, self._notices
        return BrokerStatus(
            target=self._target,
            connected=not self._closed and self._publisher.link.session is not None,
            consuming=not self._closed
            and (subscription is None or subscription.consuming)
            and (notices is None or notices.link.session is not None),
            blocked=any(link.blocked for link in links),
            last_error=next((link.last_error for link in links if link.last_error), None),
            counters=self._counters,
        )

    async def wait_ready(self, seconds: float | None = None) -> bool:
        return await self._wait_until(lambda: self.status().ready, seconds)

    async def _wait_until(self, holds: Callable[[], bool], seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not holds() and not self._closed:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return holds()
        return holds()

    async def close(self) -> None:
        if self._closed:
            return
        # The consumer first: what it returns and has acked is sent before the rest is closed.
        if self._subscription is not None:
            await self._subscription.close()
        self._closed = True
        self._changed.set()
        for telling in self._telling:
            telling.cancel()
        await asyncio.gather(*(link.close() for link in self._links()))

    def _links(self) -> list[PersistentSession]:
        links = [self._publisher.link]
        if self._subscription is not None:
            links.append(self._subscription.link)
        if self._notices is not None:
            links.append(self._notices.link)
        return links
