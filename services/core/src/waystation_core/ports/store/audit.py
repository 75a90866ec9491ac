"""AuditStore: who changed what, and whose calls were denied. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One call, or several equal ones that were refused."""

    principal: str
    """Who called; empty: a caller that could not show who it is."""
    method: str
    """The name of the RPC, without its service."""
    namespace: str = ""
    """Empty: the whole installation, or not known."""
    peer: str = ""
    """Where the call came from, without the port."""
    target: Mapping[str, str] = field(default_factory=dict)
    """What it was about: names of the request's fields, and their values. Ids and names, never payloads."""
    request_id: str = ""
    code: str = "OK"
    reason: str = ""
    """Of a refused call: the error's reason."""
    calls: int = 1
    """Above 1: the first of so many."""


@dataclass(slots=True)
class AuditedCall:
    """A call that changes something, on its way. Whoever carries it out passes it on to what writes the
    change, which writes its entry in the same transaction."""

    entry: AuditEntry
    stored: bool = False
    """Whether the entry is committed, with the first change of the call. Later ones need no second one."""

    def about(self, **target: str) -> None:
        """Adds to what the entry is about, as it becomes known."""
        self.entry = replace(self.entry, target={**self.entry.target, **target})

    @property
    def due(self) -> AuditEntry | None:
        """The entry to write with the next change; None once it is stored."""
        return None if self.stored else self.entry


@dataclass(frozen=True, slots=True)
class StoredAuditEntry:
    """An entry as stored."""

    audit_id: int
    occurred_at: datetime
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All given conditions hold."""

    namespaces: Sequence[str] | None = None
    """None: all, and the whole installation."""
    principal: str = ""
    methods: Sequence[str] = ()
    target: str = ""
    """A value of `AuditEntry.target`."""
    denied: bool = False
    from_time: datetime | None = None
    to_time: datetime | None = None


class AuditStore(Protocol):
    """The audit log. What is written with a change is written by the store of the change."""

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Adds these, in one transaction of their own."""
        ...

    async def entries(
        self, filter: AuditFilter, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[StoredAuditEntry]:
        """The newest first, after this (occurred_at, audit_id)."""
        ...
