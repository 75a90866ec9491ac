"""Where changes of one instance wait for each other: here, and not at the database.

A change that waits for its instance's row lock holds a connection. Sixty at once for one instance would
hold all of this server's connections until the lock's time-out, and everybody else would hear that the
database is busy. In a line each instance takes one connection at most, and all changes together leave
some to starts, reads and the look at the database's health.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0
    """Changes that have their turn or wait for it."""


class InstanceQueues:
    """One line for each instance that is being changed; first come, first served."""

    def __init__(self, at_once: int) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._at_once = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, instance: Hashable) -> AsyncIterator[None]:
        """Waits until no other change of this instance is under way in this process; `at_once`
        instances have their turn at the same time. A caller who is cancelled leaves the line."""
        queue = self._queues.setdefault(instance, _Queue())
        queue.length += 1
        try:
            async with queue.lock, self._at_once:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[instance]
