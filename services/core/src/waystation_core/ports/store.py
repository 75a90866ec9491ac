"""The store: what the engine asks of Postgres. One adapter, `waystation_core.store`.

Three faces, by who asks: `EngineStore` carries the work (load, commit, sweep), `RegistryStore` knows
handlers and tasks, `QueryStore` answers questions. All times are the database's, so that routers
with wrong clocks agree. Every method raises StoreUnavailable when Postgres can't be reached, after
which nothing or everything of the call has happened; repeating it as it is is safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from waystation_core.domain.actions import OpenDeadLetter, Start
from waystation_core.domain.commit import EventFacts, HistoryEntry, InstanceCommit, LoggedWrites
from waystation_core.domain.model import (
    DEFAULT_NAMESPACE,
    DeadLetterState,
    Delivery,
    Event,
    Instance,
    JsonObject,
    OnFailure,
    Status,
    TaskSpec,
)


class WriteRefused(Exception):
    """Postgres refused rows of a write (a violated constraint, a value it can't hold). Nothing of
    the call was written; repeating it as it is can't help."""


class RegistryMoved(Exception):
    """The registry's generation changed between decision and write: resolve and decide again."""


# --- carrying the work -----------------------------------------------------------------------


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
    histories: Mapping[int, Sequence[StoredEntry]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """What one call of `commit` wrote."""

    keys: frozenset[int]
    """Instances written; the others had moved, were locked, or the generation was not current."""
    now: datetime


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

    async def dead_letter(self, dead_letter_id: str) -> OpenDeadLetter | None:
        """An open dead letter of this instance, with its event."""
        ...

    async def dead_letters(
        self, filter: DeadLetterFilter, *, after: str | None = None, limit: int
    ) -> list[OpenDeadLetter]:
        """The open dead letters of this instance that a filter means, with their events, by id."""
        ...

    async def held(self) -> list[tuple[Delivery, Event]]:
        """The instance's HELD deliveries."""
        ...

    async def facts_of(self, event_ids: Sequence[str]) -> Mapping[str, EventFacts]:
        """Where further events stand, whose ids were not known before the lock."""
        ...

    async def unhandled(self) -> list[Event]:
        """The instance's events that settled as UNHANDLED and were not handled since."""
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
class RouterReport:
    """What a router says of itself with each heartbeat."""

    calls_in_flight: int
    results_committed: int
    endpoints: Mapping[str, JsonObject]
    """By handler_id: reachable, last_error, calls_in_flight."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a router hears when it renews its lease."""

    held: bool
    """False: the lease had lapsed, so others may have taken its deliveries."""
    routers: int
    """Live routers of its pool, itself included."""


@dataclass(frozen=True, slots=True)
class LongRequest:
    """A request that takes many transactions."""

    began_at: datetime
    """When it was made for the first time."""
    count: int = 0
    """How much it has done."""
    done: bool = False


class EngineStore(Protocol):
    """The work. `locked` is the second form of the commit rule, `commit` the first."""

    async def start(self, batch: Sequence[Start]) -> list[Started]:
        """Stores new instances with their first events, as one statement; same order."""
        ...

    async def load(self, event_ids: Sequence[str], *, with_history: bool = False) -> Loaded:
        """Events with their instances and where they stand, as one query."""
        ...

    async def commit(self, batch: Sequence[InstanceCommit], *, generation: int) -> Committed:
        """Writes each instance whose revision is still that of `before`, as ONE statement; of the
        others it writes nothing. Those with `fixes_tasks` are written only while the registry's
        generation is this one. Waits for no lock. Raises WriteRefused."""
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
        versions after `since` wrote. Raises WorkflowNotFound."""
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

    async def make_lost_due(self, seconds_ago: float) -> int | None:
        """After a loss noticed by the broker: makes every outbox row due that was announced before
        `seconds_ago`; answers how many. One router at a time: None when another one did it less
        than 5 s ago, perhaps for an earlier loss. Ask again then; what that one announced anew
        and is settled by then is left alone."""
        ...

    async def claim_due_events(self, limit: int) -> list[DueEvent]:
        """Claims due outbox rows, oldest first, and doubles their wait (up to 10 min)."""
        ...

    async def claim_starving_events(self, limit: int, unsettled_for: float) -> list[DueEvent]:
        """Claims rows unsettled this long and announced once, for one more announcement at the highest level."""
        ...

    async def claim_deliveries(
        self, router_id: str, limit: int, task_ids: Sequence[str], *, suspects: bool
    ) -> list[Delivery]:
        """Leases READY deliveries that are due, of these tasks, to this router, oldest first.

        With `suspects` it leases only suspects, their attempt recorded, and none of a service that
        another router has a suspect of in call."""
        ...

    async def wake_parked(self, task_ids: Sequence[str]) -> int:
        """Makes parked deliveries of these tasks READY: an endpoint or a place is there."""
        ...

    async def heartbeat(
        self, router_id: str, pool: str, host: str, lease_seconds: float, report: RouterReport
    ) -> Heartbeat:
        """Renews the router's lease by one statement in database time."""
        ...

    async def break_leases(self, router_id: str) -> int:
        """Makes the deliveries of routers whose lease has lapsed READY suspects, and removes those
        routers. Call only after renewing without a gap for a whole lease."""
        ...

    async def leave(self, router_id: str) -> None:
        """Ends the router's lease; what it leased is READY at once, and not suspect."""
        ...

    async def backlog(self) -> int:
        """About how many outbox rows there are."""
        ...

    async def forget_requests(self, limit: int) -> int:
        """Forgets requests made more than 7 days ago, so many at most; says how many."""
        ...


# --- handlers and tasks ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registration:
    """One endpoint of a handler service, as stored."""

    handler_id: str
    service_name: str
    service_version: str
    host: str
    port: int
    static: bool
    tasks: tuple[TaskSpec, ...]
    """What this endpoint announced. What counts as a task's spec is the newest registration's."""
    lease_seconds: int | None = None
    lease_remaining: float | None = None
    registered_at: datetime | None = None
    reachable: bool | None = None
    last_error: str = ""
    calls_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """All a router needs to resolve and call. Lapsed leases are left out of `handlers`."""

    generation: int
    changes: int
    tasks: tuple[TaskSpec, ...]
    handlers: tuple[Registration, ...]


class RegistryStore(Protocol):
    """Handlers and tasks of one namespace."""

    async def register(
        self,
        registration: Registration,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        request: tuple[str, bytes] | None = None,
    ) -> tuple[Registration, list[str]]:
        """Stores or replaces the registration of the same service, host and port, and the specs of
        its tasks; raises the generation when a task's types or workflow types changed. Answers with
        it and the task_ids registered for the first time (their catch-up is due).

        Raises TaskOwnedByOtherService, RequestIdReused.
        """
        ...

    async def renew(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> float:
        """Extends the lease from now; seconds. Raises HandlerNotFound when unknown or lapsed."""
        ...

    async def unregister(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Removes the registration, where it is there."""
        ...

    async def handlers(
        self,
        *,
        service_name: str = "",
        after: Sequence[str | int] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[Registration]:
        """Ordered by (service_name, host, port, handler_id), after that key; with what routers report."""
        ...

    async def changes(self, namespace: str = DEFAULT_NAMESPACE) -> tuple[int, int]:
        """(generation, changes) now. Lapsed leases count as a change once someone notices them here."""
        ...

    async def snapshot(self, namespace: str = DEFAULT_NAMESPACE) -> RegistrySnapshot:
        """Everything registered, as one consistent read."""
        ...

    async def instances_to_catch_up(
        self, task: TaskSpec, *, namespace: str = DEFAULT_NAMESPACE, limit: int = 1000
    ) -> list[int]:
        """Keys of open instances of its workflow types with events that settled as UNHANDLED and
        that it claims."""
        ...

    async def catch_ups_due(self) -> list[TaskSpec]:
        """Tasks whose second look at UNHANDLED events is due; claimed for the caller, who calls
        `caught_up` when it has looked. Who dies before leaves it to another one."""
        ...

    async def caught_up(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Notes that the second look is done."""
        ...


# --- questions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry of history with what the database added."""

    entry: HistoryEntry
    processed_at: datetime
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HistoryTail:
    """What history holds after a sequence number, and where the instance stands, in one view."""

    status: Status
    version: int
    rests: bool
    """Whether it has ended and nothing adds to its history by itself: what is not settled waits
    for an operator (dead letters, and what is held because of them)."""
    entries: tuple[StoredEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and where it stands: PENDING, SETTLED, UNHANDLED or SKIPPED."""

    event: Event
    state: str


@dataclass(frozen=True, slots=True)
class OutboxFact:
    """An event of an instance that is not taken over yet."""

    event: Event
    created_at: datetime
    due_at: datetime
    announcements: int


@dataclass(frozen=True, slots=True)
class DeliveryFact:
    """An open delivery of an instance."""

    delivery: Delivery
    event: Event
    since: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterFact:
    """A dead letter as lists show it. `event.payload` is the payload as last tried."""

    dead_letter_id: str
    event: Event
    task_id: str
    workflow_instance_id: str
    workflow_type: str
    attempts: int
    error: JsonObject
    on_failure: OnFailure
    state: DeadLetterState
    created_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """Which instances a list shows."""

    workflow_type: str = ""
    statuses: tuple[Status, ...] = ()
    idle: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters a list shows. Empty: any."""

    workflow_instance_id: str = ""
    workflow_type: str = ""
    task_id: str = ""
    event_type: str = ""
    reason: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    state: DeadLetterState = DeadLetterState.OPEN


@dataclass(frozen=True, slots=True)
class RouterFact:
    router_id: str
    pool: str
    host: str
    started_at: datetime
    lease_remaining: float
    calls_in_flight: int
    results_committed: int


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The installation at one moment."""

    routers: tuple[RouterFact, ...]
    outbox_size: int
    deliveries: int
    oldest_unsettled_event_id: str | None
    oldest_unsettled_age: float | None
    dead_letters: int
    workflows_by_status: Mapping[Status, int]
    idle_workflows: int
    handlers: int
    unreachable_handlers: int


class QueryStore(Protocol):
    """Reads. Lists page by key: `after` is the last row's key of the page before."""

    async def instances(
        self, ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, Instance]:
        """Instances by id, as one query; unknown ones are missing."""
        ...

    async def history(self, key: int, *, up_to: int | None = None) -> list[StoredEntry]:
        """All entries of an instance in order of sequence."""
        ...

    async def tails(
        self,
        wanted: Sequence[tuple[str, int]],
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> dict[tuple[str, int], HistoryTail]:
        """For each instance id and sequence number the entries after it, `limit` at most and fewer
        where they are large, as one query. Unknown instances are missing."""
        ...

    async def workflows(
        self,
        filter: WorkflowFilter,
        *,
        after: tuple[datetime, int] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[Instance]:
        """Newest first, without data and output."""
        ...

    async def events(
        self, key: int, *, after: int | None = None, limit: int = 50
    ) -> list[StoredEvent]:
        """Events of an instance in the order in which they were raised; `after` counts events."""
        ...

    async def open_work(self, key: int) -> tuple[list[OutboxFact], list[DeliveryFact]]:
        """What of an instance is not settled."""
        ...

    async def dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[DeadLetterFact]:
        """Newest first."""
        ...

    async def dead_letter_instances(
        self,
        filter: DeadLetterFilter,
        *,
        after: int = 0,
        limit: int = 500,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[int]:
        """Keys of the instances that such dead letters belong to, in order, after that key."""
        ...

    async def dead_letter_instance(
        self, dead_letter_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int:
        """Key of the instance that it belongs to. Raises DeadLetterNotFound."""
        ...

    async def system(self, namespace: str = DEFAULT_NAMESPACE) -> SystemFacts: ...
