"""Registries of which a test gives one."""

from types import SimpleNamespace
from typing import Any

from waystation_domain.namespaces import NO_LIMITS, NamespaceLimits
from waystation_domain.task_spec import TaskKey


def only(registry: Any, limits: NamespaceLimits = NO_LIMITS) -> Any:
    """In the place of `Registries`: the same one for every namespace, with these limits."""
    return SimpleNamespace(
        of=lambda namespace: registry,
        all=lambda: [registry],
        limits=lambda namespace: limits,
    )


async def _admit(namespace: str) -> None:
    pass


UNLIMITED: Any = SimpleNamespace(admit=_admit)
"""In the place of `StartLimits`: no namespace has any."""


def of_default(*task_ids: str) -> list[TaskKey]:
    """Tasks of the default namespace."""
    return [("default", task_id) for task_id in task_ids]
