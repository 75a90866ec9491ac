"""How many results the routers commit in a second, from the reports that they renew with their leases."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from waystation.v1.system_pb2 import RouterStatus

_REPORTS = 4
"""Of each router: some ten seconds."""

_JITTER_SECONDS = 0.5
"""Two looks at one lease differ by less."""


class Rates:
    """Routers report every few seconds, not at every look: what counts is the time between two reports.

    A lease is always as long, so a lease that ends so many seconds later was renewed so many seconds later.
    """

    def __init__(self) -> None:
        self._reports: dict[str, deque[tuple[float, int]]] = {}

    def look(self, now: float, routers: Sequence[RouterStatus]) -> None:
        """Takes what was seen at `now`, in seconds of a clock that only goes forward."""
        seen = {}
        for router in routers:
            ends = now + router.lease_remaining.ToTimedelta().total_seconds()
            reports = self._reports.get(router.router_id) or deque(maxlen=_REPORTS)
            if not reports or ends - reports[-1][0] > _JITTER_SECONDS:
                reports.append((ends, router.results_committed))
            seen[router.router_id] = reports
        self._reports = seen

    def per_second(self) -> float | None:
        """All routers together; None: none of them has reported twice yet."""
        rates = [
            (last[1] - first[1]) / (last[0] - first[0])
            for first, last in ((each[0], each[-1]) for each in self._reports.values())
            if last[0] > first[0]
        ]
        return sum(rates) if rates else None
