"""TLS in front of a Postgres whose programs were built without it, as a load balancer has it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


@contextlib.asynccontextmanager
async def tls_front(port_behind: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    at_work: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        if not writer.is_closing():
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port_behind)
            await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))
        except (OSError, EOFError):
            # The client did not trust the certificate.
            pass
        finally:
            at_work.discard(task)
            if not writer.is_closing():
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        await server.wait_closed()
