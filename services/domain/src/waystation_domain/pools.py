"""Pools of routers: which of them takes an event, and which can exist together.

A pool other than the default one takes the event types that match its bindings away from the default pool, so
that a flood of them, or a handler that hangs, delays nothing else. Each event type belongs to one pool; two
pools with overlapping bindings would both get every event.

A pool outlives its last router for a while: its queue still takes its events, until the broker lets it
expire. After `Pool.lapses_at` that is certainly over; then the default pool has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation_domain import topics
from waystation_domain.units import duration


@dataclass(frozen=True, slots=True)
class Pool:
    """An existing pool. The default one has no bindings, and exists with or without routers."""

    name: str
    bindings: tuple[str, ...] = ()
    routers: int = 0
    """The number of live routers."""
    expires_seconds: float = 0.0
    """How long its queue stays without a router."""
    seen_at: datetime | None = None
    """When one of its routers last renewed its lease; None for the default pool."""
    lapses_at: datetime | None = None
    """When its queue is deleted if no router joins; None for the default pool."""
    calls_in_flight: int = 0
    """Of its live routers, as each reported last."""

    def takes(self, event_type: str) -> bool:
        """Whether one of its bindings matches this type."""
        return any(topics.matches(binding, event_type) for binding in self.bindings)


class PoolRefused(Exception):
    """A router cannot join its pool; `other` is the existing pool. The message says what to do."""

    def __init__(self, message: str, pool: str, other: Pool) -> None:
        super().__init__(message)
        self.pool = pool
        self.other = other


def admit(pool: Pool, existing: Sequence[Pool]) -> None:
    """Lets a router join: its pool is new and no binding overlaps with another pool's, or it exists with the
    same settings. Raises PoolRefused."""
    for other in existing:
        if other.name == pool.name:
            _require_same(pool, other)
            continue
        for binding in pool.bindings:
            for taken in other.bindings:
                if topics.overlaps(binding, taken):
                    raise PoolRefused(
                        f'Pool "{pool.name}" cannot have the binding "{binding}": events that match '
                        f'it may also match pool "{other.name}", bound to {_listed(other)} '
                        f"({_presence(other)}). Choose bindings that do not match the same event types; or stop "
                        f'the routers of "{other.name}" and wait until its queue has expired.',
                        pool.name,
                        other,
                    )


def _require_same(pool: Pool, other: Pool) -> None:
    if set(pool.bindings) != set(other.bindings):
        raise PoolRefused(
            f'Pool "{pool.name}" exists with the bindings {_listed(other)} '
            f"({_presence(other)}), not with {_listed(pool)}. Start this router with those; or "
            "use a new pool name for the new bindings; or stop all routers of the pool and wait "
            "until its queue has expired.",
            pool.name,
            other,
        )
    if pool.expires_seconds != other.expires_seconds:
        raise PoolRefused(
            f'The queue of pool "{pool.name}" expires after {duration(other.expires_seconds)} '
            f"({_presence(other)}), not after {duration(pool.expires_seconds)}. Give all its routers "
            "the same WAYSTATION_ROUTER_POOL_EXPIRES_SECONDS; or stop them all and wait until the "
            "queue has expired.",
            pool.name,
            other,
        )


def _listed(pool: Pool) -> str:
    return ", ".join(f'"{binding}"' for binding in pool.bindings)


def _presence(pool: Pool) -> str:
    if pool.routers:
        return "1 router" if pool.routers == 1 else f"{pool.routers} routers"
    until = pool.lapses_at.isoformat(timespec="seconds") if pool.lapses_at is not None else "then"
    return f"no router; its queue expires by {until}"


def queue_of(event_type: str, existing: Sequence[Pool]) -> Pool:
    """The pool whose queue gets announcements of this type."""
    return next((pool for pool in existing if pool.takes(event_type)), _default(existing))


def caller_of(event_type: str, existing: Sequence[Pool]) -> Pool:
    """The pool whose routers call stored deliveries of this type. They are in no queue, so the default pool
    calls those of a pool without routers."""
    live = (pool for pool in existing if pool.routers and pool.takes(event_type))
    return next(live, _default(existing))


def _default(existing: Sequence[Pool]) -> Pool:
    return next(pool for pool in existing if not pool.bindings)


@dataclass(frozen=True, slots=True)
class EventTypes:
    """The types that match some pattern, or (`but`) all others."""

    patterns: tuple[str, ...] = ()
    but: bool = True


EVERY_TYPE = EventTypes()

MOST_TYPES_REMEMBERED = 10_000
"""Event types whose pool is remembered between two looks."""


class Pools:
    """How event types are divided between one pool and the others, as of the last look at them."""

    def __init__(self, own: Pool, existing: Sequence[Pool]) -> None:
        self._own = own
        self._there = tuple(existing)
        self._live = [pool for pool in existing if pool.routers]
        self._sharing: dict[tuple[str, ...], int] = {}
        self._queues: dict[str, bool] = {}

    @property
    def own(self) -> Pool:
        """The router's own pool, as of that look."""
        return next((pool for pool in self._there if pool.name == self._own.name), self._own)

    @property
    def routers(self) -> int:
        """How many live routers there are in all pools, at least one: they share a namespace's max_in_flight."""
        return max(1, sum(pool.routers for pool in self._live))

    def is_own(self, event_type: str) -> bool:
        """Whether its own queue gets announcements of this type."""
        if (known := self._queues.get(event_type)) is None:
            if len(self._queues) >= MOST_TYPES_REMEMBERED:
                self._queues.clear()
            known = queue_of(event_type, self._there).name == self._own.name
            self._queues[event_type] = known
        return known

    @property
    def announced(self) -> EventTypes:
        """The types that its sweeper announces again: those of its own queue. Nobody announces for a pool
        without routers, as its queue would only grow."""
        return self._own_types(self._there)

    @property
    def called(self) -> EventTypes:
        """The types whose stored deliveries its routers call; the default pool calls those of pools without
        routers."""
        return self._own_types(self._live)

    def _own_types(self, others: Sequence[Pool]) -> EventTypes:
        if self._own.bindings:
            return EventTypes(self._own.bindings, but=False)
        return EventTypes(tuple(binding for pool in others for binding in pool.bindings))

    def sharing(self, event_types: tuple[str, ...]) -> int:
        """How many live routers, at least one, may have a task of these types (or patterns) in call: they
        share its max_in_flight. Routers of the default pool count unless all types certainly belong to
        others: a share that is too small does less harm than a sum that is too large."""
        number = self._sharing.get(event_types)
        if number is None:
            reaching = (pool.routers for pool in self._live if self._reaches(pool, event_types))
            number = self._sharing[event_types] = max(1, sum(reaching))
        return number

    def _reaches(self, pool: Pool, event_types: tuple[str, ...]) -> bool:
        if pool.bindings:
            return any(
                topics.overlaps(kind, binding) for kind in event_types for binding in pool.bindings
            )
        taken = {binding for each in self._live for binding in each.bindings}
        return any(
            kind not in taken
            and (topics.is_pattern(kind) or not any(topics.matches(one, kind) for one in taken))
            for kind in event_types
        )
