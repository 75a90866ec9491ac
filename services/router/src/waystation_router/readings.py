"""What a router knows of itself anyway, for metrics: read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from waystation_core.metrics import definitions
from waystation_core.metrics.meters import Meters, Sample
from waystation_router.calls import Calls
from waystation_router.committer import Committer
from waystation_router.endpoints import EndpointDirectory
from waystation_router.ledger import Ledger


def read_router(
    meters: Meters,
    *,
    calls: Calls,
    committer: Committer,
    ledger: Ledger,
    endpoints: EndpointDirectory,
    continued: Callable[[], int],
    leases_broken: Callable[[], int],
) -> None:
    """Has the numbers of these parts read."""

    def in_flight() -> Iterator[Sample]:
        yield from ((key, taken) for key, taken, _ in calls.places.of_tasks())

    def waiting() -> Iterator[Sample]:
        yield from ((key, number) for key, _, number in calls.places.of_tasks())

    def states() -> Iterator[Sample]:
        yield from ((state, 1.0) for state in endpoints.states())

    meters.read(definitions.CALLS_IN_FLIGHT, in_flight)
    meters.read(definitions.CALLS_WAITING, waiting)
    meters.read(definitions.ENDPOINTS, states)
    meters.read_one(definitions.COMMITS_WAITING, lambda: committer.behind)
    meters.read_one(definitions.EVENTS_IN_HAND, lambda: len(ledger.handlings))
    meters.read_one(definitions.CONTINUED, continued)
    meters.read_one(definitions.LEASES_BROKEN, leases_broken)
