"""QueryStore: reads."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from waystation_core.ports.store.dead_letters import DeadLetterQueries
from waystation_domain.flow.graph import Observations
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Delivery,
    DeliveryState,
    Event,
    Instance,
    Result,
    Status,
    TimerKind,
)
from waystation_domain.pools import Pool
from waystation_domain.stored import DeadLetterFact, StoredEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which entries of history a list shows. By default all."""

    from_sequence: int = 1
    to_sequence: int | None = None
    """The last one; None: no last one."""
    processed_by: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryPortion:
    """Entries of history in the requested order."""

    entries: Sequence[StoredEntry]
    more: bool
    """Whether others may follow the last of these."""


@dataclass(frozen=True, slots=True)
class HistoryTail:
    """The history after a sequence number, and the state of the instance, in one read."""

    status: Status
    version: int
    is_settled: bool
    """Whether it has ended and only an operator can add to its history: what is not settled are dead letters,
    and deliveries held because of them."""
    entries: tuple[StoredEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its state: PENDING, SETTLED, UNHANDLED or SKIPPED."""

    event: Event
    state: str


@dataclass(frozen=True, slots=True)
class OutboxFact:
    """An event of an instance that no router has taken over yet."""

    event: Event
    created_at: datetime
    due_at: datetime
    announcements: int


class LeaseState(enum.Enum):
    """What is known of a delivery that is leased to a router."""

    IN_HAND = "in hand"
    """The router lives, and had it in hand when it last compared, some seconds ago at most."""
    NOT_COMPARED = "not compared"
    """The router lives, and has not reported yet whether it has it in hand."""
    LAPSED = "lapsed"
    """The router has not renewed its lease in time."""


@dataclass(frozen=True, slots=True)
class DeliveryFact:
    """An open delivery of an instance."""

    delivery: Delivery
    event: Event
    since: datetime
    due_at: datetime
    lease: LeaseState | None = None
    """Of one that is LEASED."""
    endpoint: str = ""
    """host:port of the endpoint that handles it, as its router reported it some seconds ago; empty: not reported."""


@dataclass(frozen=True, slots=True)
class TimerFact:
    """A timer of an instance, with the event that it is about, if any."""

    kind: TimerKind
    ref: str
    due_at: datetime
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class FirstFew(Generic[T]):
    """The first of a number of things, in order."""

    shown: Sequence[T] = ()
    left_out: int = 0
    """How many others there are."""


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What of an instance is not settled, and what is due later: of each kind the oldest."""

    events: FirstFew[OutboxFact] = FirstFew()
    deliveries: FirstFew[DeliveryFact] = FirstFew()
    """Without dead ones, which are among the dead letters."""
    delayed: FirstFew[TimerFact] = FirstFew()
    """Delayed events."""
    dead_letters: FirstFew[DeadLetterFact] = FirstFew()
    """Open ones."""
    has_deadline: bool = False
    """Whether the instance fails at its deadline."""


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """Which instances a list shows."""

    workflow_types: tuple[str, ...] = ()
    """Empty: all; and so are the statuses."""
    statuses: tuple[Status, ...] = ()
    idle: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    correlation_ids: tuple[str, ...] = ()
    id_prefix: str = ""

    @property
    def asks_for_none_completed(self) -> bool:
        """Whether no instance that completed can match; one that has ended is not idle."""
        return self.idle is True or bool(self.statuses and Status.COMPLETED not in self.statuses)


@dataclass(frozen=True, slots=True)
class WorkflowsFound:
    """A portion of a list of instances."""

    instances: Sequence[Instance]
    after: tuple[datetime, int] | None
    """Where the next portion begins; None: there are no more."""


@dataclass(frozen=True, slots=True)
class RouterFact:
    router_id: str
    pool: str
    host: str
    started_at: datetime
    lease_remaining: float
    calls_in_flight: int
    results_committed: int
    events_announced: int
    events_continued: int


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The installation at one point in time."""

    routers: tuple[RouterFact, ...]
    outbox_size: int
    """This and the numbers of deliveries and dead letters are counted up to 1,000,001."""
    deliveries: int
    oldest_unsettled_event_id: str | None
    oldest_unsettled_age: float | None
    """Seconds. Only of events and deliveries that wait for the engine or its tasks."""
    oldest_unsettled_instance_id: str | None
    dead_letters: int
    workflows_by_status: Mapping[Status, int]
    idle_workflows: int
    workflows_estimated: bool
    """Whether the two before are estimates: there are too many instances to count."""
    handlers: int
    unreachable_handlers: int
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class SystemNumbers:
    """Numbers of all namespaces together, for metrics."""

    outbox: int
    """This and the numbers of deliveries and dead letters are counted up to 1,000,001."""
    deliveries: Mapping[DeliveryState, int]
    """All states."""
    dead_letters: int
    """Open ones."""
    open_workflows: Mapping[Status, int]
    """All open statuses. Of the newest 50,000 instances that are not COMPLETED, as the number of idle ones."""
    idle_workflows: int
    oldest_age: float
    """Of what waits for the engine or its tasks, in seconds; 0 if nothing does."""
    routers: Mapping[str, int]
    """Live ones, by pool; all existing pools."""


@dataclass(frozen=True, slots=True)
class FlowPortion:
    """A portion of the newest instances, with the flow of events in their history."""

    seen: Observations
    after: tuple[datetime, int] | None
    """Where the next portion begins; None: there are no more."""


EVERY_ENTRY = HistoryFilter()


class QueryStore(DeadLetterQueries, Protocol):
    """Reads. Lists page by key: `after` is the last row's key of the page before."""

    async def instances(
        self, ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, Instance]:
        """Instances by id, as one query; unknown ones are missing."""
        ...

    async def history(
        self,
        key: int,
        filter: HistoryFilter = EVERY_ENTRY,
        *,
        newest_first: bool = False,
        with_change: bool = True,
        limit: int = 1_000,
    ) -> HistoryPortion:
        """The first entries of an instance that match a filter, at most `limit`, and fewer if they are large:
        at least one if there is any. Without `with_change` they have no change."""
        ...

    async def tails(
        self,
        places: Sequence[tuple[str, int]],
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> dict[tuple[str, int], HistoryTail]:
        """For each instance id and sequence number the entries after it, at most `limit` and fewer if they
        are large, as one query. Unknown instances are missing."""
        ...

    async def workflows(
        self,
        filter: WorkflowFilter,
        *,
        after: tuple[datetime, int] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> WorkflowsFound:
        """The next instances that match a filter, newest first, without data, output, fan-out groups, input
        schemas and details of failures; at most `limit`. A portion is small enough to be found well within
        the statement timeout and to fit into memory: it may have fewer, or none, although there are more."""
        ...

    async def events(
        self, key: int, *, after: int | None = None, limit: int = 50
    ) -> list[StoredEvent]:
        """Events of an instance in the order in which they were raised; `after` is a number of events."""
        ...

    async def events_named(self, key: int, event_ids: Sequence[str]) -> dict[str, Event]:
        """Events of an instance by id; others are missing."""
        ...

    async def open_work(self, key: int, *, limit: int = 200) -> OpenWork:
        """What is unsettled and what is due later in an instance; at most `limit` of each kind, the oldest
        ones. Events are without payloads."""
        ...

    async def ids_beginning(
        self, prefix: str, *, limit: int, namespace: str = DEFAULT_NAMESPACE
    ) -> list[str]:
        """Ids of instances that begin so, in the order of their characters."""
        ...

    async def instance_of_event(
        self, event_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int | None:
        """Key of the instance that an event was raised in; None: there is no such event."""
        ...

    async def pools(self) -> tuple[Pool, ...]:
        """All existing pools, the default one first."""
        ...

    async def flow(
        self,
        created_after: datetime,
        *,
        workflow_type: str = "",
        after: tuple[datetime, int] | None = None,
        limit: int = 100,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> FlowPortion:
        """The flow of the next instances, newest first, at most `limit`. A portion is small enough to be read
        well within the statement timeout; it may have no instance."""
        ...

    async def numbers(self) -> SystemNumbers:
        """For metrics: cheap enough to be asked every few seconds."""
        ...

    async def system(self, namespace: str = DEFAULT_NAMESPACE) -> SystemFacts: ...
