"""The audit log. See `ports.store.AuditStore`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

from waystation_core.ports.store import (
    AuditedCall,
    AuditEntry,
    AuditFilter,
    StoredAuditEntry,
)
from waystation_core.store.connections import (
    Connection,
    ConnectionPool,
    Connections,
    connection_of,
    json_text,
)

# Values are found by a table of their own: JSON has no index in the order of time.
_ADD = """
WITH added AS (
    INSERT INTO audit (principal, peer, namespace, method, target, request_id, code, reason, calls)
    SELECT a.principal, a.peer, a.namespace, a.method, a.target, a.request_id, a.code, a.reason,
        a.calls
    FROM json_to_recordset(%(entries)s::json) AS a(
        principal text, peer text, namespace text, method text, target json, request_id text,
        code text, reason text, calls int)
    RETURNING audit_id, occurred_at, target
)
INSERT INTO audit_targets (value, occurred_at, audit_id)
SELECT DISTINCT t.value, a.occurred_at, a.audit_id
FROM added a, json_each_text(a.target) AS t WHERE t.value <> ''
"""

_COLUMNS = """a.audit_id, a.occurred_at, a.principal, a.method, a.namespace, a.peer, a.target,
    a.request_id, a.code, a.reason, a.calls"""

_DENIED = "a.code IN ('UNAUTHENTICATED', 'PERMISSION_DENIED')"
"""As the index `audit_denied` has it."""

# By the name of the parameter. What a page needs is read from an index that has the order of time, whichever
# condition is given.
_CONDITIONS = {
    "namespaces": "a.namespace = ANY(%(namespaces)s)",
    "principal": "a.principal = %(principal)s",
    "from_time": "a.occurred_at >= %(from_time)s",
    "to_time": "a.occurred_at < %(to_time)s",
    "after_id": "(a.occurred_at, a.audit_id) < (%(after_time)s, %(after_id)s)",
}

_ORDER = "ORDER BY a.occurred_at DESC, a.audit_id DESC LIMIT %(limit)s"


async def add(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Adds entries, in the transaction of the connection."""
    rows = [
        {
            "principal": entry.principal,
            "peer": entry.peer,
            "namespace": entry.namespace,
            "method": entry.method,
            "target": dict(entry.target),
            "request_id": entry.request_id,
            "code": entry.code,
            "reason": entry.reason,
            "calls": entry.calls,
        }
        for entry in entries
    ]
    await connection.execute(_ADD, {"entries": json_text(rows)})


@asynccontextmanager
async def audited(
    connection: Connection, by: AuditedCall | None, *, transaction: bool = False
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A transaction that can store the entry of a call with what it changes: by the function that it yields.
    Without an entry to store there is no transaction, which one statement does not need, unless it is asked
    for."""
    due = by.due if by is not None else None
    recorded = False

    async def record() -> None:
        nonlocal recorded
        if due is not None and not recorded:
            await add(connection, [due])
            recorded = True

    async with connection.transaction() if transaction or due is not None else nullcontext():
        yield record
    if by is not None and recorded:
        by.stored = True


class PostgresAuditStore:
    """Implements `ports.store.AuditStore`."""

    def __init__(self, connections: Connections) -> None:
        self._hot: ConnectionPool = connections.hot
        self._questions: ConnectionPool = connections.questions

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        async with connection_of(self._hot) as connection:
            await add(connection, entries)

    async def entries(
        self, filter: AuditFilter, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[StoredAuditEntry]:
        values: dict[str, Any] = {
            "namespaces": list(filter.namespaces) if filter.namespaces is not None else None,
            "principal": filter.principal or None,
            "from_time": filter.from_time,
            "to_time": filter.to_time,
            "after_time": after[0] if after is not None else None,
            "after_id": after[1] if after is not None else None,
        }
        where = [text for name, text in _CONDITIONS.items() if values[name] is not None]
        where += [_DENIED] if filter.denied else []
        values |= {"methods": list(filter.methods), "target": filter.target, "limit": limit}
        async with connection_of(self._questions) as connection:
            cursor = await connection.execute(_query(filter, where), values)
            return [_stored(row) for row in await cursor.fetchall()]


def _query(filter: AuditFilter, where: Sequence[str]) -> str:
    """One that reads from the index of the rarest condition: a target, else each method, else the others."""
    if filter.target:
        if filter.methods:
            where = [*where, "a.method = ANY(%(methods)s)"]
        # The times of both tables are equal, and the order is that of the index of the targets.
        of_target = [text.replace("a.", "t.") for text in where if text in _OF_TARGETS]
        return (
            f"SELECT {_COLUMNS} FROM audit_targets t JOIN audit a ON a.audit_id = t.audit_id "
            f"WHERE {_all(['t.value = %(target)s', *of_target, *where])} "
            f"{_ORDER.replace('a.', 't.')}"
        )
    if filter.methods:
        of_method = _all(["a.method = m.method", *where])
        return (
            f"SELECT {_COLUMNS} FROM unnest(%(methods)s::text[]) AS m(method) CROSS JOIN LATERAL "
            f"(SELECT * FROM audit a WHERE {of_method} {_ORDER}) a {_ORDER}"
        )
    return f"SELECT {_COLUMNS} FROM audit a WHERE {_all(where)} {_ORDER}"


_OF_TARGETS = frozenset(_CONDITIONS[name] for name in ("from_time", "to_time", "after_id"))


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "true"


def _stored(row: Sequence[Any]) -> StoredAuditEntry:
    audit_id, occurred_at, principal, method, namespace, peer, target, request_id = row[:8]
    code, reason, calls = row[8:]
    return StoredAuditEntry(
        audit_id,
        occurred_at,
        AuditEntry(
            principal=principal,
            method=method,
            namespace=namespace,
            peer=peer,
            target=target,
            request_id=request_id,
            code=code,
            reason=reason,
            calls=calls,
        ),
    )
