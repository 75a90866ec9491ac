"""At which level an event is announced: that of its priority, or one lower for what floods: a workflow type, or
a whole namespace, of however many types.

A queue is first come, first served within a level. Many events of one type would delay the few events of all
other types. One level lower they let the others pass, and keep their own order; without others, they lose
nothing.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from waystation_core.ports.broker import level_of, lowest_priority_of
from waystation_domain.model import DEFAULT_NAMESPACE

REMEMBERED_SECONDS = 10.0
"""Older announcements count less and less."""
UNNOTICED = 100.0
"""Fewer recent events than that are no flood, whatever their share."""
_LARGE_SHARE = 0.5
OTHERS_SECONDS = 2.0
"""Others are there for so long after their last event. Longer would slow a flood down for nobody."""
_SOME = 0.5
"""Less than half an event is none."""
_REMEMBERED_NAMES = 10_000

Name = TypeVar("Name")


class FairLevels:
    """The recent announcements of one process. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._types: _Shares[tuple[str, str]] = _Shares()
        self._namespaces: _Shares[str] = _Shares()

    def priority(
        self, workflow_type: str, priority: int, now: float, namespace: str = DEFAULT_NAMESPACE
    ) -> int:
        """Counts one event, and returns the priority to announce it with."""
        self.count(workflow_type, now, namespace)
        level = level_of(priority)
        # The types of a namespace that is alone share the queue among themselves.
        if level and (
            self._types.floods((namespace, workflow_type))
            or self._namespaces.floods_others(namespace)
        ):
            return lowest_priority_of(level - 1)
        return priority

    def floods_others(self, workflow_type: str, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether a type or its namespace floods, and others had events just now."""
        return self._types.floods_others(
            (namespace, workflow_type)
        ) or self._namespaces.floods_others(namespace)

    def count(self, workflow_type: str, now: float, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Counts one event that is not announced here."""
        self._types.count((namespace, workflow_type), now)
        self._namespaces.count(namespace, now)


class _Shares(Generic[Name]):
    """How many recent events each name has."""

    def __init__(self) -> None:
        self._counts: dict[Name, float] = {}
        self._total = 0.0
        self._at = 0.0
        # The latest event, and the latest one of another name than that.
        self._latest: tuple[Name | None, float] = (None, -math.inf)
        self._latest_other = -math.inf

    def floods_others(self, name: Name) -> bool:
        """Whether a name floods, and others had events just now."""
        latest, at = self._latest
        others = self._latest_other if latest == name else at
        return at - others <= OTHERS_SECONDS and self.floods(name)

    def floods(self, name: Name) -> bool:
        """Whether most of the recent events are of that name."""
        count = self._counts.get(name, 0.0)
        return count > UNNOTICED and count >= _LARGE_SHARE * self._total

    def count(self, name: Name, now: float) -> None:
        """Counts one event."""
        self._forget(now)
        latest, at = self._latest
        if latest != name:
            self._latest_other = at
        self._latest = name, now
        count = self._counts.get(name, 0.0) + 1.0
        if name not in self._counts and len(self._counts) >= _REMEMBERED_NAMES:
            self._counts.clear()
            self._total = 0.0
        self._counts[name] = count
        self._total += 1.0

    def _forget(self, now: float) -> None:
        """Reduces all counts, once a second: often enough, and at no cost for each event."""
        passed = now - self._at
        if passed < 1.0:
            return
        self._at = now
        left = math.exp(-passed / REMEMBERED_SECONDS)
        self._counts = {
            name: count * left for name, count in self._counts.items() if count * left >= _SOME
        }
        self._total = sum(self._counts.values())
