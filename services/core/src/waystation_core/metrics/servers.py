"""What every server tells of itself: its release, its connections, its certificates, its announcements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from waystation_core.background import Contact
from waystation_core.metrics import definitions
from waystation_core.metrics.meters import Meters, Sample
from waystation_core.ports.broker import Broker
from waystation_core.relay.relay import Relay
from waystation_tls import ClientCredentials, ServerCredentials


class PoolOfConnections(Protocol):
    """A pool of connections to Postgres, as far as its numbers are concerned."""

    name: str

    def get_stats(self) -> dict[str, int]:
        """Its counters, by psycopg's names."""
        ...


def read_server(
    meters: Meters,
    *,
    server: str,
    version: str,
    contact: Contact,
    broker: Broker,
    relay: Relay,
) -> None:
    """Has them read from these parts; `server` is `api` or `router`."""
    meters.read_one(definitions.BUILD_INFO, lambda: 1.0, server, version)
    meters.read_one(definitions.STORE_UP, lambda: float(contact.writes), server)

    def may_publish() -> float:
        status = broker.status()
        return float(status.connected and not status.blocked)

    meters.read_one(definitions.BROKER_UP, may_publish, server)
    for kind, number in (
        ("first", lambda: relay.events_announced),
        ("again", lambda: relay.events_announced_again),
        ("not_taken", lambda: relay.events_not_taken),
    ):
        meters.read_one(definitions.ANNOUNCEMENTS, number, kind)


def read_pools(meters: Meters, pools: Sequence[PoolOfConnections]) -> None:
    """Has the numbers of these pools read."""
    for pool in pools:

        def number(*names: str, of: Any = pool) -> float:
            stats = of.get_stats()
            return float(sum(stats.get(name, 0) for name in names))

        def in_use(of: Any = pool) -> float:
            stats = of.get_stats()
            return float(stats.get("pool_size", 0) - stats.get("pool_available", 0))

        name = pool.name
        read = meters.read_one
        read(definitions.STORE_CONNECTIONS, in_use, name, "in_use")
        read(definitions.STORE_CONNECTIONS, _bound(number, "pool_available"), name, "idle")
        read(definitions.STORE_CONNECTIONS_LIMIT, _bound(number, "pool_max"), name)
        read(definitions.STORE_WAITING, _bound(number, "requests_waiting"), name)
        milliseconds = _bound(number, "requests_wait_ms")
        read(definitions.STORE_WAITED, lambda of=milliseconds: of() / 1e3, name)  # type: ignore[misc]  # mypy and defaults
        lost = _bound(number, "connections_errors", "connections_lost")
        read(definitions.STORE_LOST, lost, name)


def _bound(number: Callable[..., float], *names: str) -> Callable[[], float]:
    return lambda: number(*names)


def read_certificates(meters: Meters, *parts: ServerCredentials | ClientCredentials | None) -> None:
    """Has it read when the certificates of these ports and calls end."""

    def samples() -> Iterator[Sample]:
        ends = {
            ending.setting: ending.ends_at.timestamp()
            for part in parts
            if part is not None
            for ending in part.material.endings
        }
        yield from (((setting,), at) for setting, at in ends.items())

    meters.read(definitions.CERTIFICATE_END, samples)
