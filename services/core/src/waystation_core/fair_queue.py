"""A line in which several stand, each with as many as they like, and each of them is served in turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First come, first served within a name; one name after the other."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[T]:
        for queue in self._queues.values():
            yield from queue

    def append(self, name: str, item: T) -> None:
        """Puts the item at the end of its name's part."""
        self._queues.setdefault(name, deque()).append(item)

    def first(self) -> T:
        """Who is next. There must be one."""
        return next(iter(self._queues.values()))[0]

    def pop(self) -> T:
        """Takes who is next; its name goes behind the others. There must be one."""
        name, queue = next(iter(self._queues.items()))
        item = queue.popleft()
        if queue:
            self._queues.move_to_end(name)
        else:
            del self._queues[name]
        return item

    def remove(self, name: str, item: T) -> None:
        """Takes the item out, wherever it stands. Raises ValueError where it does not."""
        queue = self._queues.get(name)
        if queue is None:
            raise ValueError(f"nothing of {name} is in line")
        queue.remove(item)
        if not queue:
            del self._queues[name]
