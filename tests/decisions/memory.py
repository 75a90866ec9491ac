"""A store in memory, of as much as decisions ask for: instances, requests and the registry's generation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from waystation_core.ports.broker import Announcement, AnnounceOutcome
from waystation_core.ports.store import (
    AuditEntry,
    Committed,
    NamespaceState,
    RegistryMoved,
    RegistrySnapshot,
    Tally,
    WriteRefused,
)
from waystation_domain.commit import EventFacts, InstanceCommit, LoggedWrites
from waystation_domain.errors import RequestIdReused
from waystation_domain.model import Instance, JsonObject

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class MemoryStore:
    """Behaves as its port says; `generation` is raised by the test."""

    def __init__(self, *instances: Instance) -> None:
        self.instances = {instance.key: instance for instance in instances}
        self.requests: dict[tuple[str, str], tuple[bytes, JsonObject]] = {}
        self.generation = 1
        self.written: list[InstanceCommit] = []
        self.due: list[str] = []
        self.tally: Tally | None = None
        self.audit: list[AuditEntry] = []

    @asynccontextmanager
    async def locked(self, *, key: int, **_: Any) -> AsyncIterator[MemoryLocked]:
        locked = MemoryLocked(self, self.instances[key])
        yield locked
        self.requests |= locked.remembered
        self.audit += locked.recorded
        for commit in locked.commits:
            self._put(commit)

    async def commit(
        self,
        batch: Sequence[InstanceCommit],
        *,
        generations: Mapping[str, int],
        tally: Tally | None,
    ) -> Committed:
        keys = set()
        for commit in batch:
            stands = self.instances[commit.before.key].revision == commit.before.revision
            if stands and (
                not commit.fixes_tasks or generations[commit.before.namespace] == self.generation
            ):
                self._put(commit)
                keys.add(commit.before.key)
        self.tally = tally
        return Committed(frozenset(keys))

    async def make_due(self, event_ids: Sequence[str]) -> None:
        self.due += event_ids

    async def namespaces(self) -> list[NamespaceState]:
        return [NamespaceState("default", self.generation, 0)]

    async def changes(self, namespace: str) -> tuple[int, int]:
        return self.generation, 0

    async def snapshot(self, namespace: str) -> RegistrySnapshot:
        return RegistrySnapshot(self.generation, 0, (), ())

    def _put(self, commit: InstanceCommit) -> None:
        self.instances[commit.before.key] = commit.after
        self.written.append(commit)


class MemoryLocked:
    """One block. What it does is there once it ends well."""

    facts: Mapping[str, EventFacts] = {}
    log: Sequence[LoggedWrites] = ()
    now = NOW

    def __init__(self, store: MemoryStore, instance: Instance) -> None:
        self._store = store
        self.instance = instance
        self.generation = store.generation
        self.commits: list[InstanceCommit] = []
        self.recorded: list[AuditEntry] = []
        self.remembered: dict[tuple[str, str], tuple[bytes, JsonObject]] = {}

    async def write(self, commit: InstanceCommit) -> None:
        if commit.is_empty:
            return
        if commit.fixes_tasks and self._store.generation != self.generation:
            raise RegistryMoved("default")
        self.commits.append(commit)

    async def record(self, entry: AuditEntry) -> None:
        self.recorded.append(entry)

    async def repeated(self, rpc: str, request_id: str, digest: bytes) -> JsonObject | None:
        found = self._store.requests.get((rpc, request_id))
        if found is None:
            return None
        if found[0] != digest:
            raise RequestIdReused("another body", request_id=request_id)
        return found[1]

    async def remember(self, rpc: str, request_id: str, digest: bytes, result: JsonObject) -> None:
        if (rpc, request_id) in self._store.requests:
            raise WriteRefused("UniqueViolation")
        self.remembered[(rpc, request_id)] = (digest, result)


class MemoryBroker:
    """Takes everything, and keeps what it was."""

    def __init__(self) -> None:
        self.announced: list[str] = []

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        self.announced += [event.event_id for one in batch for event in one.events]
        return [AnnounceOutcome.CONFIRMED] * len(batch)

    def notify(self, batch: object) -> None: ...
