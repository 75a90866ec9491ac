"""RegistryStore: handlers and tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from waystation_core.ports.store.audit import AuditedCall
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.namespaces import NO_LIMITS, NamespaceLimits
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable


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
    """What this endpoint declared. The spec of a task is the newest process's."""
    lease_seconds: int | None = None
    lease_remaining: float | None = None
    registered_at: datetime | None = None
    reachable: bool | None = None
    last_error: str = ""
    calls_in_flight: int = 0
    retired_task_ids: tuple[str, ...] = ()
    """Those of `tasks` that an operator retired: they get no deliveries."""
    began_at: datetime | None = None
    """When its process registered first, by the database's clock: the later process is the newer one. To
    `register` it is the time that the process got in its first answer."""
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """All that a router needs to resolve and call. Lapsed leases are left out of `handlers`."""

    generation: int
    changes: int
    tasks: tuple[TaskSpec, ...]
    """Tasks that are not retired."""
    handlers: tuple[Registration, ...]
    retired: tuple[TaskSpec, ...] = ()
    """Retired tasks. Their calls in flight still follow their specs."""
    completion_key: bytes = field(default=b"", repr=False)
    """The key of completion tokens."""
    namespace: str = DEFAULT_NAMESPACE

    def table(self) -> TaskTable:
        """The tasks of events."""
        return TaskTable(self.tasks, (spec for handler in self.handlers for spec in handler.tasks))


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """What servers and routers follow of one namespace."""

    namespace: str
    generation: int
    changes: int
    lapsed: bool = False
    """Whether a lease has lapsed that `changes` does not count yet."""
    limits: NamespaceLimits = NO_LIMITS
    open_workflows: int = 0
    """Instances that had not ended when they were counted; only counted where a limit needs it."""
    stored_bytes: int = 0
    """The same, as estimated."""
    counted: int = 0
    """Number of the count: another one has a new number."""


@dataclass(frozen=True, slots=True)
class Undeclared:
    """The result of a look for undeclared tasks."""

    retired: tuple[str, ...]
    """Tasks whose grace period is over."""
    waiting: bool
    """Whether other tasks are within their grace period."""


@dataclass(frozen=True, slots=True)
class ToCatchUp:
    """A portion of the instances that a new task catches up with."""

    keys: Sequence[int]
    """In order."""
    after: int | None
    """Where the next portion begins; None: there are no more."""


class RegistryStore(Protocol):
    """Handlers and tasks of one namespace."""

    async def register(
        self,
        registration: Registration,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        request: tuple[str, bytes] | None = None,
        at_most: int = 10_000,
        by: AuditedCall | None = None,
    ) -> tuple[Registration, list[str]]:
        """Stores or replaces the registration of the same service, host and port, and the specs of those of
        its tasks that no newer process registered; raises the generation if the event types or workflow types
        of a task may have changed, or if a task that the system had retired is declared again. Returns the
        registration and the task_ids registered for the first time (their catch-up is due). The entry of `by` is
        stored with it if it changes anything but leases and times.

        A process is as old as its `began_at`. Without one it is the same process if the live registration of
        its endpoint is equal, and otherwise a new one, newer than all others of its tasks. Raises
        TaskOwnedByOtherService, RequestIdReused, TooManyHandlers if it would be one endpoint more than
        `at_most`.
        """
        ...

    async def renew(
        self,
        handler_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        services: Collection[str] | None = None,
    ) -> float:
        """Extends the lease from now; seconds. Raises HandlerNotFound if it is unknown or lapsed, or of none of
        these services (None: of any)."""
        ...

    async def unregister(
        self,
        handler_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        services: Collection[str] | None = None,
        by: AuditedCall | None = None,
    ) -> None:
        """Removes the registration, if it exists and is of one of these services (None: of any), and then stores the entry of `by` with it. Raises the
        generation if it declared more than the tasks' specs."""
        ...

    async def handlers(
        self,
        *,
        service_name: str = "",
        after: Sequence[str | int] | None = None,
        limit: int = 50,
        with_tasks: bool = True,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[Registration]:
        """Ordered by (service_name, host, port, handler_id), after that key; with what routers report."""
        ...

    async def changes(self, namespace: str = DEFAULT_NAMESPACE) -> tuple[int, int]:
        """(generation, changes) now. A lapsed lease counts as a change, and as `unregister`, once it is
        noticed here."""
        ...

    async def snapshot(self, namespace: str = DEFAULT_NAMESPACE) -> RegistrySnapshot:
        """Everything registered, as one consistent read."""
        ...

    async def retire(
        self,
        task_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        by: AuditedCall | None = None,
    ) -> None:
        """Retires a task permanently, for an operator; raises the generation unless it is retired already. The
        entry of `by` is stored with it in any case: its open deliveries are ended next. Raises TaskNotFound."""
        ...

    async def retire_undeclared(
        self, grace: float, *, namespace: str = DEFAULT_NAMESPACE
    ) -> Undeclared:
        """Retires tasks that no live endpoint of their live service has declared for `grace` seconds, until
        one declares them again; records those that it finds for the first time. Tasks of a service without a
        live endpoint are left out."""
        ...

    async def instances_to_retire(
        self,
        *,
        task_id: str = "",
        after: tuple[str, int] = ("", 0),
        limit: int = 1000,
        namespace: str | None = None,
    ) -> list[tuple[str, int]]:
        """(task_id, key of the instance), in order and after that one, of open deliveries of retired tasks
        (or of this one) that are not in call, held or dead. Without a namespace: of all of them."""
        ...

    async def count_to_retire(
        self,
        task_id: str,
        *,
        after: int = 0,
        limit: int = 1000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[tuple[int, int]]:
        """(key of the instance, how many of its deliveries), in order and after that key: of what would become dead
        letters if this task were retired now. An instance may have none of them."""
        ...

    async def instances_to_catch_up(
        self,
        task: TaskSpec,
        *,
        after: int = 0,
        limit: int = 5000,
    ) -> ToCatchUp:
        """Open instances of its namespace and workflow types, after that key, with UNHANDLED events that the task handles
        and of which it never had a delivery. Reads at most `limit` such events; so an instance may have none
        for it, and there may be fewer instances, or none, although there are more."""
        ...

    async def namespaces(self) -> Sequence[NamespaceState]:
        """Every namespace as of now, by one statement."""
        ...

    async def catch_ups_due(self) -> list[TaskSpec]:
        """Tasks whose second look at UNHANDLED events is due; claimed for the caller, who calls `caught_up`
        afterwards. If it dies before, another process claims them."""
        ...

    async def caught_up(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Records that the second look is done."""
        ...
