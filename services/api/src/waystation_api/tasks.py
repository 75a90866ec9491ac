"""The API's copy of the registry: which tasks handle an event now, and who is live."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from waystation_core.ports.store import Registration, RegistrySnapshot, RegistryStore
from waystation_core.running import Retries
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.errors import StoreUnavailable
from waystation_domain.task_spec import TaskSpec

POLL_SECONDS = 1.0
FRESH_SECONDS = 0.05
"""How old a copy may be when it is to prove that nobody handles something."""

_IDS_SHOWN = 1_000
"""Of the tasks that handle one event."""

_ENDPOINTS_SHOWN = 100
"""Of one service, where it is asked what is wrong with them."""


class TaskDirectory:
    """Resolves tasks from a copy that is at most about a second old."""

    def __init__(self, store: RegistryStore) -> None:
        self._store = store
        self._read_at = -1e9
        self._refreshing = asyncio.Lock()
        self._take(RegistrySnapshot(generation=0, changes=-1, tasks=(), handlers=()))

    def _take(self, snapshot: RegistrySnapshot) -> None:
        self.snapshot = snapshot
        self._table = snapshot.table()
        self._tasks = {task.task_id: task for task in (*snapshot.tasks, *snapshot.retired)}

    @property
    def tokens(self) -> CompletionTokens:
        """Of completions. Raises StoreUnavailable while the registry was never read."""
        if not self.snapshot.completion_key:
            raise StoreUnavailable(
                "The server has not read its registry yet; try again in a moment."
            )
        return CompletionTokens(self.snapshot.completion_key)

    @property
    def generation(self) -> int:
        return self.snapshot.generation

    def task(self, task_id: str) -> TaskSpec | None:
        """What was ever registered under this id; it may be retired."""
        return self._tasks.get(task_id)

    def resolve(self, event_type: str, workflow_type: str) -> tuple[TaskSpec, ...]:
        """The tasks that handle this type in workflows of that type, ordered by id."""
        return self._table.resolve(event_type, workflow_type)

    async def task_ids(self, event_type: str, workflow_type: str) -> list[str]:
        """The ids of those tasks, the first thousand. That there is none is told from a fresh copy only."""
        found = self.resolve(event_type, workflow_type)
        if not found:
            # An answer that is already committed does not fail for it.
            with contextlib.suppress(StoreUnavailable):
                await self.refresh(older_than=FRESH_SECONDS)
            found = self.resolve(event_type, workflow_type)
        return [task.task_id for task in found[:_IDS_SHOWN]]

    async def endpoints_of(self, task_ids: Collection[str]) -> list[Registration]:
        """Some endpoints of these tasks' services, with what the routers see of them."""
        services = sorted(
            {task.service_name for task in self.snapshot.tasks if task.task_id in task_ids}
        )
        found = []
        for service in services:
            found += await self._store.handlers(service_name=service, limit=_ENDPOINTS_SHOWN)
        return found

    async def refresh(self, *, older_than: float = 0.0) -> None:
        """Reads the registry again where its counters moved. Raises StoreUnavailable."""
        async with self._refreshing:
            if time.monotonic() - self._read_at < older_than:
                return
            asked_at = time.monotonic()
            known = (self.snapshot.generation, self.snapshot.changes)
            if await self._store.changes() != known:
                self._take(await self._store.snapshot())
            self._read_at = asked_at

    async def follow(self) -> None:
        """Refreshes until cancelled."""
        retries = Retries("registry_not_read")
        while True:
            try:
                await self.refresh(older_than=POLL_SECONDS / 2)
                retries.over()
            except StoreUnavailable as error:
                retries.failed(error)
            await asyncio.sleep(POLL_SECONDS)
