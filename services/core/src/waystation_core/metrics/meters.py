"""The meters of one process, made from their definitions.

What happens often is counted where it happens (`counts`). What is known anyway is read when Prometheus asks: that costs
nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from waystation_core.metrics.counts import OTHER, Child, Count, Labelled, Spread, family_of
from waystation_core.metrics.definitions import MOST_LABELS, Definition, Kind

Sample = tuple[tuple[str, ...], float]
"""Label values, and the number."""


class _Read(Collector):
    """A metric whose samples are read when they are asked for. Equal labels are added up."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self.sources: list[Callable[[], Iterable[Sample]]] = []

    def describe(self) -> list[Metric]:
        return [family_of(self._definition)]

    def collect(self) -> list[Metric]:
        sums: dict[tuple[str, ...], float] = {}
        for source in self.sources:
            for values, number in source():
                if values not in sums and len(sums) >= MOST_LABELS:
                    values = (OTHER,) * len(values)
                sums[values] = sums.get(values, 0.0) + number
        family = family_of(self._definition)
        for values, number in sums.items():
            family.add_metric(values, number)
        return [family]


class Meters:
    """Makes each meter once, however many parts of the process ask for it. Tests make one of their own each."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._made: dict[str, Labelled[Any]] = {}
        self._read: dict[str, _Read] = {}

    def counter(self, definition: Definition) -> Labelled[Count]:
        """Raises ValueError for what is no counter."""
        return self._labelled(definition, Kind.COUNTER, Count)

    def histogram(self, definition: Definition) -> Labelled[Spread]:
        """Raises ValueError for what is no histogram."""
        return self._labelled(definition, Kind.HISTOGRAM, Spread)

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

    def _labelled(self, definition: Definition, kind: Kind, of: type[Child]) -> Labelled[Child]:
        if definition.kind is not kind:
            raise ValueError(f"{definition.name} is no {kind.value}")
        made = self._made.get(definition.name)
        if made is None:
            made = self._made[definition.name] = Labelled(definition, of)
            self.registry.register(made)
        return made
