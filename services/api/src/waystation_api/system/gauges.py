"""The numbers of the whole installation as metrics: read periodically, apart from the work, and told by each API
server that has a port for metrics. They are the same everywhere, so a query takes their maximum, not their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from waystation_core.metrics import definitions
from waystation_core.metrics.meters import Meters, Sample
from waystation_core.ports.store import QueryStore, SystemNumbers
from waystation_domain.errors import StoreUnavailable


class SystemGauges:
    """Holds the last numbers; after a failure none, as old ones would look like new ones."""

    def __init__(self, meters: Meters, queries: QueryStore, backlog_limit: int) -> None:
        self._queries = queries
        self._numbers: SystemNumbers | None = None
        meters.read_one(definitions.BACKLOG_LIMIT, lambda: float(backlog_limit))
        for definition, number in (
            (definitions.OLDEST, lambda found: found.oldest_age),
            (definitions.OUTBOX, lambda found: found.outbox),
            (definitions.DEAD_LETTERS_OPEN, lambda found: found.dead_letters),
            (definitions.WORKFLOWS_IDLE, lambda found: found.idle_workflows),
        ):
            meters.read(definition, self._one(number))
        for definition, named in (
            (definitions.DELIVERIES_OPEN, lambda found: _by_name(found.deliveries)),
            (definitions.WORKFLOWS_OPEN, lambda found: _by_name(found.open_workflows)),
            (definitions.ROUTERS, lambda found: found.routers),
        ):
            meters.read(definition, self._many(named))

    async def turn(self) -> None:
        """Reads once. Raises StoreUnavailable."""
        try:
            self._numbers = await self._queries.numbers()
        except StoreUnavailable:
            self._numbers = None
            raise

    def _one(self, number: Callable[[SystemNumbers], float]) -> Callable[[], Iterable[Sample]]:
        return lambda: () if self._numbers is None else (((), number(self._numbers)),)

    def _many(
        self, named: Callable[[SystemNumbers], Mapping[str, int]]
    ) -> Callable[[], Iterable[Sample]]:
        def samples() -> list[Sample]:
            numbers = self._numbers
            if numbers is None:
                return []
            return [((name,), number) for name, number in named(numbers).items()]

        return samples


def _by_name(numbers: Mapping[Any, int]) -> dict[str, int]:
    return {member.name: number for member, number in numbers.items()}
