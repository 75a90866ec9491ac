"""RegistryStore: handlers and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from waystation_domain.model import DEFAULT_NAMESPACE
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
    """What this endpoint announced. What counts as a task's spec is the newest process's."""
    lease_seconds: int | None = None
    lease_remaining: float | None = None
    registered_at: datetime | None = None
    reachable: bool | None = None
    last_error: str = ""
    calls_in_flight: int = 0
    retired_task_ids: tuple[str, ...] = ()
    """Those of `tasks` that an operator retired: they get nothing."""
    began_at: datetime | None = None
    """When its process was registered first, by the database's clock: of two processes the one where
    this is later is newer. To `register` it is what the process says that it was answered then."""


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """All a router needs to resolve and call. Lapsed leases are left out of `handlers`."""

    generation: int
    changes: int
    tasks: tuple[TaskSpec, ...]
    """Those that handle events now."""
    handlers: tuple[Registration, ...]
    retired: tuple[TaskSpec, ...] = ()
    """Those that get nothing any more. What they have in call still goes by their specs."""
    completion_key: bytes = field(default=b"", repr=False)
    """What completion tokens are sealed with."""

    def table(self) -> TaskTable:
        """Which tasks handle an event."""
        return TaskTable(self.tasks, (spec for handler in self.handlers for spec in handler.tasks))


@dataclass(frozen=True, slots=True)
class Undeclared:
    """What a look at tasks that nobody declares came to."""

    retired: tuple[str, ...]
    """Tasks whose grace was over."""
    waiting: bool
    """Whether the grace of others runs."""


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
    ) -> tuple[Registration, list[str]]:
        """Stores or replaces the registration of the same service, host and port, and the specs of
        those of its tasks that no newer process registered; raises the generation when the types or
        workflow types that a task is announced for may have changed, or when it brings one back that
        the system had retired. Answers with it and the task_ids registered for the first time (their
        catch-up is due).

        A process is as old as its `began_at` says. Without one it goes on where the live registration
        of its endpoint says the same, and else begins now, after all others of its tasks.

        Raises TaskOwnedByOtherService, RequestIdReused, TooManyHandlers where it would be one more
        endpoint than `at_most`.
        """
        ...

    async def renew(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> float:
        """Extends the lease from now; seconds. Raises HandlerNotFound when unknown or lapsed."""
        ...

    async def unregister(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Removes the registration, where it is there. Raises the generation where it announced
        what the tasks' specs do not."""
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
        """(generation, changes) now. Lapsed leases count as a change once someone notices them here,
        and as `unregister`."""
        ...

    async def snapshot(self, namespace: str = DEFAULT_NAMESPACE) -> RegistrySnapshot:
        """Everything registered, as one consistent read."""
        ...

    async def retire(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Retires a task for good, as an operator asks; raises the generation unless it is retired
        already. Raises TaskNotFound."""
        ...

    async def retire_undeclared(
        self, grace: float, *, namespace: str = DEFAULT_NAMESPACE
    ) -> Undeclared:
        """Retires tasks that for `grace` seconds no live endpoint of their live service declared,
        until one declares them again; notes those that it finds so for the first time. Of a service
        without any live endpoint nothing is noted."""
        ...

    async def instances_to_retire(
        self,
        *,
        task_id: str = "",
        after: tuple[str, int] = ("", 0),
        limit: int = 1000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[tuple[str, int]]:
        """(task_id, key of the instance), in order and after that one, of open deliveries of retired
        tasks (or this one) that are not in call, held or dead."""
        ...

    async def instances_to_catch_up(
        self,
        task: TaskSpec,
        *,
        after: int = 0,
        limit: int = 5000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> ToCatchUp:
        """Open instances of its workflow types, after that key, with events that settled as
        UNHANDLED, that it claims, and of which it never had a delivery. Looks at `limit` such
        events at most; so there may be one that has none for it, and fewer, or none, though there
        are more."""
        ...

    async def catch_ups_due(self) -> list[TaskSpec]:
        """Tasks whose second look at UNHANDLED events is due; claimed for the caller, who calls
        `caught_up` when it has looked. Who dies before leaves it to another one."""
        ...

    async def caught_up(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Notes that the second look is done."""
        ...
