"""What routers ask of the store beside the work itself: what is due or lost, who has what in hand, and
which routers and pools there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_domain.model import DEFAULT_NAMESPACE, Delivery, JsonObject, Timer
from waystation_domain.pools import EVERY_TYPE, EventTypes, Pool


@dataclass(frozen=True, slots=True)
class DueEvent:
    """An event to announce (again)."""

    event_id: str
    event_type: str
    workflow_instance_id: str
    workflow_type: str
    version: int
    priority: int
    announcements: int
    correlation_id: str | None
    traceparent: str | None
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class LeasedRow:
    """A delivery that is leased to a router, as the database has it."""

    event_id: str
    task_id: str
    since: datetime | None = None
    """When this lease began. None: whichever lease of this router it has."""


@dataclass(frozen=True, slots=True)
class RouterReport:
    """What a router says of itself with each heartbeat."""

    calls_in_flight: int
    results_committed: int
    endpoints: Mapping[str, JsonObject]
    """By handler_id: reachable, last_error, calls_in_flight."""


@dataclass(frozen=True, slots=True)
class BrokenLeases:
    """What dead routers left."""

    deliveries: int
    """Those they had in call."""
    events: int
    """Those that are announced again."""
    more: bool = False
    """Whether there may be more: the portion was full."""


@dataclass(frozen=True, slots=True)
class MadeDue:
    """A portion of what may be lost, made due."""

    cause: str
    """`broker`, or `pool` and its name."""
    events: int
    more: bool
    """Whether there may be more of this cause: the portion was full."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a router hears when it renews its lease."""

    held: bool
    """False: the lease had lapsed, so others may have taken its deliveries."""
    in_pool: bool
    """False: its pool has lapsed or was never joined, so others may have its event types."""
    pools: tuple[Pool, ...]
    """All pools that are there, the default one first; its own counts itself."""


class RouterStore(Protocol):
    """A part of `EngineStore`."""

    async def make_due(self, event_ids: Sequence[str]) -> None:
        """Makes outbox rows due at once: their messages were returned or not confirmed."""
        ...

    async def note_lost(self, seconds_ago: float) -> None:
        """Notes that all that was announced before then may be lost. It stays noted until
        `make_lost_due` has been through all of it, whoever calls that. Noted once more, it begins
        anew, up to the later time."""
        ...

    async def make_lost_due(self, limit: int) -> MadeDue | None:
        """Goes on with bringing back what is noted as lost: looks at the next `limit` outbox rows,
        oldest first, and makes those of them due that were announced before. None: nothing is
        noted, or another router is at it just now."""
        ...

    async def claim_due_events(self, limit: int, types: EventTypes = EVERY_TYPE) -> list[DueEvent]:
        """Claims due outbox rows of these types, oldest first, and doubles their wait (up to 10
        min). Where it raises, none is claimed."""
        ...

    async def claim_starving_events(
        self,
        limit: int,
        unsettled_for: float,
        types: EventTypes = EVERY_TYPE,
        *,
        at_any_level: bool = False,
    ) -> list[DueEvent]:
        """Claims rows of these types unsettled this long and announced below the highest level, for
        one more announcement at that. `at_any_level`: those too that were announced at the highest, and
        once. Each call looks at a portion of the outbox, the oldest one first,
        and at the next one where that has none. Where it raises, none is claimed."""
        ...

    async def claim_deliveries(
        self,
        router_id: str,
        limit: int,
        task_ids: Sequence[str],
        *,
        suspects: bool,
        types: EventTypes = EVERY_TYPE,
    ) -> list[Delivery]:
        """Leases READY deliveries that are due, of these tasks and event types, to this router,
        oldest first.

        With `suspects` it leases only suspects, their attempt recorded, and none of a service that
        another router has a suspect of in call."""
        ...

    async def claim_overdue(self, router_id: str, limit: int) -> list[Delivery]:
        """Leases PENDING deliveries whose time is over to this router, oldest first."""
        ...

    async def leased(
        self, router_id: str, *, after: LeasedRow | None = None, limit: int
    ) -> tuple[datetime, list[LeasedRow]]:
        """The time now, and the deliveries leased to this router, by event and task after that one."""
        ...

    async def compared(self, router_id: str, before: datetime) -> None:
        """Tells that what was leased to this router before then is in its hand, or was given back."""
        ...

    async def give_back(
        self, router_id: str, rows: Sequence[LeasedRow], *, due_in: float = 0.0
    ) -> int:
        """Ends exactly these leases of this router, under which nothing was called: READY in `due_in`
        seconds, and the attempt that the claim of a suspect recorded is taken back. Answers how many;
        those that ended meanwhile, or are locked, are left alone."""
        ...

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        """Claims due timers; by key of the instance, oldest first in each. They are as they stand from
        now on: `due_at` is when another one may claim them, should this one die before it fires them: 5 s
        later. Where it raises, none is claimed."""
        ...

    async def timers_of_instances(self, keys: Sequence[int]) -> dict[int, list[Timer]]:
        """All timers of these instances, as they stand; in no order."""
        ...

    async def wake_parked(
        self,
        task_ids: Sequence[str],
        limit: int,
        types: EventTypes = EVERY_TYPE,
        *,
        parked_for: float | None = None,
    ) -> dict[str, int]:
        """Makes parked deliveries of these tasks and event types READY: an endpoint or a place is
        there. `limit` of each task at most, oldest first; says how many, by task, and a task with
        fewer has no more. Those that were parked for some time only where that is over, or where
        it was more than `parked_for` seconds ago: before endpoints changed."""
        ...

    async def join_pool(self, pool: Pool, lease_seconds: float) -> None:
        """Makes a pool other than the default one be there, or finds it as it is; two routers that
        do so at once do it one after the other. Raises PoolRefused."""
        ...

    async def heartbeat(
        self,
        router_id: str,
        pool: str,
        host: str,
        lease_seconds: float,
        report: RouterReport,
        bindings: Sequence[str] = (),
    ) -> Heartbeat:
        """Renews the router's lease by one statement in database time, and its pool with it. Two may be
        under way at once: neither shortens the lease."""
        ...

    async def end_lapsed_pools(self) -> list[str]:
        """Forgets pools whose queues have expired, 100 at most, and notes what these may have held
        as lost; which ones. One router finds each."""
        ...

    async def break_leases(self, router_id: str, lease_seconds: float, limit: int) -> BrokenLeases:
        """Of routers whose lease has lapsed, `limit` of each at most: their deliveries become READY
        suspects, and what was committed in their last lease and is not settled becomes due, as
        they may have died before announcing it. The routers are removed once all of it is.
        Call only after renewing without a gap for a whole lease."""
        ...

    async def leave(self, router_id: str) -> None:
        """Ends the router's lease; what it leased is READY at once, and not suspect, in portions.
        One that is broken off leaves the rest to the next call, or to the lease. The last one of a
        pool starts the time after which that lapses."""
        ...

    async def forget_requests(self, limit: int) -> int:
        """Forgets requests made more than 7 days ago, so many at most; says how many."""
        ...
