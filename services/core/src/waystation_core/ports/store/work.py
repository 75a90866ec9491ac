"""The store's first face: what carries the work (start, load, commit, lock, sweep)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_core.ports.store.questions import DeadLetterFilter
from waystation_domain.actions import Start
from waystation_domain.commit import EventFacts, InstanceCommit, LoggedWrites
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Delivery,
    Event,
    Instance,
    JsonObject,
    Timer,
)
from waystation_domain.pools import EVERY_TYPE, EventTypes, Pool
from waystation_domain.stored import StoredEntry


class WriteRefused(Exception):
    """What was to be written is at fault: a violated constraint, a value that Postgres can't hold.
    Nothing of the call was written; repeating it as it is can't help."""


class RegistryMoved(Exception):
    """The registry's generation changed between decision and write: resolve and decide again."""


@dataclass(frozen=True, slots=True)
class Started:
    """What became of one start."""

    created: bool
    instance: Instance
    same_content: bool
    """Whether the instance there was started with the same content; True when created."""
    request_reused: bool = False
    """The request_id was used by a start with other content; `instance` is that one's."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a router needs to handle some events. Ids that are not there are missing."""

    events: Mapping[str, tuple[Event, int]]
    """By event id, with the key of the instance."""
    instances: Mapping[int, Instance]
    facts: Mapping[str, EventFacts]
    now: datetime | None = None
    """When it was read, by the store's clock; None where nothing was found."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What one call of `commit` wrote."""

    keys: frozenset[int]
    """Instances written; the others had moved, were locked, or the generation was not current."""


class Locked(Protocol):
    """One instance, locked until the block ends. Decide, then write; leaving the block commits."""

    instance: Instance
    facts: Mapping[str, EventFacts]
    log: Sequence[LoggedWrites]
    """What versions after the asked one wrote."""
    generation: int
    """The registry's, now."""
    now: datetime

    async def event(self, event_id: str) -> Event | None:
        """An event of this instance."""
        ...

    async def dead_letter(self, dead_letter_id: str) -> OpenDeadLetter:
        """An open dead letter of this instance, with its event. Raises DeadLetterResolved, and
        DeadLetterNotFound."""
        ...

    async def dead_letters(
        self, filter: DeadLetterFilter, *, after: str | None = None, limit: int
    ) -> list[OpenDeadLetter]:
        """The open dead letters of this instance that a filter means, with their events, by id."""
        ...

    async def held(self) -> list[tuple[Delivery, Event]]:
        """The instance's HELD deliveries."""
        ...

    async def open_deliveries(self) -> list[tuple[Delivery, Event]]:
        """All open deliveries of the instance."""
        ...

    async def deliveries_of(self, task_id: str, *, limit: int) -> list[tuple[Delivery, Event]]:
        """Deliveries of this task that are open and not in call, held or dead, with their events."""
        ...

    async def timers(self) -> list[Timer]:
        """All timers of the instance, with the times at which they are due."""
        ...

    async def facts_of(self, event_ids: Sequence[str]) -> Mapping[str, EventFacts]:
        """Where further events stand, whose ids were not known before the lock."""
        ...

    async def unhandled(self, task_id: str) -> list[Event]:
        """The instance's events that settled as UNHANDLED and of which this task never had a
        delivery, whatever other tasks made of them since."""
        ...

    async def repeated(self, rpc: str, request_id: str, digest: bytes) -> JsonObject | None:
        """What the call with this request_id answered before; None: it is new.

        Raises RequestIdReused when it came with another digest.
        """
        ...

    async def remember(self, rpc: str, request_id: str, digest: bytes, result: JsonObject) -> None:
        """Keeps the answer of a request in this transaction."""
        ...

    async def count(self, rpc: str, request_id: str, number: int) -> None:
        """Adds to what a request that was begun by `begin_request` has done, in this transaction."""
        ...

    async def write(self, commit: InstanceCommit) -> None:
        """Writes what was decided; at most once in a block. Raises RegistryMoved."""
        ...


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


@dataclass(frozen=True, slots=True)
class LongRequest:
    """A request that takes many transactions."""

    began_at: datetime
    """When it was made for the first time."""
    count: int = 0
    """How much it has done."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a batch does for a request that was begun by `begin_request`."""

    rpc: str
    request_id: str
    of: Mapping[int, int]
    """How much, by key of the instance."""
    namespace: str = DEFAULT_NAMESPACE


class EngineStore(Protocol):
    """The work. `locked` is the second form of the commit rule, `commit` the first."""

    async def start(self, batch: Sequence[Start]) -> list[Started]:
        """Stores new instances with their first events, as one statement; same order."""
        ...

    async def load(self, event_ids: Sequence[str]) -> Loaded:
        """Events with their instances and where they stand, as one query."""
        ...

    async def newest_history(self, key: int, *, up_to: int, limit: int) -> Sequence[StoredEntry]:
        """The newest entries of an instance up to this sequence number, newest first: `limit` at most, and
        fewer where they are large."""
        ...

    async def commit(
        self, batch: Sequence[InstanceCommit], *, generation: int, tally: Tally | None = None
    ) -> Committed:
        """Writes each instance whose revision is still that of `before`, as ONE statement; of the
        others it writes nothing. Those with `fixes_tasks` are written only while the registry's
        generation is this one. Waits for no lock of an instance. What the written ones did is added
        to the request of `tally` in the same transaction. Raises WriteRefused."""
        ...

    def locked(
        self,
        *,
        key: int | None = None,
        workflow_instance_id: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        event_ids: Sequence[str] = (),
        since: int | None = None,
    ) -> AbstractAsyncContextManager[Locked]:
        """Locks one instance, then reads in later statements: facts of `event_ids`, and what
        versions after `since` wrote. A turn whose delivery is not in call is over. Raises
        WorkflowNotFound."""
        ...

    async def probe(self) -> None:
        """Whether a start and a commit could be written now: their statements, without a row. Raises
        StoreUnavailable where not."""
        ...

    async def begin_request(
        self,
        rpc: str,
        request_id: str | None,
        digest: bytes,
        *,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> LongRequest:
        """Keeps a request that takes many transactions, or tells what came of it so far; without a
        request_id nothing is kept. Raises RequestIdReused."""
        ...

    async def end_request(
        self, rpc: str, request_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int:
        """Notes that such a request is done; answers with what all its calls did together."""
        ...

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

    async def standing_timers(self, keys: Sequence[int]) -> dict[int, list[Timer]]:
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

    async def backlog(self) -> int:
        """About how much work waits: events that are not handled yet, and deliveries that are off the
        fast way and not in call: to be retried, or waiting for an endpoint or a place. Counted up to
        about a million of each."""
        ...

    async def forget_requests(self, limit: int) -> int:
        """Forgets requests made more than 7 days ago, so many at most; says how many."""
        ...
