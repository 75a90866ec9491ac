"""How much work waits to be handled, and whether there is room for more.

The real number is in Postgres and is read periodically. In between, this server counts what it admits itself,
so that a burst is refused at the limit and not seconds after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waystation_core.ports.store import EngineStore
from waystation_domain.errors import BacklogFull, StoreUnavailable, WaystationError

LOOK_SECONDS = 1.0
"""Seconds between two turns."""
_TURNS_AT_REST = 5


class Backlog:
    """Refuses new work once `limit` events wait. Several API servers each see what the others admitted when
    they read again."""

    def __init__(self, store: EngineStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._seen = 0
        self._since = 0
        """Admitted, and perhaps written, since the last read began."""
        self._under_way = 0
        self._turns = 0

    async def turn(self) -> None:
        """Reads at every fifth turn, and at each one while work is refused: it may have drained."""
        self._turns += 1
        if self._is_full or self._turns >= _TURNS_AT_REST:
            await self.look()

    async def look(self) -> None:
        """Counts what waits. Raises StoreUnavailable."""
        before = self._since
        seen = await self._store.backlog()
        # What was written while the database counted may be counted twice: too many rather than too few.
        self._seen = seen
        self._since -= before
        self._turns = 0

    @contextmanager
    def room(self) -> Iterator[None]:
        """Surrounds what adds one event. Raises BacklogFull if there is no room for it."""
        if self._is_full:
            raise BacklogFull(
                f"{self._limit} or more events wait to be handled; retry later.",
                limit=str(self._limit),
            )
        self._under_way += 1
        written = 1
        try:
            yield
        except StoreUnavailable:
            # It may have been written: an answer can be lost.
            raise
        except WaystationError:
            written = 0
            raise
        finally:
            self._under_way -= 1
            self._since += written

    @property
    def _is_full(self) -> bool:
        return self._seen + self._since + self._under_way >= self._limit
