"""A queue that serves several names in turn, however many items each of them has."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First in, first out within a name; one name after the other."""

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
        """Adds the item behind the others of its name."""
        self._queues.setdefault(name, deque()).append(item)

    def firsts(self) -> Iterator[tuple[str, T]]:
        """Each name with its first item, in turn."""
        for name, queue in self._queues.items():
            yield name, queue[0]

    def pop(self) -> T:
        """Takes the next item; its name goes behind the others. There must be one."""
        return self.pop_of(next(iter(self._queues)))

    def pop_of(self, name: str) -> T:
        """Takes the first item of a name, which goes behind the others. Raises KeyError if it has none."""
        queue = self._queues[name]
        item = queue.popleft()
        if queue:
            self._queues.move_to_end(name)
        else:
            del self._queues[name]
        return item

    def remove(self, name: str, item: T) -> None:
        """Removes the item, wherever it is. Raises ValueError if it is not there."""
        queue = self._queues.get(name)
        if queue is None:
            raise ValueError(f"nothing of {name} is in line")
        queue.remove(item)
        if not queue:
            del self._queues[name]
