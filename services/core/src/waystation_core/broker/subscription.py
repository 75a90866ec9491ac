"""Takes announcements from one pool's queue: prefetch, order by level, acks in bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pika.exceptions import AMQPError

from waystation_core.background import BackgroundLoop, run_loop
from waystation_core.broker import wire
from waystation_core.broker.connection import CLOSE_SECONDS, Parameters, Session, SessionLostError
from waystation_core.broker.levels import Levels
from waystation_core.broker.persistent_session import PersistentSession
from waystation_core.broker.properties import Properties
from waystation_core.broker.topology import Queue, Topology
from waystation_core.ports.broker import (
    MAX_BODY_BYTES,
    BrokerCounters,
    Received,
    Token,
)

WATCH_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class AmqpSubscription:
    """See `waystation_core.ports.broker.Subscription`. A token is (generation of the session,
    delivery tag): a tag of an older session must never reach the broker, where it would close
    the channel or acknowledge another message."""

    def __init__(
        self,
        parameters: Parameters,
        topology: Topology,
        queue: Queue,
        name: str,
        prefetch: int,
        *,
        counters: BrokerCounters,
        on_change: Callable[[], None],
        on_lost_messages: Callable[[str], None],
        copy_undecodable: Callable[[bytes, dict[str, Any]], None],
    ) -> None:
        self.queue = queue
        self.stopped = False
        self._topology = topology
        self._name = name
        self._prefetch = prefetch
        self._counters = counters
        self._on_lost_messages = on_lost_messages
        self._copy_undecodable = copy_undecodable
        self._buffer: Levels[Received] = Levels()
        self._arrived = asyncio.Event()
        self._session: Session | None = None
        self._ledger = _Ledger()
        self._watch: BackgroundLoop | None = None
        self._queue_deleted = False
        self.link = PersistentSession(
            parameters,
            name,
            prepare=self._prepare,
            on_lost=self._forget,
            on_change=on_change,
            counters=counters,
        )

    @property
    def consuming(self) -> bool:
        return self.stopped or self.link.session is not None

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    async def take(self, limit: int) -> list[Received]:
        while not self.stopped:
            if taken := self._buffer.pop(limit):
                return taken
            self._arrived.clear()
            await self._arrived.wait()
        return []

    def ack(self, tokens: Sequence[Token]) -> None:
        session, tags = self._settle(tokens)
        if session is None:
            return
        self._counters.acked += len(tags)
        together, singly = self._ledger.split(tags)
        try:
            if together:
                session.channel.basic_ack(together, multiple=True)
            for tag in singly:
                session.channel.basic_ack(tag)
        except AMQPError as error:
            session.end(f"ack failed: {error!r}")

    def release(self, tokens: Sequence[Token]) -> None:
        session, tags = self._settle(tokens)
        if session is None:
            return
        try:
            for tag in tags:
                session.channel.basic_nack(tag, requeue=True)
        except AMQPError as error:
            session.end(f"nack failed: {error!r}")

    def _settle(self, tokens: Sequence[Token]) -> tuple[Session | None, list[int]]:
        """The live session and those of the tags that are not settled, in ascending order."""
        session = self._session
        if session is None or session.lost.done():
            return None, []
        generation = session.generation
        return session, self._ledger.settle(
            tag for token_generation, tag in tokens if token_generation == generation
        )

    async def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        self._arrived.set()
        self._stop_watching()
        if self.link.session is not None:
            await self._cancel(self.link.session)
        self.release([message.token for message in self._buffer.pop(len(self._buffer))])

    async def _cancel(self, session: Session) -> None:
        try:
            await session.call(
                session.channel.basic_cancel, seconds=CLOSE_SECONDS, consumer_tag=self._name
            )
        except SessionLostError as error:
            # All messages go back to the queue with the session.
            session.end(str(error))

    async def close(self) -> None:
        await self.stop()
        await self.link.close()

    async def _prepare(self, session: Session) -> None:
        losses = []
        if self._queue_deleted:
            losses.append("the queue was deleted")
        elif await session.waiting_in(self.queue.name) is None:
            losses.append("the queue was missing")
        queues = self._topology.standing_queues()
        if all(queue.name != self.queue.name for queue in queues):
            queues.append(self.queue)
        waiting = await session.declare(self._topology, queues)
        if not waiting[self._topology.marker]:
            losses.append("the broker restarted or lost its data")
        self._ledger = _Ledger()
        self._session = session
        if not self.stopped:
            await self._consume(session)
        self._queue_deleted = False
        if losses:
            self._on_lost_messages(" and ".join(losses))

    async def _consume(self, session: Session) -> None:
        def on_message(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            self._receive(session, method, properties, body)

        def on_cancelled(_frame: Any) -> None:
            self._queue_deleted = True
            session.end("the broker cancelled the consumer: its queue was deleted")

        channel = session.channel
        channel.add_on_cancel_callback(on_cancelled)
        await session.call(channel.basic_qos, prefetch_count=self._prefetch)
        await session.call(
            channel.basic_consume,
            queue=self.queue.name,
            on_message_callback=on_message,
            consumer_tag=self._name,
        )
        if self.stopped:  # Stopped meanwhile, when there was no consumer to cancel.
            await self._cancel(session)
            return
        self._stop_watching()
        self._watch = run_loop("watch consumer", lambda: self._watch_over(session), ends=True)

    def _receive(self, session: Session, method: Any, properties: Properties, body: bytes) -> None:
        if session is not self._session:
            return  # A late delivery on a connection that was given up.
        tag = method.delivery_tag
        self._ledger.delivered = tag
        if properties.unreadable:
            why = f"its properties can't be read: {properties.unreadable}"
            self._put_aside(session, tag, why, properties, body)
            return
        try:
            headers = properties.headers or {}
            announcement = wire.announcement_from(
                body,
                level=properties.priority,
                content_type=properties.content_type,
                content_encoding=properties.content_encoding,
                correlation_id=properties.correlation_id,
                traceparent=headers.get("traceparent"),
            )
        except wire.UndecodableError as error:
            self._put_aside(session, tag, str(error), properties, body)
            return
        except Exception:
            # pika takes an exception for a broken connection, and the message would come again and again.
            _log.exception("broker_message_not_read", queue=self.queue.name)
            self._put_aside(session, tag, "it can't be read", properties, body)
            return
        self._counters.received += 1
        self._buffer.put(
            announcement.level,
            Received(announcement, method.redelivered, (session.generation, tag)),
        )
        self._arrived.set()

    def _put_aside(
        self, session: Session, tag: int, reason: str, properties: Any, body: bytes
    ) -> None:
        self._counters.undecodable += 1
        _log.warning("broker_undecodable", queue=self.queue.name, reason=reason, bytes=len(body))
        self._copy_undecodable(
            body[:MAX_BODY_BYTES],
            {
                "reason": "UNDECODABLE",
                "message": reason,
                "bytes": len(body),
                "content_type": properties.content_type or "",
                "content_encoding": properties.content_encoding or "",
            },
        )
        self._ledger.settle([tag])
        session.channel.basic_ack(tag)

    async def _watch_over(self, session: Session) -> None:
        """Asks the broker whether the queue has a consumer: a connection can look open for minutes although
        the other end is gone, and a consumer can go missing unnoticed."""
        while not session.lost.done():
            await asyncio.wait({session.lost}, timeout=WATCH_SECONDS)
            if session.lost.done() or session.blocked:
                continue
            try:
                seen = await session.call(
                    session.channel.queue_declare, queue=self.queue.name, passive=True
                )
            except SessionLostError as error:
                session.end(str(error))
            else:
                if not seen.method.consumer_count:
                    session.end("the broker knows of no consumer")

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _forget(self) -> None:
        """The deliveries of a lost session come again; those not taken yet are dropped."""
        self._stop_watching()
        self._session = None
        self._buffer = Levels()


class _Ledger:
    """Which delivery tags of one session are settled. Tags count up from 1 without gaps."""

    __slots__ = ("_ahead", "_lowest", "delivered")

    def __init__(self) -> None:
        self.delivered = 0
        self._lowest = 1
        self._ahead: set[int] = set()

    def settle(self, tags: Any) -> list[int]:
        """Those of the tags that were not settled yet, ascending; they are from now on."""
        ahead = self._ahead
        fresh = sorted(
            {tag for tag in tags if self._lowest <= tag <= self.delivered and tag not in ahead}
        )
        ahead.update(fresh)
        while self._lowest in ahead:
            ahead.remove(self._lowest)
            self._lowest += 1
        return fresh

    def split(self, fresh: list[int]) -> tuple[int, list[int]]:
        """How to ack newly settled tags: all up to one tag (0: none) together, as everything below it is
        settled; the others singly."""
        below = [tag for tag in fresh if tag < self._lowest]
        if len(below) < 2:
            return 0, fresh
        return below[-1], fresh[len(below) :]
