"""Catch-up: a new task gets the UNHANDLED events of its types, each event once, whether or not other late
tasks handled them."""

from __future__ import annotations

from waystation_core.decisions import Decision, Decisions
from waystation_core.ports.store import RegistryStore
from waystation_domain import actions
from waystation_domain.errors import WorkflowNotFound
from waystation_domain.task_spec import TaskSpec
from waystation_domain.topics import matches


async def catch_up(task: TaskSpec, registry: RegistryStore, decisions: Decisions) -> int:
    """Gives the task every event of open instances that it handles and that settled as UNHANDLED, unless it
    had a delivery of it; returns how many."""
    offered = 0
    after: int | None = 0
    while after is not None:
        found = await registry.instances_to_catch_up(task, after=after)
        for key in found.keys:
            offered += await _of_instance(task, key, decisions)
        after = found.after
    return offered


async def _of_instance(task: TaskSpec, key: int, decisions: Decisions) -> int:
    async def offer(decision: Decision) -> None:
        locked = decision.locked
        if not locked.instance.status.is_open:
            return
        claimed = [
            event
            for event in await locked.unhandled(task.task_id)
            if any(matches(pattern, event.event_type) for pattern in task.event_types)
        ]
        if claimed:
            # Another late task may have the event in hand, so its facts are not known yet.
            facts = await locked.facts_of([event.event_id for event in claimed])
            actions.catch_up(decision.draft(facts), claimed, task.task_id)

    try:
        decided = await decisions.under_lock(offer, key=key)
    except WorkflowNotFound:
        return 0
    return len(decided.commit.deliveries_put) if decided.commit is not None else 0
