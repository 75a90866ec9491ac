"""A server's copy of the registry of one namespace: who handles which events now, and where.

Reading it costs nothing, and it is slightly old. That does no harm: a commit that depends on the registered
tasks carries the generation of the copy, and is refused if the registry has another one by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

import structlog

from waystation_core.outcome_seal import OutcomeSeal
from waystation_core.ports.store import Registration, RegistrySnapshot, RegistryStore
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable

log = structlog.get_logger(__name__)

_ENDPOINTS_SHOWN = 100
"""Endpoints of one service that are read when somebody asks what is wrong with them."""


class RegistryCopy:
    """The copy of one process. It is empty until `refresh` was called."""

    def __init__(
        self,
        store: RegistryStore,
        namespace: str = DEFAULT_NAMESPACE,
        *,
        on_change: Callable[[RegistrySnapshot], None] = lambda snapshot: None,
    ) -> None:
        """`on_change` is called with each new snapshot."""
        self.namespace = namespace
        self._store = store
        self._on_change = on_change
        self._refreshing = asyncio.Lock()
        self._read_at = float("-inf")
        self._table = TaskTable()
        self._tasks: dict[str, TaskSpec] = {}
        self.snapshot = RegistrySnapshot(
            generation=0, changes=-1, tasks=(), handlers=(), namespace=namespace
        )
        self.tokens: CompletionTokens
        """The completion tokens; set once the registry was read."""
        self.outcome_seal: OutcomeSeal | None = None
        """The seal of outcomes in notices; set once the registry was read."""

    @property
    def generation(self) -> int:
        return self.snapshot.generation

    @property
    def counters(self) -> tuple[int, int]:
        """(generation, changes) of the snapshot."""
        return self.snapshot.generation, self.snapshot.changes

    def resolve(self, event_type: str, workflow_type: str) -> tuple[TaskSpec, ...]:
        """The tasks that handle this type in workflows of that type, ordered by id."""
        return self._table.resolve(event_type, workflow_type)

    def task(self, task_id: str) -> TaskSpec | None:
        """The task that was registered under this id, if any. It may be retired: its calls in flight and late
        answers still follow its spec."""
        return self._tasks.get(task_id)

    def live_tasks(self) -> list[TaskSpec]:
        """Tasks that are not retired and that some endpoint of their own service declares now."""
        announced = {
            (handler.service_name, task.task_id)
            for handler in self.snapshot.handlers
            for task in handler.tasks
        }
        return [
            task for task in self.snapshot.tasks if (task.service_name, task.task_id) in announced
        ]

    async def endpoints_of(self, task_ids: Collection[str]) -> list[Registration]:
        """Some endpoints of these tasks' services, with their state as the routers report it."""
        services = {task.service_name for task in self.snapshot.tasks if task.task_id in task_ids}
        return [
            endpoint
            for service in sorted(services)
            for endpoint in await self._store.handlers(
                service_name=service, limit=_ENDPOINTS_SHOWN, namespace=self.namespace
            )
        ]

    async def refresh(self, *, older_than: float = 0.0) -> None:
        """Reads the registry again if its counters changed, unless it was checked within so many seconds.
        Raises StoreUnavailable."""
        async with self._refreshing:
            asked_at = time.monotonic()
            if asked_at - self._read_at < older_than:
                return
            if await self._store.changes(self.namespace) != self.counters:
                self._take(await self._store.snapshot(self.namespace))
            self._read_at = asked_at

    def _take(self, snapshot: RegistrySnapshot) -> None:
        self.snapshot = snapshot
        self._table = snapshot.table()
        self._tasks = {task.task_id: task for task in (*snapshot.tasks, *snapshot.retired)}
        if snapshot.completion_key:
            self.tokens = CompletionTokens(snapshot.completion_key)
            self.outcome_seal = OutcomeSeal(snapshot.completion_key)
        log.info(
            "registry_changed",
            namespace=snapshot.namespace,
            generation=snapshot.generation,
            tasks=len(snapshot.tasks),
            endpoints=len(snapshot.handlers),
        )
        self._on_change(snapshot)
