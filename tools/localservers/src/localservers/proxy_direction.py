"""What travels one way on a proxy's connection: in order, at once or later."""

import asyncio
from collections import deque
from collections.abc import Callable

from localservers.proxy_socket import End

_BUFFERED_BYTES = 256 * 1024
"""What one direction may hold back before its sender is no longer read."""


class Direction:
    """From one socket to another. Pieces keep their order, however late they are."""

    def __init__(self, source: End) -> None:
        self._source = source
        self._sink: End | None = None
        self._waiting: deque[tuple[float | None, bytes]] = deque()
        """When each piece is due by the loop's clock; None: when it is released."""
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        self._finished: Callable[[], None] | None = None

    def opens(self, sink: End) -> None:
        """The target is connected: what arrived before is sent."""
        self._sink = sink
        sink.writable = self._flow
        self._work()

    def now(self, data: bytes) -> None:
        """Passes it on behind what waits."""
        if not self._waiting and self._sink is not None:
            self._sink.write(data)
        else:
            self._wait(0.0, data)

    def later(self, data: bytes, seconds: float) -> None:
        """Passes it on so many seconds from now."""
        self._wait(asyncio.get_running_loop().time() + seconds, data)

    def trickle(self, data: bytes, rate: int) -> None:
        """Passes it on at no more than `rate` bytes per second."""
        now = asyncio.get_running_loop().time()
        step = max(1, rate // 20)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self._free_at = max(self._free_at, now) + len(piece) / rate
            self._wait(self._free_at, piece)

    def hold(self, data: bytes) -> None:
        """Keeps it until `release`."""
        self._wait(None, data)

    def release(self) -> None:
        """Everything that waits goes out now."""
        self._waiting = deque((0.0, data) for _, data in self._waiting)
        self._work()

    def finish(self, then: Callable[[], None]) -> None:
        """Calls `then` when everything that waits has gone out."""
        self._finished = then
        self._work()

    def drop(self) -> None:
        """Forgets what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, due: float | None, data: bytes) -> None:
        self._waiting.append((due, data))
        self._size += len(data)
        self._flow()
        self._work()

    def _work(self) -> None:
        """Sends what is due and sets a timer for what is not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sink is None:
            return
        loop = asyncio.get_running_loop()
        while self._waiting:
            due, data = self._waiting[0]
            if due is None:
                return
            if due > loop.time():
                self._timer = loop.call_at(due, self._work)
                return
            self._waiting.popleft()
            self._size -= len(data)
            self._sink.write(data)
        self._flow()
        if self._finished is not None:
            self._finished()

    def _flow(self) -> None:
        """The source is read only while there is room for what it sends."""
        blocked = self._sink is not None and self._sink.blocked
        self._source.read(self._size < _BUFFERED_BYTES and not blocked)
