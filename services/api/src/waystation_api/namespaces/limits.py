"""The limits of a namespace on starts: how many, how quickly, and how much may be stored.

What is open and stored is counted every few seconds, by one server for all; in between each server adds what it
admits itself. Starts per second are taken in portions out of a row in Postgres that all servers share, so that
the sum over all servers is limited, whichever of them gets the calls. A namespace without limits costs nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from waystation_core.ports.store import NamespaceState, NamespaceStore
from waystation_core.registries import Registries
from waystation_domain import units
from waystation_domain.errors import NamespaceLimitReached, RateLimited
from waystation_domain.namespaces import NO_LIMITS

TURN_SECONDS = 1.0
"""Between two looks whether a count is due."""
PORTION_SECONDS = 0.1
"""A server takes the starts of so long a time at once."""
KEPT_SECONDS = 1.0
"""What it did not use by then is void."""


@dataclass(slots=True)
class _Taken:
    """What one server has of one namespace."""

    counted: int = -1
    admitted: int = 0
    """Since that count."""
    starts: int = 0
    """Starts that it may still let in."""
    until: float = 0.0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


class StartLimits:
    """Admits starts of one server."""

    def __init__(
        self,
        registries: Registries,
        store: NamespaceStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registries = registries
        self._store = store
        self._clock = clock
        self._taken: dict[str, _Taken] = {}

    async def turn(self) -> None:
        """Has usage counted if that is due."""
        await self._store.count_usage()

    async def admit(self, namespace: str) -> None:
        """Admits one start. Raises NamespaceLimitReached, RateLimited, StoreUnavailable."""
        state = self._registries.state(namespace)
        if state is None or state.limits == NO_LIMITS:
            return
        taken = self._taken.setdefault(namespace, _Taken())
        if taken.counted != state.counted:
            taken.counted, taken.admitted = state.counted, 0
        _check_room(state, taken.admitted)
        if state.limits.max_starts_per_second is not None:
            await self._take(state, state.limits.max_starts_per_second, taken)
        taken.admitted += 1

    async def _take(self, state: NamespaceState, rate: float, taken: _Taken) -> None:
        async with taken.taking:
            if not taken.starts or self._clock() >= taken.until:
                wanted = max(1, math.ceil(rate * PORTION_SECONDS))
                taken.starts = await self._store.take_starts(state.namespace, wanted)
                taken.until = self._clock() + KEPT_SECONDS
            if not taken.starts:
                raise RateLimited(
                    f"The namespace {state.namespace} may have {rate:g} starts per second; retry in a "
                    "moment, or have an admin raise the limit.",
                    namespace=state.namespace,
                    limit=f"{rate:g}",
                )
            taken.starts -= 1


def _check_room(state: NamespaceState, admitted: int) -> None:
    most = state.limits.max_open_workflows
    if most is not None and state.open_workflows + admitted >= most:
        raise _reached(state, f"{most} open workflows", "max_open_workflows", most)
    most = state.limits.max_stored_bytes
    if most is not None and state.stored_bytes >= most:
        raise _reached(state, f"{units.size(most)} in the database", "max_stored_bytes", most)


def _reached(state: NamespaceState, what: str, limit: str, most: int) -> NamespaceLimitReached:
    return NamespaceLimitReached(
        f"The namespace {state.namespace} has reached its limit of {what}; retry later, or have an admin "
        f"raise {limit}.",
        namespace=state.namespace,
        limit=limit,
        most=str(most),
    )
