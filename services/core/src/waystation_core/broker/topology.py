"""The names and arguments of everything in RabbitMQ, in one place.

waystation.events (topic) --bindings--> waystation.router.<pool>
    | alternate exchange
    v
waystation.unrouted (fanout) ---------> waystation.router.default
waystation.dead-letters (fanout) -----> waystation.dead-letters
waystation.notices (fanout) ----------> an exclusive queue per API process
waystation.marker: a queue with one transient message, gone when the broker restarted
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from waystation_core.ports.broker import DEFAULT_POOL, LEVELS, POOL_EXPIRES_SECONDS

DAY_MS = 24 * 60 * 60 * 1000
DEAD_LETTERS_KEPT = 10_000
DEAD_LETTERS_KEPT_MS = 7 * DAY_MS
NOTICES_HELD = 10_000
NOTICES_BYTES_HELD = 64 * 1024 * 1024
"""For one process that does not take them: one message of them may be large, by the outcomes in it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange; all are durable."""

    name: str
    kind: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Queue:
    """One durable queue and what it is bound to, as (exchange, routing key) pairs."""

    name: str
    arguments: dict[str, Any]
    bindings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """All names, with one prefix (a namespace's, once there are several)."""

    prefix: str = "waystation"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events"

    @property
    def unrouted(self) -> str:
        return f"{self.prefix}.unrouted"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    @property
    def notices(self) -> str:
        return f"{self.prefix}.notices"

    @property
    def marker(self) -> str:
        return f"{self.prefix}.marker"

    def pool(self, pool: str) -> str:
        return f"{self.prefix}.router.{pool}"

    def exchanges(self) -> list[Exchange]:
        """The alternate exchange first: it must exist before messages fall through to it."""
        return [
            Exchange(self.unrouted, "fanout", {}),
            Exchange(self.events, "topic", {"alternate-exchange": self.unrouted}),
            Exchange(self.dead_letters, "fanout", {}),
            Exchange(self.notices, "fanout", {}),
        ]

    def standing_queues(self) -> list[Queue]:
        """The queues that every process declares, so that no order of starting loses a message."""
        dead_letters = Queue(
            self.dead_letters,
            {"x-max-length": DEAD_LETTERS_KEPT, "x-message-ttl": DEAD_LETTERS_KEPT_MS},
            ((self.dead_letters, ""),),
        )
        marker = Queue(self.marker, {"x-max-length": 1}, ())
        return [self.pool_queue(DEFAULT_POOL, ()), dead_letters, marker]

    def pool_queue(
        self, pool: str, bindings: Sequence[str], expires_seconds: float = POOL_EXPIRES_SECONDS
    ) -> Queue:
        """The default pool's queue is bound to the alternate exchange, so it gets what no other pool takes."""
        arguments: dict[str, Any] = {"x-max-priority": LEVELS - 1}
        if pool == DEFAULT_POOL:
            return Queue(self.pool(pool), arguments, ((self.unrouted, ""),))
        arguments["x-expires"] = int(expires_seconds * 1000)
        return Queue(self.pool(pool), arguments, tuple((self.events, key) for key in bindings))
