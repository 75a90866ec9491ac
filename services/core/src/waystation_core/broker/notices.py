"""Receives notices: an exclusive queue of this process, new on every connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from waystation_core.broker import wire
from waystation_core.broker.connection import Parameters, Session
from waystation_core.broker.persistent_session import PersistentSession
from waystation_core.broker.topology import NOTICES_BYTES_HELD, NOTICES_HELD, Topology
from waystation_core.ports.broker import BrokerCounters, Notice

_log = structlog.get_logger(__name__)


class NoticeListener:
    """Calls back with every batch, and when notices arrive again after a gap."""

    def __init__(
        self,
        parameters: Parameters,
        topology: Topology,
        name: str,
        callback: Callable[[Sequence[Notice]], None],
        on_reconnected: Callable[[], None] | None,
        *,
        counters: BrokerCounters,
        on_change: Callable[[], None],
    ) -> None:
        self._topology = topology
        # Unique: the broker may still have the queue of a lost connection.
        self._queue = f"{topology.notices}.{name}/{os.urandom(3).hex()}"
        self._callback = callback
        self._on_reconnected = on_reconnected
        self._counters = counters
        self._connected_before = False
        self.link = PersistentSession(
            parameters,
            f"{name} notices",
            prepare=self._prepare,
            on_lost=lambda: None,
            on_change=on_change,
            counters=counters,
        )

    async def _prepare(self, session: Session) -> None:
        channel = session.channel
        await session.declare(self._topology, ())
        queue = f"{self._queue}/{session.generation}"
        await session.call(
            channel.queue_declare,
            queue=queue,
            exclusive=True,
            auto_delete=True,
            arguments={
                "x-max-length": NOTICES_HELD,
                "x-max-length-bytes": NOTICES_BYTES_HELD,
            },
        )
        await session.call(channel.queue_bind, queue=queue, exchange=self._topology.notices)
        channel.add_on_cancel_callback(lambda _frame: session.end("its queue was deleted"))
        await session.call(
            channel.basic_consume,
            queue=queue,
            on_message_callback=self._receive,
            auto_ack=True,
        )
        if self._connected_before and self._on_reconnected is not None:
            asyncio.get_running_loop().call_soon(self._on_reconnected)
        self._connected_before = True

    def _receive(self, _channel: Any, _method: Any, _properties: Any, body: bytes) -> None:
        try:
            batch = wire.notices_from(body)
        except wire.UndecodableError as error:
            self._counters.undecodable += 1
            _log.warning("broker_undecodable_notice", reason=str(error), bytes=len(body))
            return
        except Exception:
            self._counters.undecodable += 1
            _log.exception("broker_notice_not_read", bytes=len(body))
            return
        # Not inside pika's callback: pika takes an exception there for a broken connection.
        asyncio.get_running_loop().call_soon(self._callback, batch)
