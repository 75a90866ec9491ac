"""How many events of a flooding workflow type, or namespace, this router has in work at once while other types have some too.

Everything waits behind what is in work: for a turn of the event loop, for the database, for the processors. More
of it makes a flood quicker, by larger batches, and everything else slower. So a flood beside others gets a
window. It grows while commits take about as long as they must here, and shrinks while they do not. TCP Vegas
(Brakmo and Peterson, 1995) does the same with round trips.
"""

from __future__ import annotations

from collections.abc import Hashable

from waystation_core.relay.fair_levels import FairLevels
from waystation_domain.model import DEFAULT_NAMESPACE

SMALLEST = 4
"""Events. With fewer, a flood would wait for itself."""
SLOWED = 1.6
"""The window shrinks while commits take more than so many times the shortest."""
COUNTS_SECONDS = 0.03
"""What is in work for longer is in a call that lasts, and others do not wait behind it."""

_COMMITS_OF_A_LOOK = 8
_WEIGHT = 0.1
"""Of one commit in the average."""
_FORGOTTEN = 1.001
"""The shortest time counts so much longer with each commit: what was possible once may be so no more."""


class FloodWindow:
    """The window of one router. Times are seconds of one clock."""

    def __init__(self, largest: int) -> None:
        self._largest = float(largest)
        self._levels = FairLevels()
        self._in_work: dict[Hashable, tuple[float, int]] = {}
        self._events = 0
        self._shortest = 0.0
        self._mean = 0.0
        self._commits = 0
        self.size = float(largest)
        self.is_full = False
        """Whether something waits for room. Only then more room is of use."""

    def count(self, workflow_type: str, now: float, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Counts an event that came here."""
        self._levels.count(workflow_type, now, namespace)

    def is_for(self, workflow_type: str, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether this type, or its namespace, floods while others have events too."""
        return self._levels.floods_others(workflow_type, namespace)

    def has_room(self, now: float) -> bool:
        """Whether one more may enter."""
        while self._in_work:
            key, (since, _) = next(iter(self._in_work.items()))
            if now - since <= COUNTS_SECONDS:
                break
            self.leave(key)
        return self._events < self.size

    def enter(self, key: Hashable, now: float, events: int = 1) -> None:
        """So many events, under one key, are in work from now on."""
        self.leave(key)
        self._in_work[key] = now, events
        self._events += events

    def leave(self, key: Hashable) -> None:
        """They no longer are, if they were."""
        _, events = self._in_work.pop(key, (0.0, 0))
        self._events -= events

    def committed(self, seconds: float) -> None:
        """A batch of commits took so long."""
        self._shortest = min(self._shortest * _FORGOTTEN, seconds) if self._commits else seconds
        self._mean += _WEIGHT * (seconds - self._mean) if self._commits else seconds
        self._commits += 1
        if self._commits % _COMMITS_OF_A_LOOK:
            return
        if self._mean > SLOWED * self._shortest:
            self.size = max(SMALLEST, 0.8 * self.size)
        elif self.is_full:
            self.size = min(self._largest, 1.1 * self.size + 1)
