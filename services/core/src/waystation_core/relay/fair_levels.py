"""At which level an event is announced: that of its priority, or one lower for a workflow type that floods.

A queue is first come, first served within a level. What one type raises in great number would stand there
before the single events of all others, however little they ask for. One level lower it lets them pass, and
keeps its order within itself; where nobody else is, it changes nothing. The lowest level has none below it.

Pure: time is what the caller says it is.
"""

from __future__ import annotations

import math

from waystation_core.ports.broker import level_of, lowest_priority_of

REMEMBERED_SECONDS = 10.0
"""What was announced longer ago counts less and less."""
UNNOTICED = 100.0
"""So many lately are no flood, whatever their share."""
_LARGE_SHARE = 0.5
_REMEMBERED_TYPES = 10_000


class FairLevels:
    """What one process announced lately, by workflow type. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._total = 0.0
        self._at = 0.0

    def priority(self, workflow_type: str, priority: int, now: float) -> int:
        """Counts one event, and gives the priority to announce it with."""
        self._forget(now)
        count = self._counts.get(workflow_type, 0.0) + 1.0
        if workflow_type not in self._counts and len(self._counts) >= _REMEMBERED_TYPES:
            self._counts.clear()
            self._total = 0.0
        self._counts[workflow_type] = count
        self._total += 1.0
        level = level_of(priority)
        if level and count > UNNOTICED and count >= _LARGE_SHARE * self._total:
            return lowest_priority_of(level - 1)
        return priority

    def _forget(self, now: float) -> None:
        """Lets all counts fade, once a second: often enough, and nothing for each event."""
        passed = now - self._at
        if passed < 1.0:
            return
        self._at = now
        left = math.exp(-passed / REMEMBERED_SECONDS)
        self._counts = {
            workflow_type: count * left
            for workflow_type, count in self._counts.items()
            if count * left >= 0.5
        }
        self._total = sum(self._counts.values())
