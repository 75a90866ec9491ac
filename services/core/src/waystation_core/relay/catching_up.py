"""Catch-up: the first task that claims a type gets what was UNHANDLED of it, each event once."""

from __future__ import annotations

from waystation_core.domain import actions
from waystation_core.domain.draft import Draft, Rules
from waystation_core.domain.errors import WorkflowNotFound
from waystation_core.domain.model import DEFAULT_NAMESPACE, TaskSpec
from waystation_core.domain.topics import matches
from waystation_core.ports.store import EngineStore, RegistryStore
from waystation_core.relay.announcing import Relay


async def catch_up(
    task: TaskSpec,
    *,
    registry: RegistryStore,
    store: EngineStore,
    relay: Relay,
    namespace: str = DEFAULT_NAMESPACE,
) -> int:
    """Offers the task every UNHANDLED event of open instances that it claims; says how many."""
    offered = 0
    while keys := await registry.instances_to_catch_up(task, namespace=namespace):
        before = offered
        for key in keys:
            offered += await _one(task, key, store, relay)
        if offered == before:
            # Others took what was there since; a further round would find the same.
            break
    return offered


async def _one(task: TaskSpec, key: int, store: EngineStore, relay: Relay) -> int:
    try:
        async with store.locked(key=key) as locked:
            if not locked.instance.status.is_open:
                return 0
            claimed = [
                event
                for event in await locked.unhandled()
                if any(matches(pattern, event.event_type) for pattern in task.event_types)
            ]
            if not claimed:
                return 0
            draft = Draft(locked.instance, facts=locked.facts, rules=Rules(), now=locked.now)
            actions.catch_up(draft, claimed, task.task_id)
            commit = draft.commit()
            await locked.write(commit)
    except WorkflowNotFound:
        return 0
    relay.committed([commit])
    return len(claimed)
