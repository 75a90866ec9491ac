"""What is counted where it happens, at a thousand a second and more, and turned into samples when Prometheus asks.

The client library's own counters are made for many threads, and take a lock each time: in a router they were 6 % of its
time. These belong to the thread of the event loop; another one may read them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from waystation_core.metrics.definitions import MOST_LABELS, Definition, Kind

OTHER = "other"
"""The value of every label of what is above the cap."""


class Count:
    """One counter."""

    __slots__ = ("value",)

    def __init__(self, definition: Definition) -> None:
        self.value = 0

    def inc(self, number: int = 1) -> None:
        """Adds so many."""
        self.value += number


class Spread:
    """One histogram."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, definition: Definition) -> None:
        self._bounds = definition.buckets
        # Of each bucket alone; the last one is for what is above all bounds.
        self.counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


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
        return [self._family()]

    def collect(self) -> list[Metric]:
        """See Collector."""
        family = self._family()
        for values, child in self._children.copy().items():
            if isinstance(family, CounterMetricFamily):
                assert isinstance(child, Count)
                family.add_metric(values, child.value)
            else:
                assert isinstance(child, Spread)
                family.add_metric(values, *_histogram(self._definition.buckets, child))
        return [family]

    def _family(self) -> CounterMetricFamily | HistogramMetricFamily:
        known = self._definition
        family = CounterMetricFamily if known.kind is Kind.COUNTER else HistogramMetricFamily
        return family(known.name, known.help, labels=known.labels)


def _histogram(bounds: tuple[float, ...], child: Spread) -> tuple[list[tuple[str, float]], float]:
    """The buckets, each with all below it, and the sum."""
    total, counts, below = child.total, child.counts.copy(), 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        below += count
        buckets.append((floatToGoString(bound), below))  # type: ignore[no-untyped-call]
    return buckets, total
