"""Queues for changes of one instance, so that they do not wait for each other in the database.

A change that waits for its instance's row lock holds a connection. Sixty at once for one instance would hold
all of this server's connections until the lock times out, and all other calls would fail because the database
is busy. With a queue each instance takes at most one connection, and all changes together leave some for
starts, reads and the health probe.
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
    """One queue for each instance that is being changed; first in, first out."""

    def __init__(self, at_once: int) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._at_once = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, instance: Hashable) -> AsyncIterator[None]:
        """Waits until no other change of this instance is under way in this process; `at_once` instances have
        their turn at the same time. A cancelled caller leaves the queue."""
        queue = self._queues.setdefault(instance, _Queue())
        queue.length += 1
        try:
            async with queue.lock, self._at_once:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[instance]
