"""Handlers and tasks. See `ports.store.RegistryStore`.

The row of `registry` is the lock of everything here: registrations of one namespace are serialised. Readers
never wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

from waystation_core.ids import may_be_ours
from waystation_core.ports.store import (
    AuditedCall,
    NamespaceState,
    Registration,
    RegistrySnapshot,
)
from waystation_core.store import task_specs
from waystation_core.store.audit import audited
from waystation_core.store.catch_up import CatchUps
from waystation_core.store.connections import Connection, ConnectionPool, connection_of
from waystation_core.store.handler_rows import HANDLER_COLUMNS, LIVE
from waystation_core.store.handler_rows import registration as registration_of
from waystation_core.store.registrations import Registrations
from waystation_core.store.retirement import Retirement
from waystation_domain.errors import HandlerNotFound, shown
from waystation_domain.model import DEFAULT_NAMESPACE, JsonObject
from waystation_domain.namespaces import NamespaceLimits

# After `gone (tasks)`, endpoints that are no more. What they declared besides the current specs is not
# handled any more, so the tasks of new events may change. Replicas declared the same, which counts once.
_COUNT_GONE = """
UPDATE registry SET changes = changes + 1, generation = generation + CASE WHEN EXISTS (
    SELECT 1
    FROM (SELECT tasks::text::json AS tasks FROM gone GROUP BY tasks::text) g,
        json_array_elements(g.tasks) AS said(spec),
        tasks t
    WHERE t.namespace = %(namespace)s AND t.task_id = said.spec->>'task_id'
      AND (t.spec->>'event_types' <> said.spec->>'event_types'
        OR t.spec->>'workflow_types' <> said.spec->>'workflow_types')
) THEN 1 ELSE 0 END
WHERE namespace = %(namespace)s AND EXISTS (SELECT 1 FROM gone)
"""


_NAMESPACES = f"""
SELECT r.namespace, r.generation, r.changes, r.namespace IN (
        SELECT h.namespace FROM handlers h WHERE h.lease_until <= now()),
    {", ".join(f"n.{one.name}" for one in fields(NamespaceLimits))}, n.open_workflows, n.stored_bytes, n.counted
FROM registry r JOIN namespaces n ON n.namespace = r.namespace ORDER BY r.namespace
"""

_LONGEST_ERROR = 1_000
"""Characters of an endpoint's error, as shown."""


# Text, not SQLAlchemy's: a router imports this module too, and never asks for the list.
_HANDLER_CONDITIONS = {
    "namespace": "h.namespace = %(namespace)s",
    "service_name": "h.service_name = %(service_name)s",
    "after_id": '(h.service_name, h.host, h.port, h.handler_id::text COLLATE "C") > '
    "(%(after_service)s, %(after_host)s, %(after_port)s, %(after_id)s)",
}


class PostgresRegistryStore:
    """Implements `ports.store.RegistryStore` over one pool; what changes it, by parts of its own."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.register = Registrations(pool).register
        retirement = Retirement(pool)
        self.retire = retirement.retire
        self.retire_undeclared = retirement.retire_undeclared
        self.instances_to_retire = retirement.instances_to_retire
        self.count_to_retire = retirement.count_to_retire
        catching_up = CatchUps(pool)
        self.instances_to_catch_up = catching_up.instances_to_catch_up
        self.catch_ups_due = catching_up.catch_ups_due
        self.caught_up = catching_up.caught_up

    # --- registering -----------------------------------------------------------------------

    async def renew(
        self,
        handler_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        services: Collection[str] | None = None,
    ) -> float:
        found = None
        if may_be_ours(handler_id):
            async with connection_of(self._pool) as connection:
                cursor = await connection.execute(
                    "UPDATE handlers SET lease_until = now() + make_interval(secs => lease_seconds)"
                    " WHERE handler_id = %s::uuid AND namespace = %s AND lease_until > now() "
                    "AND (%s::text[] IS NULL OR service_name = ANY(%s)) RETURNING lease_seconds",
                    (handler_id, namespace, *(_list(services),) * 2),
                )
                found = await cursor.fetchone()
        if found is None:
            raise HandlerNotFound(
                f"There is no leased registration {shown(handler_id)}, or its lease has expired; "
                "register again.",
                handler_id=shown(handler_id),
            )
        return float(found[0])

    async def unregister(
        self,
        handler_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        services: Collection[str] | None = None,
        by: AuditedCall | None = None,
    ) -> None:
        if not may_be_ours(handler_id):
            return
        async with connection_of(self._pool) as connection, audited(connection, by) as record:
            cursor = await connection.execute(
                f"""
                WITH gone AS (
                    DELETE FROM handlers
                    WHERE handler_id = %(handler_id)s::uuid AND namespace = %(namespace)s
                      AND (%(services)s::text[] IS NULL OR service_name = ANY(%(services)s))
                    RETURNING tasks
                )
                {_COUNT_GONE}
                """,
                {
                    "handler_id": handler_id,
                    "namespace": namespace,
                    "services": _list(services),
                },
            )
            if cursor.rowcount:
                await record()

    # --- reading ---------------------------------------------------------------------------

    async def handlers(
        self,
        *,
        service_name: str = "",
        after: Sequence[str | int] | None = None,
        limit: int = 50,
        with_tasks: bool = True,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[Registration]:
        service, host, port, handler = after if after is not None else (None,) * 4
        values = {
            "namespace": namespace,
            "service_name": service_name or None,
            "after_service": service,
            "after_host": host,
            "after_port": port,
            "after_id": handler,
            "limit": limit,
        }
        where = [text for name, text in _HANDLER_CONDITIONS.items() if values[name] is not None]
        shown = HANDLER_COLUMNS if with_tasks else HANDLER_COLUMNS.but({"h.tasks": "'[]'::json"})
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                f"SELECT {shown} FROM handlers h WHERE {LIVE} AND {' AND '.join(where)} "
                'ORDER BY h.service_name, h.host, h.port, h.handler_id::text COLLATE "C" '
                "LIMIT %(limit)s",
                values,
            )
            found = [registration_of(row) for row in await cursor.fetchall()]
            cursor = await connection.execute(
                "SELECT report FROM routers WHERE lease_until > now() ORDER BY lease_until"
            )
            reports = [row[0] for row in await cursor.fetchall()]
            cursor = await connection.execute(
                "SELECT task_id FROM tasks WHERE namespace = %s AND retired_at IS NOT NULL",
                (namespace,),
            )
            retired = {row[0] for row in await cursor.fetchall()}
        return [_with_reports(handler, reports, retired) for handler in found]

    async def changes(self, namespace: str = DEFAULT_NAMESPACE) -> tuple[int, int]:
        async with connection_of(self._pool) as connection:
            row = await _changes(connection, namespace)
            if row[2]:
                # Two that notice at once count the same lapse once: the second finds no row.
                await connection.execute(
                    f"""
                    WITH gone AS (
                        DELETE FROM handlers WHERE namespace = %(namespace)s AND lease_until <= now()
                        RETURNING tasks
                    )
                    {_COUNT_GONE}
                    """,
                    {"namespace": namespace},
                )
                row = await _changes(connection, namespace)
        return row[0], row[1]

    async def namespaces(self) -> list[NamespaceState]:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(_NAMESPACES)
            found = await cursor.fetchall()
        return [
            NamespaceState(
                namespace=row[0],
                generation=row[1],
                changes=row[2],
                lapsed=row[3],
                limits=NamespaceLimits(*row[4:8]),
                open_workflows=row[8],
                stored_bytes=row[9],
                counted=row[10],
            )
            for row in found
        ]

    async def snapshot(self, namespace: str = DEFAULT_NAMESPACE) -> RegistrySnapshot:
        async with connection_of(self._pool) as connection:
            # One statement, so that all of it is from one point in time.
            cursor = await connection.execute(
                f"""
                SELECT r.generation, r.changes,
                    (SELECT json_agg(json_build_array(t.spec, t.retired_at IS NOT NULL)
                        ORDER BY t.task_id) FROM tasks t WHERE t.namespace = r.namespace),
                    (SELECT json_agg(json_build_array({HANDLER_COLUMNS}) ORDER BY h.handler_id)
                     FROM handlers h WHERE h.namespace = r.namespace AND {LIVE}),
                    r.completion_key
                FROM registry r WHERE r.namespace = %s
                """,
                (namespace,),
            )
            row = await cursor.fetchone()
        if row is None:
            return RegistrySnapshot(0, -1, (), (), namespace=namespace)
        tasks = [(task_specs.from_json(spec, namespace), retired) for spec, retired in row[2] or ()]
        return RegistrySnapshot(
            generation=row[0],
            changes=row[1],
            tasks=tuple(task for task, retired in tasks if not retired),
            handlers=tuple(
                replace(registration_of(handler), registered_at=None, began_at=None)
                for handler in row[3] or ()
            ),
            retired=tuple(task for task, retired in tasks if retired),
            completion_key=bytes(row[4]),
            namespace=namespace,
        )


async def _changes(connection: Connection, namespace: str) -> tuple[int, int, bool]:
    cursor = await connection.execute(
        "SELECT r.generation, r.changes, EXISTS (SELECT 1 FROM handlers h "
        "WHERE h.namespace = r.namespace AND h.lease_until <= now()) "
        "FROM registry r WHERE r.namespace = %s",
        (namespace,),
    )
    # A namespace that was deleted has none.
    return await cursor.fetchone() or (0, -1, False)


def _with_reports(
    handler: Registration, reports: Sequence[Mapping[str, JsonObject]], retired: Collection[str]
) -> Registration:
    """With the state that routers report of it; the newest of several reports decides."""
    seen = [report[handler.handler_id] for report in reports if handler.handler_id in report]
    reported = [one for one in seen if one.get("reachable") is not None]
    return replace(
        handler,
        reachable=reported[-1]["reachable"] if reported else None,
        last_error=(reported[-1].get("last_error") or "")[:_LONGEST_ERROR] if reported else "",
        calls_in_flight=sum(int(one.get("calls_in_flight") or 0) for one in seen),
        retired_task_ids=tuple(
            sorted(task.task_id for task in handler.tasks if task.task_id in retired)
        ),
    )


def _list(services: Collection[str] | None) -> list[str] | None:
    return None if services is None else sorted(services)
