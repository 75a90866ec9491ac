"""What routers need from the store besides the work itself: what is due or lost, who has leased what, and
which routers and pools exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_domain.model import DEFAULT_NAMESPACE, Delivery, JsonObject, Timer
from waystation_domain.pools import EVERY_TYPE, EventTypes, Pool
from waystation_domain.task_spec import TaskKey


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
    """A delivery that the database has leased to a router."""

    event_id: str
    task_id: str
    since: datetime | None = None
    """When this lease began. None: any lease of this router."""


@dataclass(frozen=True, slots=True)
class RouterReport:
    """What a router reports with each heartbeat."""

    calls_in_flight: int
    results_committed: int
    endpoints: Mapping[str, JsonObject]
    """By handler_id: reachable, last_error, calls_in_flight, address, and calls: [event_id, task_id] of the oldest."""
    events_announced: int = 0
    """Events that its commits raised and that went over the broker."""
    events_continued: int = 0
    """Those that it handled itself at once."""


@dataclass(frozen=True, slots=True)
class BrokenLeases:
    """What dead routers had."""

    deliveries: int
    """Deliveries that they had in call."""
    events: int
    """Events that are announced again."""
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
    """The answer to a heartbeat."""

    held: bool
    """False: the lease had lapsed, so other routers may have taken its deliveries."""
    in_pool: bool
    """False: its pool has lapsed or was never joined, so other pools may have its event types."""
    pools: tuple[Pool, ...]
    """All existing pools, the default one first, with this router."""


class RouterStore(Protocol):
    """A part of `EngineStore`."""

    async def make_due(self, event_ids: Sequence[str]) -> None:
        """Makes outbox rows due at once: their messages were returned or not confirmed."""
        ...

    async def note_lost(self, seconds_ago: float) -> None:
        """Records that everything announced before then may be lost, until `make_lost_due` of any router has
        brought all of it back. Recorded again, it starts again, up to the later time."""
        ...

    async def make_lost_due(self, limit: int) -> MadeDue | None:
        """Continues to bring back what is recorded as lost: reads the next `limit` outbox rows, oldest first,
        and makes those due that were announced before. None: nothing is recorded, or another router is doing
        it."""
        ...

    async def claim_due_events(self, limit: int, types: EventTypes = EVERY_TYPE) -> list[DueEvent]:
        """Claims due outbox rows of these types, oldest first, and doubles their wait (up to 10 min). Claims
        none if it raises."""
        ...

    async def claim_starving_events(
        self,
        limit: int,
        unsettled_for: float,
        types: EventTypes = EVERY_TYPE,
        *,
        at_any_level: bool = False,
    ) -> list[DueEvent]:
        """Claims rows of these types unsettled this long and announced below the highest level, for one
        announcement at that level. `at_any_level`: also those announced once, at the highest. Each call reads
        a portion of the outbox, the oldest first, and the next one if that has none. Claims none if it
        raises."""
        ...

    async def claim_deliveries(
        self,
        router_id: str,
        limit: int,
        tasks: Sequence[TaskKey],
        *,
        suspects: bool,
        types: EventTypes = EVERY_TYPE,
    ) -> list[Delivery]:
        """Leases due READY deliveries of these tasks and event types to this router, oldest first. With
        `suspects` it leases only suspects, records their attempt, and none of a service of which another
        router has a suspect in call."""
        ...

    async def claim_overdue(self, router_id: str, limit: int) -> list[Delivery]:
        """Leases PENDING deliveries whose deadline has passed to this router, oldest first."""
        ...

    async def leased(
        self, router_id: str, *, after: LeasedRow | None = None, limit: int
    ) -> tuple[datetime, list[LeasedRow]]:
        """The time now, and the deliveries leased to this router, by event and task after that one."""
        ...

    async def compared(self, router_id: str, before: datetime) -> None:
        """Reports that this router compared its leases: those from before then are in its hands, or were
        given back."""
        ...

    async def give_back(
        self, router_id: str, rows: Sequence[LeasedRow], *, due_in: float = 0.0
    ) -> int:
        """Ends exactly these leases of this router, under which nothing was called: READY in `due_in`
        seconds, without the attempt that the claim of a suspect recorded. Returns how many; leases that ended
        meanwhile, or are locked, are left out."""
        ...

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        """Claims due timers; by key of the instance, oldest first in each. Returned as they are from now on:
        `due_at` is when another router may claim them, 5 s later, if this one dies before it fires them.
        Claims none if it raises."""
        ...

    async def timers_of_instances(self, keys: Sequence[int]) -> dict[int, list[Timer]]:
        """All timers of these instances, in no order."""
        ...

    async def wake_parked(
        self,
        tasks: Sequence[TaskKey],
        limit: int,
        types: EventTypes = EVERY_TYPE,
        *,
        parked_for: float | None = None,
    ) -> dict[TaskKey, int]:
        """Makes parked deliveries of these tasks and event types READY, as there is an endpoint or a place.
        At most `limit` of each task, oldest first; returns how many, by task: a task with fewer has no more.
        Deliveries parked for a fixed time only after it, or if they were parked more than `parked_for`
        seconds ago: before endpoints changed."""
        ...

    async def join_pool(self, pool: Pool, lease_seconds: float) -> None:
        """Creates a pool other than the default one, or finds it; two routers that do so at once are
        serialised. Raises PoolRefused."""
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
        """Renews the router's lease, and its pool, by one statement in database time. Two may be under way at
        once: neither shortens the lease."""
        ...

    async def end_lapsed_pools(self) -> list[str]:
        """Deletes pools whose queues have expired, at most 100, and records what they may have held as lost;
        returns their names. One router finds each."""
        ...

    async def break_leases(self, router_id: str, lease_seconds: float, limit: int) -> BrokenLeases:
        """Of routers whose lease has lapsed, at most `limit` of each: their deliveries become READY suspects,
        and unsettled events committed in their last lease become due, as they may have died before announcing
        them. The routers are removed once all of it is done.

        Call only after renewing without a gap for a whole lease.
        """
        ...

    async def leave(self, router_id: str) -> None:
        """Ends the router's lease; its deliveries are READY at once, and not suspect, in portions. If it is
        interrupted, the next call or the end of the lease does the rest. The last router of a pool starts the
        time after which that lapses."""
        ...

    async def forget_requests(self, limit: int) -> int:
        """Deletes requests made more than 7 days ago, at most so many; returns how many."""
        ...
