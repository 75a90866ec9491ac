"""EngineStore: the work (start, load, commit, lock)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_core.ports.store.audit import AuditedCall, AuditEntry
from waystation_core.ports.store.dead_letters import DeadLetterFilter
from waystation_core.ports.store.routers import RouterStore
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
from waystation_domain.stored import StoredEntry


class WriteRefused(Exception):
    """What was to be written is invalid: a violated constraint, a value that Postgres cannot hold. Nothing of
    the call was written; repeating it unchanged cannot help."""


class RegistryMoved(Exception):
    """The registry's generation changed between decision and write: resolve and decide again."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace
        """Whose registry."""


@dataclass(frozen=True, slots=True)
class Started:
    """The outcome of one start."""

    created: bool
    instance: Instance
    same_content: bool
    """Whether an existing instance was started with the same content; True when created."""
    request_reused: bool = False
    """The request_id was used by a start with other content; `instance` is that start's."""
    namespace_gone: bool = False
    """Its namespace was deleted: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a router needs to handle some events. Unknown ids are missing."""

    events: Mapping[str, tuple[Event, int]]
    """By event id, with the key of the instance."""
    instances: Mapping[int, Instance]
    facts: Mapping[str, EventFacts]
    now: datetime | None = None
    """When it was read, by the store's clock; None if nothing was found."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What one call of `commit` wrote."""

    keys: frozenset[int]
    """Instances written; the others had changed, were locked, or the generation was not current."""


class Locked(Protocol):
    """One instance, locked until the block ends. Decide, then write; leaving the block commits."""

    instance: Instance
    facts: Mapping[str, EventFacts]
    log: Sequence[LoggedWrites]
    """What the versions after the requested one wrote."""
    generation: int
    """The generation of its namespace's registry now."""
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
        """The open dead letters of this instance that match a filter, with their events, by id."""
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
        """The facts of further events, whose ids were not known before the lock."""
        ...

    async def unhandled(self, task_id: str) -> list[Event]:
        """The instance's events that settled as UNHANDLED and of which this task never had a delivery,
        whether or not other tasks handled them since."""
        ...

    async def repeated(self, rpc: str, request_id: str, digest: bytes) -> JsonObject | None:
        """The earlier answer to this request_id; None: it is new. Raises RequestIdReused if it came with
        another digest."""
        ...

    async def remember(self, rpc: str, request_id: str, digest: bytes, result: JsonObject) -> None:
        """Stores the answer to a request in this transaction."""
        ...

    async def count(self, rpc: str, request_id: str, number: int) -> None:
        """Adds to the count of a request begun by `begin_request`, in this transaction."""
        ...

    async def record(self, entry: AuditEntry) -> None:
        """Adds an entry to the audit log, in this transaction."""
        ...

    async def write(self, commit: InstanceCommit) -> None:
        """Writes the decision, and gives it its time (`InstanceCommit.written`); at most once in a block. Raises
        RegistryMoved."""
        ...


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
    """What a batch does for a request begun by `begin_request`."""

    rpc: str
    request_id: str
    of: Mapping[int, int]
    """The count, by key of the instance."""
    namespace: str = DEFAULT_NAMESPACE


class EngineStore(RouterStore, Protocol):
    """The work. `locked` is the second form of the commit rule, `commit` the first."""

    async def start(
        self, batch: Sequence[Start], *, by: AuditedCall | None = None
    ) -> list[Started]:
        """Stores new instances with their first events, as one statement; same order. With `by` the batch is one
        start, and if an instance is created, the entry is stored with it."""
        ...

    async def load(self, event_ids: Sequence[str]) -> Loaded:
        """Events with their instances and facts, as one query."""
        ...

    async def newest_history(self, key: int, *, up_to: int, limit: int) -> Sequence[StoredEntry]:
        """The newest entries of an instance up to this sequence number, newest first: `limit` at most, and
        fewer where they are large."""
        ...

    async def commit(
        self,
        batch: Sequence[InstanceCommit],
        *,
        generations: Mapping[str, int],
        tally: Tally | None = None,
    ) -> Committed:
        """Writes each instance whose revision is still that of `before`, as ONE statement; nothing of the
        others. Those with `fixes_tasks` are written only while their namespace's registry has this generation. Waits
        for no instance lock. Those written get their time (`InstanceCommit.written`). The count of them is added
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
        """Locks one instance, then reads in later statements: the facts of `event_ids`, and what versions
        after `since` wrote. A turn whose delivery is not in call is over. Raises WorkflowNotFound."""
        ...

    async def probe(self) -> None:
        """Whether a start and a commit could be written now: runs their statements without a row. Raises
        StoreUnavailable if not."""
        ...

    async def begin_request(
        self,
        rpc: str,
        request_id: str | None,
        digest: bytes,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        by: AuditedCall | None = None,
    ) -> LongRequest:
        """Stores a request that takes many transactions, or returns its progress; without a request_id
        nothing is stored. The entry of `by` is stored with it, unless the request is done already. Raises
        RequestIdReused."""
        ...

    async def end_request(
        self, rpc: str, request_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int:
        """Records that such a request is finished; returns the total of all its calls."""
        ...

    async def backlog(self) -> int:
        """About how much work waits: events that are not handled yet, and deliveries that are off the
        fast way and not in call: to be retried, or waiting for an endpoint or a place. Counted up to
        about a million of each."""
        ...
