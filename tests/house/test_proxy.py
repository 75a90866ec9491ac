"""The proxy that tests put between two processes: each behaviour, seen from both ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from support.waiting import eventually

from localservers.behaviours import (
    CutAfter,
    Delay,
    DropReplies,
    Freeze,
    Pass,
    Refuse,
    Reset,
    Trickle,
)
from localservers.ports import free_port
from localservers.proxy import TcpProxy

LINE = b"x" * 199 + b"\n"


@dataclass
class Echo:
    """A server that answers every line with the same line, and remembers what it was sent."""

    port: int
    received: list[bytes] = field(default_factory=list)
    ended: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.received.append(line)
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.ended += 1
            writer.close()


@dataclass
class Line:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, line: bytes, within: float = 10) -> bytes:
        """The answer; b"" when the connection was closed. Raises ConnectionResetError, TimeoutError."""
        self.writer.write(line)
        async with asyncio.timeout(within):
            return await self.reader.readline()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    server = Echo(free_port())
    listening = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
    yield server
    listening.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(echo.port, seed=1) as link:
        yield link


@pytest.fixture
async def connect(proxy: TcpProxy) -> AsyncIterator[Callable[[], "asyncio.Future[Line]"]]:
    opened: list[Line] = []

    async def connecting() -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", proxy.port))
        opened.append(line)
        return line

    yield lambda: asyncio.ensure_future(connecting())
    for line in opened:
        line.writer.close()
        with contextlib.suppress(OSError):
            await line.writer.wait_closed()


Connect = Callable[[], "asyncio.Future[Line]"]


async def _settled(counts: Callable[[], int]) -> int:
    """The count, once it stands still for a while."""
    last = -1
    async with asyncio.timeout(10):
        while last != counts():
            last = counts()
            await asyncio.sleep(0.1)
    return last


async def test_it_passes_everything_on_and_closes_what_is_closed(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    line = await connect()
    assert await line.ask(b"hello\n") == b"hello\n"
    assert echo.received == [b"hello\n"]
    assert proxy.counts.accepted == 1
    assert (proxy.counts.request_bytes, proxy.counts.reply_bytes) == (6, 6)
    line.writer.close()

    async def open_connections() -> int:
        return proxy.open_connections

    await eventually(open_connections, until=lambda n: n == 0, what="both ends to close")
    assert echo.ended == 1
    assert proxy.counts.resets == 0


async def test_it_holds_back_a_sender_that_nobody_reads() -> None:
    taken = asyncio.Event()
    total = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal total
        await taken.wait()
        while piece := await reader.read(65536):
            total += len(piece)
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", port := free_port())
    size = 64_000_000
    async with TcpProxy(port) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"z" * size)
        passed = await _settled(lambda: proxy.counts.request_bytes)
        assert 0 < passed < size / 2
        taken.set()
        await writer.drain()
        writer.close()
        await writer.wait_closed()

        async def arrived() -> int:
            return total

        await eventually(arrived, until=lambda n: n == size, what="every byte to arrive")
    server.close()


async def test_delay_keeps_order_and_takes_the_time_each_way(
    proxy: TcpProxy, connect: Connect
) -> None:
    await proxy.behave(Delay(0.2))
    line = await connect()
    began = time.monotonic()
    for number in range(50):
        line.writer.write(b"%d\n" % number)
    answers = [await line.reader.readline() for _ in range(50)]
    assert time.monotonic() - began >= 0.4
    assert answers == [b"%d\n" % number for number in range(50)]
    assert proxy.counts.slowed_bytes >= 2 * sum(map(len, answers))


async def test_what_was_delayed_arrives_at_once_when_the_delay_ends(
    proxy: TcpProxy, connect: Connect
) -> None:
    line = await connect()
    await proxy.behave(Delay(3600))
    line.writer.write(b"late\n")

    async def slowed() -> int:
        return proxy.counts.slowed_bytes

    await eventually(slowed, until=lambda n: n == 5)
    await proxy.behave(Pass())
    assert await line.ask(b"next\n") == b"late\n"
    assert await line.reader.readline() == b"next\n"


async def test_trickle_passes_so_many_bytes_a_second(proxy: TcpProxy, connect: Connect) -> None:
    line = await connect()
    await proxy.behave(Trickle(1_000))
    began = time.monotonic()
    assert await line.ask(LINE * 2) == LINE
    assert await line.reader.readline() == LINE
    # 400 bytes there; the way back has begun before the last of them had arrived.
    assert time.monotonic() - began >= 0.5


async def test_refuse_looks_like_nobody_listening(proxy: TcpProxy, connect: Connect) -> None:
    line = await connect()
    assert await line.ask(b"one\n") == b"one\n"
    await proxy.behave(Refuse())
    with pytest.raises(ConnectionResetError):
        await line.ask(b"two\n")
    with pytest.raises(ConnectionRefusedError):
        await connect()
    await proxy.behave(Pass())
    assert await (await connect()).ask(b"three\n") == b"three\n"
    assert proxy.counts.resets == 1


async def test_refuse_may_leave_open_connections_alone(proxy: TcpProxy, connect: Connect) -> None:
    line = await connect()
    await line.ask(b"one\n")
    await proxy.behave(Refuse(keep_open=True))
    with pytest.raises(ConnectionRefusedError):
        await connect()
    assert await line.ask(b"two\n") == b"two\n"


async def test_reset_breaks_open_and_new_connections(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    line = await connect()
    await line.ask(b"one\n")
    await proxy.behave(Reset())
    with pytest.raises(ConnectionResetError):
        await line.ask(b"two\n")
    with pytest.raises(ConnectionResetError):
        await (await connect()).ask(b"three\n")
    assert echo.received == [b"one\n"]
    assert proxy.counts.resets == 2


async def test_a_freeze_is_silent_and_what_it_swallowed_breaks_the_connection(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    line, idle = await connect(), await connect()
    await line.ask(b"one\n")
    await idle.ask(b"idle\n")
    await proxy.behave(Freeze())
    fresh = await connect()
    for frozen in (line, fresh):
        with pytest.raises(TimeoutError):
            await frozen.ask(b"two\n", within=0.3)
    assert echo.received == [b"one\n", b"idle\n"]
    assert (proxy.counts.swallowed_bytes, proxy.counts.silent_connections) == (8, 1)
    await proxy.behave(Pass())
    for broken in (line, fresh):
        with pytest.raises(ConnectionResetError):
            await broken.reader.readline()
    assert await idle.ask(b"three\n") == b"three\n"


async def test_a_freeze_of_replies_lets_requests_arrive(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    line = await connect()
    await proxy.behave(Freeze(requests=False))
    with pytest.raises(TimeoutError):
        await line.ask(b"one\n", within=0.3)
    assert echo.received == [b"one\n"]


async def test_a_freeze_that_holds_delivers_late_even_when_the_sender_has_left(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    gone, stays = await connect(), await connect()
    await gone.ask(b"one\n")
    await proxy.behave(Freeze(hold=True))
    gone.writer.write(b"last words\n")
    await gone.writer.drain()
    gone.writer.close()
    with pytest.raises(TimeoutError):
        await stays.ask(b"two\n", within=0.3)
    assert echo.received == [b"one\n"]
    await proxy.behave(Pass())
    assert await stays.reader.readline() == b"two\n"

    async def received() -> list[bytes]:
        return echo.received

    await eventually(received, until=lambda lines: b"last words\n" in lines)


async def test_a_dropped_reply_follows_a_request_that_was_carried_out(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    line = await connect()
    await proxy.behave(DropReplies(count=1))
    with pytest.raises(ConnectionResetError):
        await line.ask(b"one\n")
    assert echo.received == [b"one\n"]
    again = await connect()
    assert await again.ask(b"two\n") == b"two\n"
    assert proxy.counts.dropped_replies == 1


async def test_replies_are_dropped_by_what_was_asked(proxy: TcpProxy, connect: Connect) -> None:
    await proxy.behave(DropReplies(after=b"COMMIT"))
    line = await connect()
    assert await line.ask(b"SELECT\n") == b"SELECT\n"
    with pytest.raises(ConnectionResetError):
        await line.ask(b"COMMIT\n")


async def test_replies_are_dropped_by_seeded_chance(echo: Echo) -> None:
    async def lost(seed: int) -> list[int]:
        """Which of 100 questions, each on a connection of its own, were not answered."""
        unanswered = []
        async with TcpProxy(echo.port, seed=seed) as proxy:
            await proxy.behave(DropReplies(chance=0.1))
            for number in range(100):
                line = Line(*await asyncio.open_connection("127.0.0.1", proxy.port))
                try:
                    await line.ask(b"?\n")
                except ConnectionResetError:
                    unanswered.append(number)
                line.writer.close()
        return unanswered

    first = await lost(3)
    assert 2 <= len(first) <= 25
    assert await lost(3) == first
    assert await lost(4) != first


async def test_a_connection_is_cut_after_so_many_bytes(
    proxy: TcpProxy, echo: Echo, connect: Connect
) -> None:
    await proxy.behave(CutAfter(10))
    line = await connect()
    assert await line.ask(b"1234\n") == b"1234\n"
    with pytest.raises(ConnectionResetError):
        await line.ask(b"5\n")
    assert echo.received == [b"1234\n"]
    assert await (await connect()).ask(b"6\n") == b"6\n"
    assert proxy.counts.cuts == 1


async def test_a_target_that_is_not_there_resets_and_is_found_when_it_comes() -> None:
    port = free_port()
    async with TcpProxy(port) as proxy:
        with pytest.raises(ConnectionResetError):
            await Line(*await asyncio.open_connection("127.0.0.1", proxy.port)).ask(b"?\n")
        assert proxy.counts.unreachable == 1
        server = await asyncio.start_server(Echo(port).serve, "127.0.0.1", port)
        line = Line(*await asyncio.open_connection("127.0.0.1", proxy.port))
        assert await line.ask(b"!\n") == b"!\n"
        line.writer.close()
        server.close()
