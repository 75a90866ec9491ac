"""At which level an event is announced: that of its priority, or one lower for a workflow type that floods.

A queue is first come, first served within a level. Many events of one type would delay the few events of all
other types. One level lower they let the others pass, and keep their own order; without others, they lose
nothing.
"""

from __future__ import annotations

import math

from waystation_core.ports.broker import level_of, lowest_priority_of

REMEMBERED_SECONDS = 10.0
"""Older announcements count less and less."""
UNNOTICED = 100.0
"""Fewer recent events than that are no flood, whatever their share."""
_LARGE_SHARE = 0.5
OTHERS_SECONDS = 2.0
"""Other types are there for so long after their last event. Longer would slow a flood down for nobody."""
_SOME = 0.5
"""Less than half an event is none."""
_REMEMBERED_TYPES = 10_000


class FairLevels:
    """The recent announcements of one process, by workflow type. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._total = 0.0
        self._at = 0.0
        # The latest event, and the latest one of another type than that.
        self._latest: tuple[str, float] = ("", -math.inf)
        self._latest_other = -math.inf

    def priority(self, workflow_type: str, priority: int, now: float) -> int:
        """Counts one event, and returns the priority to announce it with."""
        self.count(workflow_type, now)
        level = level_of(priority)
        if level and self._floods(workflow_type):
            return lowest_priority_of(level - 1)
        return priority

    def floods_others(self, workflow_type: str) -> bool:
        """Whether a type floods, and others had events just now."""
        latest, at = self._latest
        others = self._latest_other if latest == workflow_type else at
        return at - others <= OTHERS_SECONDS and self._floods(workflow_type)

    def _floods(self, workflow_type: str) -> bool:
        count = self._counts.get(workflow_type, 0.0)
        return count > UNNOTICED and count >= _LARGE_SHARE * self._total

    def count(self, workflow_type: str, now: float) -> None:
        """Counts one event that is not announced here."""
        self._forget(now)
        latest, at = self._latest
        if latest != workflow_type:
            self._latest_other = at
        self._latest = workflow_type, now
        count = self._counts.get(workflow_type, 0.0) + 1.0
        if workflow_type not in self._counts and len(self._counts) >= _REMEMBERED_TYPES:
            self._counts.clear()
            self._total = 0.0
        self._counts[workflow_type] = count
        self._total += 1.0

    def _forget(self, now: float) -> None:
        """Reduces all counts, once a second: often enough, and at no cost for each event."""
        passed = now - self._at
        if passed < 1.0:
            return
        self._at = now
        left = math.exp(-passed / REMEMBERED_SECONDS)
        self._counts = {
            workflow_type: count * left
            for workflow_type, count in self._counts.items()
            if count * left >= _SOME
        }
        self._total = sum(self._counts.values())
