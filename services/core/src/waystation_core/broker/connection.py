"""A named pika connection on the running loop, and awaitable calls on its channel.

pika uses callbacks; a `Session` turns those of the setup into awaits, and everything that can end it
(channel, connection, a watchdog) resolves `Session.lost`. The hot path (publish, deliver, confirm, ack) stays
on callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ConnectionOpenAborted

from waystation_core.background import step
from waystation_core.broker import fitness, properties
from waystation_core.broker.tls import ssl_options
from waystation_core.broker.topology import Queue, Topology
from waystation_tls import BadTls

_log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 10
BLOCKED_SECONDS = 30
GIVE_UP_OPENING_SECONDS = 8.0
OPEN_SECONDS = 10.0
"""Longer than pika's own timeout, so that pika ends its attempt first."""

CALL_SECONDS = 5.0
CLOSE_SECONDS = 2.0

NOT_FOUND = 404

# Every failure reaches a callback here and is logged once; pika would add a dozen lines with tracebacks for
# each attempt to connect while RabbitMQ is away.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
properties.install()


class SessionLostError(Exception):
    """The connection or its channel is gone, or does not answer; the text says why."""


class UnfitBrokerError(SessionLostError):
    """The broker cannot be used; each fault says what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


def process_name(role: str, pool: str | None = None) -> str:
    """The name of this process on the management page, e.g. `waystation-router-default@h1:77`."""
    named = f"waystation-{role}-{pool}" if pool else f"waystation-{role}"
    return f"{named}@{socket.gethostname()}:{os.getpid()}"


class Parameters(pika.URLParameters):  # type: ignore[misc]  # pika is untyped
    """pika's parameters, with the file of the authorities that an `amqps://` url trusts."""

    def __init__(self, url: str, ca: Path | None) -> None:
        super().__init__(url)
        # Options in the url have authorities of their own.
        self._ca = ca if url.startswith("amqps:") and "ssl_options=" not in url else None

    def look_again(self) -> None:
        """Reads the file again; one that cannot be used changes nothing."""
        if self._ca is None:
            return
        try:
            untyped: Any = self
            untyped.ssl_options = ssl_options(self._ca)
        except BadTls as bad:
            _log.error("broker_ca_not_usable", why=str(bad))


def connection_parameters(url: str, ca: Path | None = None) -> Parameters:
    """pika's parameters for a url. Raises ValueError, without the url, which has a password."""
    try:
        parameters = Parameters(url, ca)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError("the broker's url is not a valid amqp:// or amqps:// url") from error
    parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    parameters.socket_timeout = CALL_SECONDS
    parameters.stack_timeout = GIVE_UP_OPENING_SECONDS
    parameters.connection_attempts = 1
    return parameters


class _Connection(AsyncioConnection):  # type: ignore[misc]  # pika is untyped
    """Writes once per turn of the loop: pika alone makes three system calls per message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **arguments: Any) -> None:
        self._loop = loop
        self._unsent: list[bytes] = []
        super().__init__(custom_ioloop=loop, **arguments)

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(data)

    def _send(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None:
            super()._adapter_emit_data(data)


class Session:
    """One connection with one channel, from open to lost. `lost` resolves to the reason."""

    def __init__(self, generation: int, name: str) -> None:
        self.generation = generation
        self.name = name
        self.blocked = False
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.channel: Any = None
        self._connection: Any = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, parameters: Parameters, on_blocked: Callable[[], None]) -> None:
        """Connects and opens the channel. Raises SessionLostError, and UnfitBrokerError for a broker that
        cannot be used."""
        loop = asyncio.get_running_loop()
        parameters.look_again()
        parameters.client_properties = {"connection_name": self.name, "product": "Waystation"}
        self._connection = _Connection(
            loop,
            parameters=parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=lambda _connection, error: self._ended(error),
            on_close_callback=lambda _connection, error: self._ended(error),
        )
        self._connection.add_on_connection_blocked_callback(
            lambda _connection, _frame: self._set_blocked(True, on_blocked)
        )
        self._connection.add_on_connection_unblocked_callback(
            lambda _connection, _frame: self._set_blocked(False, on_blocked)
        )
        await self._first_of(self._opened, OPEN_SECONDS, "no connection")
        if faults := fitness.faults_of(self._connection.server_properties):
            raise UnfitBrokerError(faults)
        self.channel = await self.open_channel()
        self.channel.add_on_close_callback(lambda _channel, error: self.end(describe(error)))

    async def open_channel(self) -> Any:
        """Raises SessionLostError."""
        return await self.call(self._connection.channel, answer_by="on_open_callback")

    async def call(
        self,
        method: Callable[..., Any],
        *,
        answer_by: str = "callback",
        seconds: float = CALL_SECONDS,
        **arguments: Any,
    ) -> Any:
        """The result that pika passes to the callback of a method. Raises SessionLostError."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        arguments[answer_by] = lambda answer: _resolve(answered, answer)
        try:
            method(**arguments)
        except AMQPError as error:
            raise SessionLostError(describe(error)) from error
        return await self._first_of(answered, seconds, "no answer")

    async def declare(self, topology: Topology, queues: Sequence[Queue]) -> dict[str, int]:
        """Declares all exchanges and these queues; returns the messages that wait in each queue."""
        for exchange in topology.exchanges():
            await self.call(
                self.channel.exchange_declare,
                exchange=exchange.name,
                exchange_type=exchange.kind,
                durable=True,
                arguments=exchange.arguments,
            )
        waiting = {}
        for queue in queues:
            declared = await self.call(
                self.channel.queue_declare,
                queue=queue.name,
                durable=True,
                arguments=queue.arguments,
            )
            waiting[queue.name] = cast(int, declared.method.message_count)
            for source, key in queue.bindings:
                await self.call(
                    self.channel.queue_bind, queue=queue.name, exchange=source, routing_key=key
                )
        return waiting

    async def waiting_in(self, queue: str) -> int | None:
        """Messages that wait in a queue; None if there is no such queue. On a channel of its own, as RabbitMQ
        closes the channel of a question for a missing queue. Raises SessionLostError."""
        channel = await self.open_channel()
        closed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        channel.add_on_close_callback(lambda _channel, error: _resolve(closed, error))
        declared = step(self.call(channel.queue_declare, queue=queue, passive=True))
        try:
            await asyncio.wait({declared, closed}, return_when=asyncio.FIRST_COMPLETED)
            if declared.done():
                waiting: int = declared.result().method.message_count
                channel.close()
                return waiting
        finally:
            declared.cancel()
        error = closed.result()
        if getattr(error, "reply_code", None) == NOT_FOUND:
            return None
        raise SessionLostError(describe(error))

    def end(self, reason: str) -> None:
        """Declares it lost; its owner, who awaits `lost`, closes it."""
        _resolve(self.lost, reason)

    async def close(self) -> None:
        """Closes the connection, which flushes what was written; waits at most `CLOSE_SECONDS`."""
        self.end("closed")
        if self._connection is None:
            return
        # pika fails an assertion if it is stopped while it opens. If this does not end soon, pika's own
        # timeout or `_on_open` ends it.
        await asyncio.wait(
            {self._opened, self._closed},
            timeout=CLOSE_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._closed.done() or not self._opened.done():
            return
        with contextlib.suppress(AMQPError):  # It is closing already; the callback will come.
            self._connection.close()
        await asyncio.wait({self._closed}, timeout=CLOSE_SECONDS)

    async def _first_of(self, result: asyncio.Future[Any], seconds: float, otherwise: str) -> Any:
        await asyncio.wait(
            {result, self.lost}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if result.done():
            return result.result()
        if self.lost.done():
            raise SessionLostError(self.lost.result())
        raise SessionLostError(f"{otherwise} within {seconds:g} s")

    def _on_open(self, connection: Any) -> None:
        _resolve(self._opened, None)
        if self.lost.done():
            connection.close()

    def _set_blocked(self, blocked: bool, notify: Callable[[], None]) -> None:
        self.blocked = blocked
        if blocked:
            _log.warning("broker_blocked", why="RabbitMQ's memory or disk alarm")
        else:
            _log.info("broker_blocked_over")
        notify()

    def _ended(self, error: BaseException) -> None:
        self.end(describe(error))
        _resolve(self._closed, None)


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def describe(error: BaseException) -> str:
    """A connection's failure in one line. pika wraps the cause several times."""
    if isinstance(error, ConnectionOpenAborted):
        return f"ConnectionOpenAborted: not open within {GIVE_UP_OPENING_SECONDS:g} s"
    cause: Any = error
    while True:
        inner = getattr(cause, "exceptions", None) or getattr(cause, "exception", None)
        if inner is None and cause.args and isinstance(cause.args[0], BaseException):
            inner = cause.args[0]
        if inner is None:
            break
        cause = inner[-1] if isinstance(inner, (list, tuple)) else inner
    text = getattr(cause, "reply_text", None) or str(cause) or type(cause).__name__
    return f"{type(cause).__name__}: {fitness.why_cut(text)}"[:300]
