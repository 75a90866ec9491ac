"""The tasks that answers name: those that handle an event now."""

from __future__ import annotations

import contextlib

from waystation_core.registry_copy import RegistryCopy
from waystation_domain import limits
from waystation_domain.errors import StoreUnavailable

FRESH_SECONDS = 0.05
"""How old a copy of the registry may be to prove that no task handles an event."""


async def task_ids(registry: RegistryCopy, event_type: str, workflow_type: str) -> list[str]:
    """The ids of the tasks that handle an event, the first thousand. None only by a fresh copy."""
    found = registry.resolve(event_type, workflow_type)
    if not found:
        # An answer that is already committed does not fail for it.
        with contextlib.suppress(StoreUnavailable):
            await registry.refresh(older_than=FRESH_SECONDS)
        found = registry.resolve(event_type, workflow_type)
    return [task.task_id for task in found[: limits.MAX_TASKS_TOLD]]
