"""The router's copy of the registry: who handles which events, and where.

It is refreshed when the registry's counters moved. Commits carry the generation that their tasks
were resolved with, so a copy that is a moment old can do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from waystation_core.ports.store import RegistrySnapshot, RegistryStore
from waystation_core.running import Retries
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.errors import StoreUnavailable
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable

log = structlog.get_logger(__name__)

_EMPTY = RegistrySnapshot(generation=0, changes=-1, tasks=(), handlers=())

POLL_SECONDS = 0.25


class RegistryCopy:
    """Resolves tasks; calls `on_change` with each new snapshot."""

    def __init__(self, store: RegistryStore, on_change: Callable[[RegistrySnapshot], None]) -> None:
        self._store = store
        self._on_change = on_change
        self._snapshot = _EMPTY
        self._table = TaskTable()
        self._tasks: dict[str, TaskSpec] = {}
        self._refreshing = asyncio.Lock()
        self.tokens: CompletionTokens
        """Of completions; there once the registry was read."""

    @property
    def generation(self) -> int:
        return self._snapshot.generation

    def task(self, task_id: str) -> TaskSpec | None:
        """What was ever registered under this id. It may be retired: what it has in call, or answers
        later, still goes by its spec."""
        return self._tasks.get(task_id)

    def live_tasks(self) -> list[TaskSpec]:
        """Tasks that are not retired and that some endpoint of their own service announces now."""
        announced = {
            (handler.service_name, task.task_id)
            for handler in self._snapshot.handlers
            for task in handler.tasks
        }
        return [
            task for task in self._snapshot.tasks if (task.service_name, task.task_id) in announced
        ]

    def resolve(self, event_type: str, workflow_type: str) -> tuple[TaskSpec, ...]:
        """The tasks that handle this type in workflows of that type, ordered by id."""
        return self._table.resolve(event_type, workflow_type)

    async def refresh(self, *, at_least: int | None = None) -> None:
        """Reads the registry again where its counters moved (or it is below this generation)."""
        async with self._refreshing:
            if at_least is not None and self.generation >= at_least:
                return
            generation, changes = await self._store.changes()
            if (generation, changes) == (self._snapshot.generation, self._snapshot.changes):
                return
            self._snapshot = await self._store.snapshot()
            self._table = self._snapshot.table()
            self.tokens = CompletionTokens(self._snapshot.completion_key)
            known = (*self._snapshot.tasks, *self._snapshot.retired)
            self._tasks = {task.task_id: task for task in known}
            log.info(
                "registry_changed",
                generation=self._snapshot.generation,
                tasks=len(self._snapshot.tasks),
                endpoints=len(self._snapshot.handlers),
            )
            self._on_change(self._snapshot)

    async def follow(self) -> None:
        """Refreshes until cancelled."""
        retries = Retries("registry_not_read")
        while True:
            try:
                await self.refresh()
                retries.over()
            except StoreUnavailable as error:
                retries.failed(error)
            await asyncio.sleep(POLL_SECONDS)
