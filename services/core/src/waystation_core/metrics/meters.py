"""The meters of one process, made from their definitions.

What happens often is counted where it happens, by a child that is looked up once for its labels. What is known
anyway is read when Prometheus asks: that costs nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from waystation_core.metrics.definitions import MOST_LABELS, Definition, Kind

OTHER = "other"
"""The value of every label of what is above the cap."""

Sample = tuple[tuple[str, ...], float]
"""Label values, and the number."""


class Labelled:
    """The children of one metric, by their label values: at most MOST_LABELS, and one for the rest."""

    __slots__ = ("_children", "_metric", "_others")

    def __init__(self, metric: Any, labels: int) -> None:
        self._metric = metric
        # At most MOST_LABELS.
        self._children: dict[tuple[str, ...], Any] = {}
        self._others = (OTHER,) * labels

    def of(self, *values: str) -> Any:
        """The child with these values: `inc` of a counter, `observe` of a histogram."""
        child = self._children.get(values)
        if child is not None:
            return child
        if len(self._children) >= MOST_LABELS:
            return self._metric.labels(*self._others)
        child = self._children[values] = self._metric.labels(*values) if values else self._metric
        return child


class _Read(Collector):
    """A metric whose samples are read when they are asked for. Equal labels are added up."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self.sources: list[Callable[[], Iterable[Sample]]] = []

    def describe(self) -> list[Metric]:
        return [self._family()]

    def collect(self) -> list[Metric]:
        sums: dict[tuple[str, ...], float] = {}
        for source in self.sources:
            for values, number in source():
                if values not in sums and len(sums) >= MOST_LABELS:
                    values = (OTHER,) * len(values)
                sums[values] = sums.get(values, 0.0) + number
        family = self._family()
        for values, number in sums.items():
            family.add_metric(values, number)
        return [family]

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        known = self._definition
        family = CounterMetricFamily if known.kind is Kind.COUNTER else GaugeMetricFamily
        return family(known.name, known.help, labels=known.labels)


class Meters:
    """Makes each meter once, however many parts of the process ask for it. Tests make one of their own each."""

    def __init__(self) -> None:
        # Twice as many series, which say when the process first counted something.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._made: dict[str, Labelled] = {}
        self._read: dict[str, _Read] = {}

    def counting(self, definition: Definition) -> Labelled:
        """A counter or a histogram."""
        made = self._made.get(definition.name)
        if made is None:
            made = self._made[definition.name] = Labelled(
                self._metric(definition), len(definition.labels)
            )
        return made

    def read(self, definition: Definition, source: Callable[[], Iterable[Sample]]) -> None:
        """Has the samples of a counter or a gauge read from `source`, in another thread than the event loop's: it may
        only read, from copies of what can change meanwhile."""
        read = self._read.get(definition.name)
        if read is None:
            read = self._read[definition.name] = _Read(definition)
            self.registry.register(read)
        read.sources.append(source)

    def read_one(
        self, definition: Definition, source: Callable[[], float | None], *values: str
    ) -> None:
        """The same for one number; None: it is not known now."""

        def samples() -> Sequence[Sample]:
            number = source()
            return () if number is None else ((values, number),)

        self.read(definition, samples)

    def _metric(self, definition: Definition) -> Counter | Gauge | Histogram:
        name, text, labels = definition.name, definition.help, definition.labels
        if definition.kind is Kind.HISTOGRAM:
            return Histogram(name, text, labels, registry=self.registry, buckets=definition.buckets)
        if definition.kind is Kind.COUNTER:
            return Counter(name, text, labels, registry=self.registry)
        raise ValueError(f"{name} is a gauge: read it")
