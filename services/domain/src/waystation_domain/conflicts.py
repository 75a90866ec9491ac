"""The conflict rule: whether a result that was computed from an older version may still commit.

It may if no place that it read or wrote was written since. Two places touch if one is the other or lies
inside it; commuting operations of one kind at one place do not touch each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from waystation_domain.operations import COMMUTING

Write = tuple[str, str]
"""A place and the kind of operation that wrote it; see `operations.write_of`."""

STATUS_PATH = "status"
"""The instance's status as a place. It has no leading slash, so no place in the data touches it."""

STATUS_WRITE: Write = (STATUS_PATH, "set")


class Written:
    """The places written since a version. Grows while results are folded one after the other."""

    __slots__ = ("_above", "_kinds")

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        self._kinds: dict[str, set[str]] = {}
        # Every container around a written place.
        self._above: set[str] = set()
        self.add(writes)

    def add(self, writes: Iterable[Write]) -> None:
        """Adds writes."""
        for path, kind in writes:
            kinds = self._kinds.get(path)
            if kinds is None:
                self._kinds[path] = {kind}
                self._above.update(_containers(path))
            else:
                kinds.add(kind)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def conflicts_with(self, reads: Iterable[str] | None, writes: Iterable[Write]) -> bool:
        """Whether a result with these reads (None: it read everything) and writes must be computed
        again."""
        if not self._kinds:
            return False
        if reads is None:
            return True
        return any(map(self._touched, reads)) or any(
            self._overwrites(path, kind) for path, kind in writes
        )

    def _touched(self, path: str) -> bool:
        return path in self._kinds or self._touched_besides(path)

    def _touched_besides(self, path: str) -> bool:
        """Whether a place inside or around this one was written."""
        return path in self._above or any(above in self._kinds for above in _containers(path))

    def _overwrites(self, path: str, kind: str) -> bool:
        there = self._kinds.get(path)
        if there is not None and not (kind in COMMUTING and there == {kind}):
            return True
        return self._touched_besides(path)


def conflicts(reads: Sequence[str] | None, writes: Sequence[Write], since: Sequence[Write]) -> bool:
    """Whether a result must be computed again: it read (None: everything) or wrote a place that was written
    since; commuting operations do not count. For many results against the same writes, keep a Written."""
    return Written(since).conflicts_with(reads, writes)


def _containers(path: str) -> Iterator[str]:
    """Every container of this place, the innermost first."""
    cut = path.rfind("/")
    while cut >= 0:
        path = path[:cut]
        yield path
        cut = path.rfind("/")
