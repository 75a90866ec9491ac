"""The store's part of catch-up: events that nobody handled when they were raised, for a new task."""

from __future__ import annotations

from typing import Any

from waystation_core.ports.store import ToCatchUp
from waystation_core.store import event_types, states, task_specs
from waystation_core.store.connections import (
    STATEMENT_TIMEOUT_SECONDS,
    ConnectionPool,
    claim,
    connection_of,
)
from waystation_domain import topics
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.task_spec import TaskSpec

CATCH_UP_AGAIN_SECONDS = STATEMENT_TIMEOUT_SECONDS + 1
"""Commits that began before a task was registered did not know it; after so long there are none left."""

CATCH_UP_CLAIM_SECONDS = 15
"""A second look whose process died is left to another one after so long. Two at the same time deliver nothing
twice."""


def never_delivered(task_id: str) -> str:
    """For an UNHANDLED entry `h` of history: whether this task, a parameter, never had a delivery of its
    event, open or ended. (A task may be called `client` or `system`: their own entries have no attempt and do
    not fail.)"""
    return f"""
NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = h.event_id AND d.task_id = {task_id})
AND NOT EXISTS (SELECT 1 FROM history later
    WHERE later.instance_key = h.instance_key AND later.event_id = h.event_id
      AND later.sequence > h.sequence AND later.processed_by = {task_id}
      AND (later.attempt > 0 OR later.result = {states.FAILED}))
"""


# Catch-up reads an instance as a whole, so it does not matter if a portion has only a part of it. IS TRUE
# keeps the planner from finding instances by namespace: without statistics it believes that there are few.
_TO_CATCH_UP = f"""
WITH walked AS MATERIALIZED (
    SELECT instance_key, sequence, event_id, event_type FROM history
    WHERE result = {states.UNHANDLED} AND {states.one_of("status", states.OPEN)}
      AND instance_key > %(after)s
    ORDER BY instance_key LIMIT %(limit)s
), meant AS MATERIALIZED (
    SELECT t.event_type FROM (SELECT DISTINCT event_type FROM walked) t
    WHERE t.event_type = ANY(%(types)s) OR (t.event_type || '.') ~ ANY(%(patterns)s::text[])
)
SELECT (SELECT count(*) FROM walked), (SELECT max(instance_key) FROM walked), (
    SELECT array_agg(DISTINCT h.instance_key)
    FROM walked h JOIN workflow_instances i ON i.key = h.instance_key
    WHERE {states.one_of("i.status", states.OPEN)} AND (i.namespace = %(namespace)s) IS TRUE
      AND (%(any_type)s OR i.workflow_type = ANY(%(workflow_types)s))
      AND h.event_type IN (SELECT event_type FROM meant) AND {never_delivered("%(task_id)s")}
)
"""

_CLAIM_LOOKS = """
UPDATE tasks SET catch_up_again_at = now() + make_interval(secs => %s)
WHERE (namespace, task_id) IN (SELECT namespace, task_id FROM tasks
    WHERE catch_up_again_at <= now() AND retired_at IS NULL FOR UPDATE SKIP LOCKED)
RETURNING spec, namespace
"""


class CatchUps:
    """Implements catch-up for `ports.store.RegistryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def instances_to_catch_up(
        self,
        task: TaskSpec,
        *,
        after: int = 0,
        limit: int = 5000,
    ) -> ToCatchUp:
        parameters: dict[str, Any] = {
            "namespace": task.namespace,
            "any_type": topics.ONE_WORD in task.workflow_types,
            "workflow_types": list(task.workflow_types),
            "types": list(task.event_types),
            "patterns": event_types.as_regexes(task.event_types),
            "task_id": task.task_id,
            "after": after,
            "limit": limit,
        }
        async with connection_of(self._pool) as connection:
            row = await (await connection.execute(_TO_CATCH_UP, parameters)).fetchone()
        assert row is not None
        walked, last, found = row
        keys = set(found or ())
        if walked < limit:
            return ToCatchUp(sorted(keys), None)
        return ToCatchUp(sorted(keys | {last}), last)

    async def catch_ups_due(self) -> list[TaskSpec]:
        found = await claim(self._pool, _CLAIM_LOOKS, (CATCH_UP_CLAIM_SECONDS,))
        return [task_specs.from_json(spec, namespace) for spec, namespace in found]

    async def caught_up(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "UPDATE tasks SET catch_up_again_at = NULL WHERE namespace = %s AND task_id = %s",
                (namespace, task_id),
            )
