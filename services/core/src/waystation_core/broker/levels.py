"""A small queue with ten levels: the higher first, in arrival order within a level."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from waystation_core.ports.broker import LEVELS

T = TypeVar("T")


class Levels(Generic[T]):
    """Items by priority level (0-9). Cheap for the few thousand that a process holds."""

    __slots__ = ("_levels", "_size")

    def __init__(self) -> None:
        self._levels: tuple[deque[T], ...] = tuple(deque() for _ in range(LEVELS))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, level: int, item: T) -> None:
        self._levels[level].append(item)
        self._size += 1

    def put_back(self, level: int, item: T) -> None:
        """Adds it before all others of its level, where a redelivered message belongs."""
        self._levels[level].appendleft(item)
        self._size += 1

    def pop(self, limit: int) -> list[T]:
        """Up to `limit` items, highest level first, in arrival order; maybe none."""
        taken: list[T] = []
        for level in reversed(self._levels):
            while level and len(taken) < limit:
                taken.append(level.popleft())
        self._size -= len(taken)
        return taken
