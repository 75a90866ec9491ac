"""A line in which several stand, each with as many as they like, and each of them is served in turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairLine(Generic[T]):
    """First come, first served within a name; one name after the other."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line

    def append(self, name: str, item: T) -> None:
        """Puts the item at the end of its name's part."""
        self._lines.setdefault(name, deque()).append(item)

    def first(self) -> T:
        """Who is next. There must be one."""
        return next(iter(self._lines.values()))[0]

    def pop(self) -> T:
        """Takes who is next; its name goes behind the others. There must be one."""
        name, line = next(iter(self._lines.items()))
        item = line.popleft()
        if line:
            self._lines.move_to_end(name)
        else:
            del self._lines[name]
        return item

    def remove(self, name: str, item: T) -> None:
        """Takes the item out, wherever it stands. Raises ValueError where it does not."""
        line = self._lines.get(name)
        if line is None:
            raise ValueError(f"nothing of {name} is in line")
        line.remove(item)
        if not line:
            del self._lines[name]
