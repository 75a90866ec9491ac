"""One socket of a proxy: written, paused, closed in good order or by RST."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class End(asyncio.Protocol):
    """One socket. Whoever owns it sets what happens when something arrives or it closes."""

    def __init__(self, connected: Callable[["End"], None]) -> None:
        self._connected = connected
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._lost = False
        self.blocked = False
        self.received: Callable[[bytes], None] = lambda data: None
        self.closed: Callable[[Exception | None], None] = lambda error: None
        self.writable: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As of asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected(self)

    def data_received(self, data: bytes) -> None:
        """As of asyncio.Protocol."""
        self.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """As of asyncio.Protocol."""
        self._lost = True
        self.closed(error)

    def pause_writing(self) -> None:
        """As of asyncio.Protocol."""
        self.blocked = True
        self.writable()

    def resume_writing(self) -> None:
        """As of asyncio.Protocol."""
        self.blocked = False
        self.writable()

    def write(self, data: bytes) -> None:
        """Sends it, unless the socket has closed."""
        if self._transport is not None and not self._lost:
            self._transport.write(data)

    def read(self, on: bool) -> None:
        """Reads from the socket, or leaves its sender waiting."""
        if self._transport is None or self._lost or on is self._reading:
            return
        self._reading = on
        # A transport that closes refuses.
        with contextlib.suppress(RuntimeError):
            self._transport.resume_reading() if on else self._transport.pause_reading()

    def abort(self) -> None:
        """Closes with RST, whatever is still to be sent."""
        if self._transport is None or self._lost:
            return
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        """Closes when everything written has gone out."""
        if self._transport is not None and not self._lost:
            self._transport.close()
