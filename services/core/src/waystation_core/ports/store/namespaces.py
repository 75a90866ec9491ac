"""NamespaceStore: which namespaces there are, their limits, and what they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_core.ports.store.audit import AuditedCall
from waystation_domain.namespaces import NamespaceLimits


@dataclass(frozen=True, slots=True)
class StoredNamespace:
    """A namespace as it is shown."""

    name: str
    description: str
    limits: NamespaceLimits
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """What a namespace uses now."""

    open_workflows: int
    workflows: int
    stored_bytes: int
    """Estimated from samples of pages."""
    handlers: int


class NamespaceStore(Protocol):
    """The namespaces of the installation."""

    async def create_namespace(
        self, name: str, description: str, limits: NamespaceLimits, *, by: AuditedCall | None = None
    ) -> StoredNamespace:
        """Makes a namespace with an empty registry. Raises NamespaceAlreadyExists."""
        ...

    async def namespace(self, name: str) -> StoredNamespace:
        """Raises NamespaceNotFound."""
        ...

    async def namespace_usage(self, name: str) -> NamespaceUsage:
        """What it uses; counts of very many are estimates."""
        ...

    async def update_namespace(
        self, name: str, description: str, limits: NamespaceLimits, *, by: AuditedCall | None = None
    ) -> StoredNamespace:
        """Replaces description and limits. Raises NamespaceNotFound."""
        ...

    async def list_namespaces(
        self, *, after: str, limit: int, among: Sequence[str] | None
    ) -> Sequence[StoredNamespace]:
        """By name, behind that one; only those `among` these names, unless it is None."""
        ...

    async def delete_namespace(self, name: str, *, by: AuditedCall | None = None) -> None:
        """Deletes a namespace, with its tasks and what is remembered of requests. Raises NamespaceNotFound,
        NamespaceNotEmpty if it has an instance or a live endpoint, and for `default`."""
        ...

    async def count_usage(self) -> None:
        """Counts what namespaces with such limits use, if that was done some seconds ago; one process does
        it."""
        ...

    async def take_starts(self, namespace: str, wanted: int) -> int:
        """Takes starts out of what a namespace may have by its `max_starts_per_second`; returns how many,
        perhaps none. What is not taken is kept for a second at most."""
        ...
