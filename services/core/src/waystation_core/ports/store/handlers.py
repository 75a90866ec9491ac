"""The store's second face: handlers and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_core.domain.model import (
    DEFAULT_NAMESPACE,
    TaskSpec,
)


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
