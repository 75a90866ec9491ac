"""Namespaces. See `ports.store.NamespaceStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from psycopg.errors import UniqueViolation

from waystation_core.ports.store import (
    AuditedCall,
    NamespaceUsage,
    StoredNamespace,
    WriteRefused,
)
from waystation_core.store import counts, namespace_usage
from waystation_core.store.audit import audited
from waystation_core.store.connections import Connection, ConnectionPool, connection_of, fetch
from waystation_core.store.handler_rows import LIVE
from waystation_core.store.retirement import lock_registry
from waystation_core.store.rows import Row
from waystation_domain.errors import (
    NamespaceAlreadyExists,
    NamespaceNotEmpty,
    NamespaceNotFound,
    shown,
)
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.namespaces import NamespaceLimits

_LIMITS = tuple(one.name for one in fields(NamespaceLimits))
_COLUMNS = ", ".join(("namespace", "description", *_LIMITS, "created_at", "updated_at"))

_FULL = "COALESCE(GREATEST(%(max_starts_per_second)s::float8, 1), 0)"
"""A new limit on starts begins with the starts of a second."""

# Its counters begin where no earlier namespace of that name had them: copies of that one are not current.
_CREATE = f"""
WITH made AS (
    INSERT INTO namespaces (namespace, description, {", ".join(_LIMITS)}, starts_left)
    VALUES (%(name)s, %(description)s, {", ".join(f"%({one})s" for one in _LIMITS)}, {_FULL})
    RETURNING {_COLUMNS}
), registered AS (
    INSERT INTO registry (namespace, generation, changes, completion_key)
    SELECT namespace, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 0,
        decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
    FROM made
)
SELECT * FROM made
"""

_UPDATE = f"""
UPDATE namespaces SET description = %(description)s, {", ".join(f"{one} = %({one})s" for one in _LIMITS)},
    starts_left = {_FULL}, starts_at = now(), updated_at = now(), counted_at = '-infinity',
    measured_at = '-infinity'
WHERE namespace = %(name)s RETURNING {_COLUMNS}
"""

_LIST = f"""
SELECT {_COLUMNS} FROM namespaces
WHERE namespace > %(after)s AND (%(among)s::text[] IS NULL OR namespace = ANY(%(among)s))
ORDER BY namespace LIMIT %(limit)s
"""

# A start that is under way is not seen: it has ended before this lock is had, and later ones find no
# registry. It lasts for a few milliseconds.
_NO_STARTS = "LOCK TABLE workflow_instances IN SHARE ROW EXCLUSIVE MODE"
_USED = f"""
SELECT (SELECT count(*) FROM (
        SELECT FROM workflow_instances WHERE namespace = %(name)s LIMIT 1000) n),
    (SELECT count(*) FROM handlers h WHERE h.namespace = %(name)s AND {LIVE})
"""
_DELETED_FROM = ("handlers", "tasks", "requests", "registry", "namespaces")

_HANDLERS = f"SELECT count(*) FROM handlers h WHERE h.namespace = %(name)s AND {LIVE}"


class PostgresNamespaceStore:
    """Implements `ports.store.NamespaceStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        usage = namespace_usage.Usage(pool)
        self.count_usage = usage.count_usage
        self.take_starts = usage.take_starts

    async def create_namespace(
        self, name: str, description: str, limits: NamespaceLimits, *, by: AuditedCall | None = None
    ) -> StoredNamespace:
        try:
            return await self._changed(_CREATE, _values(name, description, limits), by)
        except WriteRefused as refused:
            if isinstance(refused.__cause__, UniqueViolation):
                raise NamespaceAlreadyExists(
                    f"There is a namespace {name} already; use it, or choose another name.",
                    namespace=name,
                ) from None
            raise

    async def namespace(self, name: str) -> StoredNamespace:
        found = await fetch(
            self._pool, f"SELECT {_COLUMNS} FROM namespaces WHERE namespace = %s", (name,)
        )
        if not found:
            raise NamespaceNotFound.of(name)
        return _stored(found[0])

    async def namespace_usage(self, name: str) -> NamespaceUsage:
        async with connection_of(self._pool) as connection:
            instances = await counts.instances(connection, name)
            stored_bytes = await namespace_usage.stored_bytes(connection, name)
            row = await (await connection.execute(_HANDLERS, {"name": name})).fetchone()
        assert row is not None
        return NamespaceUsage(
            open_workflows=sum(
                number for status, number in instances.by_status.items() if status.is_open
            ),
            workflows=sum(instances.by_status.values()),
            stored_bytes=stored_bytes,
            handlers=row[0],
        )

    async def update_namespace(
        self, name: str, description: str, limits: NamespaceLimits, *, by: AuditedCall | None = None
    ) -> StoredNamespace:
        return await self._changed(_UPDATE, _values(name, description, limits), by)

    async def list_namespaces(
        self, *, after: str, limit: int, among: Sequence[str] | None
    ) -> Sequence[StoredNamespace]:
        values = {
            "after": after,
            "limit": limit,
            "among": list(among) if among is not None else None,
        }
        return [_stored(row) for row in await fetch(self._pool, _LIST, values)]

    async def delete_namespace(self, name: str, *, by: AuditedCall | None = None) -> None:
        if name == DEFAULT_NAMESPACE:
            async with connection_of(self._pool) as connection:
                raise _not_empty(
                    name, "it is there for callers that name none", *await _used(connection, name)
                )
        async with (
            connection_of(self._pool) as connection,
            audited(connection, by, transaction=True) as record,
        ):
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute(_NO_STARTS)
            await lock_registry(connection, name)
            used = await _used(connection, name)
            if any(used):
                raise _not_empty(name, "it has workflows or live handlers", *used)
            for table in _DELETED_FROM:
                await connection.execute(f"DELETE FROM {table} WHERE namespace = %s", (name,))
            await record()

    async def _changed(
        self, statement: str, values: Mapping[str, Any], by: AuditedCall | None
    ) -> StoredNamespace:
        """The namespace that the statement changed, and its entry in the audit log with it."""
        async with connection_of(self._pool) as connection, audited(connection, by) as record:
            row = await (await connection.execute(statement, values)).fetchone()
            if row is None:
                raise NamespaceNotFound.of(str(values["name"]))
            await record()
            return _stored(row)


def _values(name: str, description: str, limits: NamespaceLimits) -> dict[str, Any]:
    return {"name": name, "description": description, **asdict(limits)}


def _stored(row: Row) -> StoredNamespace:
    at = 2 + len(_LIMITS)
    return StoredNamespace(row[0], row[1], NamespaceLimits(*row[2:at]), row[at], row[at + 1])


async def _used(connection: Connection, name: str) -> tuple[int, int]:
    """Its instances, counted up to 1,000, and its live endpoints."""
    row = await (await connection.execute(_USED, {"name": name})).fetchone()
    assert row is not None
    return row[0], row[1]


def _not_empty(name: str, why: str, workflows: int, handlers: int) -> NamespaceNotEmpty:
    return NamespaceNotEmpty(
        f"The namespace {shown(name)} cannot be deleted: {why}. `waystation namespaces get {shown(name)}` shows "
        "what it has.",
        namespace=shown(name),
        workflows=str(workflows),
        handlers=str(handlers),
    )
