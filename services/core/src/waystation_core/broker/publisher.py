"""Publishes: announcements with confirms; notices and copies without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pika
import structlog
from pika.exceptions import AMQPError

from waystation_core.background import job
from waystation_core.broker import wire
from waystation_core.broker.connection import Parameters, Session, SessionLostError
from waystation_core.broker.persistent_session import PersistentSession
from waystation_core.broker.topology import Topology
from waystation_core.ports.broker import (
    CONFIRM_SECONDS,
    Announcement,
    AnnounceOutcome,
    BrokerCounters,
)

TRANSIENT = 1
PERSISTENT = 2
SENT_PER_TURN = 500
"""Announcements written in one turn of the loop; about 10 ms of work."""

_CORRELATION_ID_BYTES = 255
_TRACEPARENT_CHARACTERS = 512

_log = structlog.get_logger(__name__)


class _Batch:
    """One call of `announce`: the outcome of each message so far, and the waiting caller."""

    __slots__ = ("done", "missing", "outcomes")

    def __init__(self, size: int) -> None:
        self.outcomes = [AnnounceOutcome.UNCONFIRMED] * size
        self.missing = size
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, outcome: AnnounceOutcome) -> None:
        # A returned message is confirmed too, right afterwards.
        if self.outcomes[index] is AnnounceOutcome.UNCONFIRMED:
            self.outcomes[index] = outcome
        self.missing -= 1
        if self.missing <= 0:
            self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Publisher:
    """One channel in confirm mode. Confirms arrive by number, often many at once, so one future
    per batch is enough."""

    def __init__(
        self,
        parameters: Parameters,
        topology: Topology,
        name: str,
        counters: BrokerCounters,
        on_change: Callable[[], None],
    ) -> None:
        self._topology = topology
        self._name = name
        self._counters = counters
        self._sent = 0
        self._oldest = 1
        self._awaited: dict[int, tuple[_Batch, int]] = {}
        self._repair: asyncio.Task[None] | None = None
        self.link = PersistentSession(
            parameters,
            f"{name} announces",
            prepare=self._prepare,
            on_lost=self._forget,
            on_change=on_change,
            counters=counters,
        )

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        """See `waystation_core.ports.broker.Broker.announce`."""
        waiting = _Batch(len(batch))
        self._counters.announced += len(batch)
        if batch:
            await self._send_all(batch, waiting)
        for outcome in waiting.outcomes:
            if outcome is AnnounceOutcome.CONFIRMED:
                self._counters.confirmed += 1
            elif outcome is AnnounceOutcome.RETURNED:
                self._counters.returned += 1
            else:
                self._counters.unconfirmed += 1
        return waiting.outcomes

    async def _send_all(self, batch: Sequence[Announcement], waiting: _Batch) -> None:
        session = self.link.session
        if session is None or session.blocked:
            return
        first = self._sent + 1
        now = int(time.time())
        for index, announcement in enumerate(batch):
            if index and index % SENT_PER_TURN == 0:
                await asyncio.sleep(0)
                if self.link.session is not session:
                    return
            if not self._send_one(session, announcement, now, (waiting, index)):
                waiting.missing -= 1
        if waiting.missing <= 0:
            return
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await waiting.done
        except TimeoutError:
            # No confirms while the broker is not blocked: the channel does not work.
            if self.link.session is session and not session.blocked:
                session.end(f"no confirm within {CONFIRM_SECONDS:g} s")
        finally:
            if waiting.missing > 0 and self.link.session is session:
                for tag in range(first, self._sent + 1):
                    if self._awaited.get(tag, (None, 0))[0] is waiting:
                        del self._awaited[tag]

    def _send_one(
        self, session: Session, announcement: Announcement, now: int, place: tuple[_Batch, int]
    ) -> bool:
        correlation_id = announcement.correlation_id
        if correlation_id is not None and len(correlation_id.encode()) > _CORRELATION_ID_BYTES:
            correlation_id = None
        traceparent = announcement.traceparent
        headers = None
        if traceparent is not None and len(traceparent) <= _TRACEPARENT_CHARACTERS:
            headers = {"traceparent": traceparent}
        properties = pika.BasicProperties(
            content_type=wire.CONTENT_TYPE,
            headers=headers,
            delivery_mode=TRANSIENT,
            priority=announcement.level,
            correlation_id=correlation_id,
            # The last part is the confirm's number, which identifies a returned message.
            message_id=f"{self._name}/{session.generation}/{self._sent + 1}",
            timestamp=now,
            type=announcement.event_type,
        )
        try:
            session.channel.basic_publish(
                self._topology.events,
                announcement.event_type,
                wire.announcement_body(announcement),
                properties,
                True,
            )
        except AMQPError as error:
            _log.warning("broker_not_sent", reason=type(error).__name__)
            return False
        self._sent += 1
        self._awaited[self._sent] = place
        return True

    def send(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        headers: dict[str, Any] | None = None,
        content_type: str | None = wire.CONTENT_TYPE,
        kind: str | None = None,
        persistent: bool = False,
    ) -> bool:
        """Publishes without waiting for anything; False if that was impossible."""
        session = self.link.session
        if session is None or session.blocked:
            return False
        properties = pika.BasicProperties(
            content_type=content_type,
            headers=headers,
            delivery_mode=PERSISTENT if persistent else TRANSIENT,
            timestamp=int(time.time()),
            type=kind,
        )
        try:
            session.channel.basic_publish(exchange, routing_key, body, properties)
        except AMQPError as error:
            _log.warning("broker_not_sent", reason=type(error).__name__)
            return False
        self._sent += 1
        return True

    async def _prepare(self, session: Session) -> None:
        await session.declare(self._topology, self._topology.standing_queues())
        self._sent, self._oldest = 0, 1
        session.channel.add_on_return_callback(self._on_return)
        await session.call(
            session.channel.confirm_delivery,
            ack_nack_callback=lambda frame: self._on_confirm(session, frame.method),
        )

    def _on_confirm(self, session: Session, method: Any) -> None:
        if session is not self.link.session:
            return  # A late confirm of a connection that was given up.
        outcome = (
            AnnounceOutcome.CONFIRMED
            if isinstance(method, pika.spec.Basic.Ack)
            else AnnounceOutcome.UNCONFIRMED
        )
        first = self._oldest if method.multiple else method.delivery_tag
        for tag in range(first, method.delivery_tag + 1):
            place = self._awaited.pop(tag, None)
            if place is not None:
                place[0].settle(place[1], outcome)
        if first <= self._oldest:
            self._oldest = method.delivery_tag + 1

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        """Arrives before the confirm of the same message."""
        _, _, tag = (properties.message_id or "").rpartition("/")
        place = self._awaited.get(int(tag)) if tag.isdigit() else None
        if place is not None:
            place[0].outcomes[place[1]] = AnnounceOutcome.RETURNED
        if self._repair is None or self._repair.done():
            self._repair = job("declare queues again", self._declare_again())

    async def _declare_again(self) -> None:
        """A message that no queue took shows that the default pool's queue is gone. A router would notice;
        there may be none."""
        session = self.link.session
        if session is None:
            return
        try:
            await session.declare(self._topology, self._topology.standing_queues())
        except SessionLostError as error:
            session.end(str(error))

    def _forget(self) -> None:
        """Messages without a confirm when the session was lost stay UNCONFIRMED."""
        awaited, self._awaited = self._awaited, {}
        for batch, _ in awaited.values():
            batch.finish()
