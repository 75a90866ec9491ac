"""Catch-up: a task that is new gets what was UNHANDLED of its types, each event once, whatever other
tasks that came late made of it."""

from __future__ import annotations

from waystation_core.means import MEANS
from waystation_core.ports.store import EngineStore, RegistryStore
from waystation_core.relay.announcing import Relay
from waystation_domain import actions
from waystation_domain.draft import Draft, Rules
from waystation_domain.errors import WorkflowNotFound
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.task_spec import TaskSpec
from waystation_domain.topics import matches


async def catch_up(
    task: TaskSpec,
    *,
    registry: RegistryStore,
    store: EngineStore,
    relay: Relay,
    namespace: str = DEFAULT_NAMESPACE,
) -> int:
    """Offers the task every event of open instances that it claims and that settled as UNHANDLED,
    unless it had a delivery of it; says how many."""
    offered = 0
    after: int | None = 0
    while after is not None:
        found = await registry.instances_to_catch_up(task, after=after, namespace=namespace)
        for key in found.keys:
            offered += await _one(task, key, store, relay)
        after = found.after
    return offered


async def _one(task: TaskSpec, key: int, store: EngineStore, relay: Relay) -> int:
    try:
        async with store.locked(key=key) as locked:
            if not locked.instance.status.is_open:
                return 0
            claimed = [
                event
                for event in await locked.unhandled(task.task_id)
                if any(matches(pattern, event.event_type) for pattern in task.event_types)
            ]
            if not claimed:
                return 0
            # Another late task may have it in hand, so where they stand is not known yet.
            facts = await locked.facts_of([event.event_id for event in claimed])
            draft = Draft(locked.instance, facts=facts, rules=Rules(MEANS), now=locked.now)
            actions.catch_up(draft, claimed, task.task_id)
            commit = draft.commit()
            await locked.write(commit)
    except WorkflowNotFound:
        return 0
    relay.committed([commit])
    return len(commit.deliveries_put)
