"""What is spoken over a connection, as far as it matters to TLS: how it begins, and who speaks first."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass


class NotSpoken(ssl.SSLError):
    """The server answered that it does not speak TLS."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol over TLS."""

    alpn: tuple[str, ...] = ()
    asks: bytes = b""
    """What the client sends in plain text, to ask for TLS; one byte answers it."""
    agrees: bytes = b""
    """That byte, if the server speaks TLS."""
    hello: bytes = b""
    """What the client says first after the handshake."""
    answers: bool = True
    """Whether the server then says something at once."""

    @contextlib.asynccontextmanager
    async def connected(
        self, host: str, port: int, context: ssl.SSLContext, name: str | None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection after its handshake. Raises OSError, ssl.SSLError."""
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        if not self.asks:
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=name
            )
        else:
            reader, writer = await asyncio.open_connection(host, port)
        try:
            if self.asks:
                writer.write(self.asks)
                if await reader.read(1) != self.agrees:
                    raise NotSpoken
                await writer.start_tls(context, server_hostname=name)
            yield reader, writer
        finally:
            if not writer.transport.is_closing():
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


HTTP2 = Protocol(alpn=("h2",))
AMQP = Protocol(hello=b"AMQP\x00\x00\x09\x01")
# The length, and the code of an SSLRequest.
POSTGRES = Protocol(asks=b"\x00\x00\x00\x08\x04\xd2\x16\x2f", agrees=b"S", answers=False)
