"""What is counted where it happens, at a thousand a second and more, and turned into samples when Prometheus asks.

The client library's own counters are made for many threads, and take a lock each time: in a router they were 6 % of its
time. These belong to the thread of the event loop; another one may read them.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Any, Generic, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from waystation_core.metrics.definitions import MOST_LABELS, Definition, Kind

OTHER = "other"
"""The value of every label of what is above the cap."""


class Count:
    """One counter."""

    __slots__ = ("_value",)

    def __init__(self, definition: Definition) -> None:
        self._value = 0

    def inc(self, number: int = 1) -> None:
        """Adds so many."""
        self._value += number

    def add_to(self, family: Any, values: tuple[str, ...]) -> None:
        """Adds its sample, with these label values."""
        family.add_metric(values, self._value)


class Spread:
    """One histogram."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, definition: Definition) -> None:
        self._bounds = definition.buckets
        # Of each bucket alone; the last one is for what is above all bounds.
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_to(self, family: Any, values: tuple[str, ...]) -> None:
        """Adds its samples, with these label values: of each bucket with all below it, and the sum."""
        total = self._total
        bounds = map(floatToGoString, (*self._bounds, float("inf")))
        family.add_metric(values, [*zip(bounds, accumulate(self._counts), strict=True)], total)


Child = TypeVar("Child", Count, Spread)


class Labelled(Collector, Generic[Child]):
    """The children of one metric, by their label values: at most MOST_LABELS, and one for the rest."""

    def __init__(self, definition: Definition, kind: type[Child]) -> None:
        self._definition = definition
        self._kind: type[Child] = kind
        # At most MOST_LABELS, and the rest.
        self._children: dict[tuple[str, ...], Child] = {}
        self._others = (OTHER,) * len(definition.labels)
        if not definition.labels:
            # What has no labels is there from the start, as 0.
            self.of()

    def of(self, *values: str) -> Child:
        """The child with these values."""
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= MOST_LABELS:
                values = self._others
            child = self._children.setdefault(values, self._kind(self._definition))
        return child

    def describe(self) -> list[Metric]:
        """See Collector."""
        return [family_of(self._definition)]

    def collect(self) -> list[Metric]:
        """See Collector."""
        family = family_of(self._definition)
        for values, child in self._children.copy().items():
            child.add_to(family, values)
        return [family]


_FAMILIES: dict[Kind, Any] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def family_of(definition: Definition) -> Any:
    """A metric of the client library without samples yet; `add_metric` adds one."""
    return _FAMILIES[definition.kind](definition.name, definition.help, labels=definition.labels)
