"""The store's part of retirement: which tasks are over, and which instances still wait for them."""

from __future__ import annotations

from waystation_core.ports.store import AuditedCall, Undeclared
from waystation_core.store import states
from waystation_core.store.audit import audited
from waystation_core.store.connections import Connection, ConnectionPool, connection_of
from waystation_core.store.handler_rows import LIVE
from waystation_domain.errors import NamespaceNotFound, TaskNotFound
from waystation_domain.model import DEFAULT_NAMESPACE, SYSTEM

OPERATOR = "operator"
"""`retired_by` of a task that is retired permanently."""

# Tasks that no live endpoint of their live service declares. Replicas declare the same, which is taken
# apart once. Joins are nested loops here (see `pool`), so it is looked up as a hashed subplan, by IS TRUE.
_UNDECLARED = f"""
WITH live AS MATERIALIZED (
    SELECT DISTINCT ON (h.service_name, md5(h.tasks::text)) h.service_name, h.tasks
    FROM handlers h WHERE h.namespace = %(namespace)s AND {LIVE}
), found AS MATERIALIZED (
    SELECT t.task_id, t.undeclared_since FROM tasks t
    WHERE t.namespace = %(namespace)s AND t.retired_at IS NULL
      AND (t.service_name IN (SELECT service_name FROM live)) IS TRUE
      AND ((t.service_name, t.task_id) IN (
          SELECT live.service_name, declared.value->>'task_id'
          FROM live, json_array_elements(live.tasks) AS declared)) IS NOT TRUE
)
"""

_SETTLE_MARKS = f"""{_UNDECLARED}
UPDATE tasks t SET
    undeclared_since = CASE WHEN (t.task_id IN (SELECT task_id FROM found)) IS TRUE
        THEN COALESCE(t.undeclared_since, now()) END
WHERE t.namespace = %(namespace)s AND t.retired_at IS NULL
  AND (t.undeclared_since IS NOT NULL) <> ((t.task_id IN (SELECT task_id FROM found)) IS TRUE)
"""

_RETIRE_OVERDUE = """
UPDATE tasks SET retired_at = now(), retired_by = %(system)s, undeclared_since = NULL
WHERE namespace = %(namespace)s AND retired_at IS NULL
  AND undeclared_since <= now() - make_interval(secs => %(grace)s)
RETURNING task_id
"""


class Retirement:
    """Implements retirement for `ports.store.RegistryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def retire(
        self,
        task_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        by: AuditedCall | None = None,
    ) -> None:
        async with (
            connection_of(self._pool) as connection,
            audited(connection, by, transaction=True) as record,
        ):
            await lock_registry(connection, namespace)
            cursor = await connection.execute(
                "SELECT retired_by FROM tasks WHERE namespace = %s AND task_id = %s",
                (namespace, task_id),
            )
            known = await cursor.fetchone()
            if known is None:
                raise TaskNotFound.of(task_id)
            await record()
            if known[0] == OPERATOR:
                return
            await connection.execute(
                "UPDATE tasks SET retired_at = COALESCE(retired_at, now()), "
                "retired_by = %s, undeclared_since = NULL WHERE namespace = %s AND task_id = %s",
                (OPERATOR, namespace, task_id),
            )
            await count_change(connection, namespace, moves_types=known[0] is None)

    async def retire_undeclared(
        self, grace: float, *, namespace: str = DEFAULT_NAMESPACE
    ) -> Undeclared:
        parameters = {"namespace": namespace, "grace": grace, "system": SYSTEM}
        async with connection_of(self._pool) as connection, connection.transaction():
            # No registration may come between the search and its result.
            await lock_registry(connection, namespace)
            await connection.execute(_SETTLE_MARKS, parameters)
            cursor = await connection.execute(_RETIRE_OVERDUE, parameters)
            retired = tuple(sorted(row[0] for row in await cursor.fetchall()))
            if retired:
                await count_change(connection, namespace, moves_types=True)
            cursor = await connection.execute(
                "SELECT 1 FROM tasks WHERE namespace = %s AND undeclared_since IS NOT NULL LIMIT 1",
                (namespace,),
            )
            return Undeclared(retired, waiting=await cursor.fetchone() is not None)

    async def instances_to_retire(
        self,
        *,
        task_id: str = "",
        after: tuple[str, int] = ("", 0),
        limit: int = 1000,
        namespace: str | None = None,
    ) -> list[tuple[str, int]]:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                f"""
                SELECT DISTINCT t.task_id, d.instance_key
                FROM tasks t CROSS JOIN LATERAL (
                    SELECT d.instance_key FROM deliveries d
                    WHERE d.namespace = t.namespace AND d.task_id = t.task_id
                      AND {states.one_of("d.state", states.CALLABLE)} AND d.instance_key >
                          CASE WHEN t.task_id = %(after_task)s THEN %(after_key)s ELSE 0 END
                    ORDER BY d.instance_key LIMIT %(limit)s
                ) d
                WHERE (%(namespace)s::text IS NULL OR t.namespace = %(namespace)s)
                  AND t.retired_at IS NOT NULL AND (%(task_id)s = '' OR t.task_id = %(task_id)s)
                  AND t.task_id >= %(after_task)s
                ORDER BY t.task_id, d.instance_key LIMIT %(limit)s
                """,
                {
                    "namespace": namespace,
                    "task_id": task_id,
                    "after_task": after[0],
                    "after_key": after[1],
                    "limit": limit,
                },
            )
            return [(row[0], row[1]) for row in await cursor.fetchall()]

    async def count_to_retire(
        self,
        task_id: str,
        *,
        after: int = 0,
        limit: int = 1000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[tuple[int, int]]:
        async with connection_of(self._pool) as connection:
            # The condition is `lifecycle.treatment`: other deliveries are skipped or held.
            cursor = await connection.execute(
                f"""
                SELECT d.instance_key, count(*) FILTER
                    (WHERE {states.one_of("i.status", states.OPEN)} OR e.after_end)
                FROM deliveries d JOIN workflow_instances i ON i.key = d.instance_key
                    JOIN events e ON e.event_id = d.event_id
                WHERE d.task_id = %(task_id)s AND {states.one_of("d.state", states.CALLABLE)}
                  AND (i.namespace = %(namespace)s) IS TRUE AND d.instance_key > %(after)s
                GROUP BY d.instance_key ORDER BY d.instance_key LIMIT %(limit)s
                """,
                {"namespace": namespace, "task_id": task_id, "after": after, "limit": limit},
            )
            return [(row[0], row[1]) for row in await cursor.fetchall()]


async def lock_registry(connection: Connection, namespace: str) -> None:
    """Serialises all changes of handlers and tasks of a namespace. Raises NamespaceNotFound."""
    cursor = await connection.execute(
        "SELECT 1 FROM registry WHERE namespace = %s FOR UPDATE", (namespace,)
    )
    if await cursor.fetchone() is None:
        raise NamespaceNotFound.of(namespace)


async def count_change(connection: Connection, namespace: str, *, moves_types: bool) -> None:
    """Makes routers and APIs read the registry again; with `moves_types` the tasks of an event whose tasks
    are not fixed yet may change."""
    await connection.execute(
        "UPDATE registry SET changes = changes + 1, generation = generation + %s "
        "WHERE namespace = %s",
        (int(moves_types), namespace),
    )
