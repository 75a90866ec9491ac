"""The store's second face: handlers and tasks. See `ports.store.RegistryStore`.

The row of `registry` is the lock of everything here: registrations of one namespace come one after
the other. Readers never wait for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from waystation_core.domain.errors import (
    HandlerNotFound,
    RequestIdReused,
    TaskOwnedByOtherService,
    shown,
)
from waystation_core.domain.ids import new_id
from waystation_core.domain.model import DEFAULT_NAMESPACE, JsonObject, TaskSpec
from waystation_core.ports.store import Registration, RegistrySnapshot
from waystation_core.store import task_specs
from waystation_core.store.catching_up import CATCH_UP_AGAIN_SECONDS, CatchingUp
from waystation_core.store.pool import (
    Connection,
    Pool,
    connection_of,
    json_text,
)

_RPC = "RegisterHandler"

_HANDLER = (
    "h.handler_id::text, h.service_name, h.service_version, h.host, h.port, h.kind = 2, "
    "h.lease_seconds, GREATEST(extract(epoch FROM h.lease_until - now())::float8, 0), "
    "h.registered_at, h.tasks"
)
_LIVE = "(h.lease_until IS NULL OR h.lease_until > now())"


def _registration(row: Sequence[Any]) -> Registration:
    return Registration(
        handler_id=row[0],
        service_name=row[1],
        service_version=row[2],
        host=row[3],
        port=row[4],
        static=row[5],
        lease_seconds=row[6],
        lease_remaining=row[7],
        registered_at=row[8],
        tasks=tuple(task_specs.from_json(spec) for spec in row[9]),
    )


def is_uuid(text: str) -> bool:
    """Whether the text can be one of our ids at all; Postgres refuses others as errors."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


class PostgresRegistryStore(CatchingUp):
    """Implements `ports.store.RegistryStore` over one pool."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)

    # --- registering -----------------------------------------------------------------------

    async def register(
        self,
        registration: Registration,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        request: tuple[str, bytes] | None = None,
    ) -> tuple[Registration, list[str]]:
        async with connection_of(self._pool) as connection, connection.transaction():
            await connection.execute(
                "SELECT 1 FROM registry WHERE namespace = %s FOR UPDATE", (namespace,)
            )
            if request is not None:
                made = await _made_before(connection, namespace, request)
                if made is not None:
                    known = await _of_endpoint(connection, namespace, registration)
                    # Gone since: it says so by the lease that it has left.
                    return known or replace(registration, handler_id=made, lease_remaining=0.0), []
            known_tasks = await _tasks(connection, namespace, registration)
            known = await _of_endpoint(connection, namespace, registration)
            first_time = [
                spec.task_id for spec in registration.tasks if spec.task_id not in known_tasks
            ]
            changed = [spec for spec in registration.tasks if known_tasks.get(spec.task_id) != spec]
            moves_types = any(
                _types(spec) != _types(known_tasks.get(spec.task_id)) for spec in changed
            )
            same = (
                known is not None
                and known.tasks == registration.tasks
                and known.service_version == registration.service_version
                and known.static == registration.static
                and known.lease_seconds == registration.lease_seconds
            )
            await _store_tasks(connection, namespace, changed, first_time)
            handler_id = known.handler_id if known is not None and same else new_id()
            stored = await _store_handler(connection, namespace, registration, handler_id)
            if changed or not same:
                await connection.execute(
                    "UPDATE registry SET changes = changes + 1, generation = generation + %s "
                    "WHERE namespace = %s",
                    (int(moves_types), namespace),
                )
            if request is not None:
                await connection.execute(
                    "INSERT INTO requests (namespace, rpc, request_id, digest, result) "
                    "VALUES (%s, %s, %s, %s, %s::json)",
                    (
                        namespace,
                        _RPC,
                        *request,
                        orjson.dumps({"handler_id": handler_id}).decode(),
                    ),
                )
        return stored, first_time

    async def renew(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> float:
        found = None
        if is_uuid(handler_id):
            async with connection_of(self._pool) as connection:
                cursor = await connection.execute(
                    "UPDATE handlers SET lease_until = now() + make_interval(secs => lease_seconds)"
                    " WHERE handler_id = %s::uuid AND namespace = %s AND lease_until > now() "
                    "RETURNING lease_seconds",
                    (handler_id, namespace),
                )
                found = await cursor.fetchone()
        if found is None:
            raise HandlerNotFound(
                f"There is no leased registration {shown(handler_id)}, or its lease is over; "
                "register again.",
                handler_id=shown(handler_id),
            )
        return float(found[0])

    async def unregister(self, handler_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> None:
        if not is_uuid(handler_id):
            return
        async with connection_of(self._pool) as connection:
            await connection.execute(
                """
                WITH gone AS (
                    DELETE FROM handlers WHERE handler_id = %s::uuid AND namespace = %s
                    RETURNING namespace
                )
                UPDATE registry r SET changes = changes + 1 FROM gone
                WHERE r.namespace = gone.namespace
                """,
                (handler_id, namespace),
            )

    # --- reading ---------------------------------------------------------------------------

    async def handlers(
        self,
        *,
        service_name: str = "",
        after: Sequence[str | int] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[Registration]:
        conditions = ["h.namespace = %(namespace)s", _LIVE]
        if service_name:
            conditions.append("h.service_name = %(service_name)s")
        if after is not None:
            conditions.append(
                '(h.service_name, h.host, h.port, h.handler_id::text COLLATE "C") > '
                "(%(after_service)s, %(after_host)s, %(after_port)s, %(after_id)s)"
            )
        service, host, port, handler = after if after is not None else ("", "", 0, "")
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                f"SELECT {_HANDLER} FROM handlers h WHERE {' AND '.join(conditions)} "
                'ORDER BY h.service_name, h.host, h.port, h.handler_id::text COLLATE "C" '
                "LIMIT %(limit)s",
                {
                    "namespace": namespace,
                    "service_name": service_name,
                    "after_service": service,
                    "after_host": host,
                    "after_port": port,
                    "after_id": handler,
                    "limit": limit,
                },
            )
            found = [_registration(row) for row in await cursor.fetchall()]
            cursor = await connection.execute(
                "SELECT report FROM routers WHERE lease_until > now() ORDER BY lease_until"
            )
            reports = [row[0] for row in await cursor.fetchall()]
        return [_with_reports(handler, reports) for handler in found]

    async def changes(self, namespace: str = DEFAULT_NAMESPACE) -> tuple[int, int]:
        async with connection_of(self._pool) as connection:
            row = await _changes(connection, namespace)
            if row[2]:
                # Two that notice at once count the same lapse once: the second finds no row.
                await connection.execute(
                    """
                    WITH lapsed AS (
                        DELETE FROM handlers WHERE namespace = %(namespace)s AND lease_until <= now()
                        RETURNING handler_id
                    )
                    UPDATE registry SET changes = changes + 1
                    WHERE namespace = %(namespace)s AND EXISTS (SELECT 1 FROM lapsed)
                    """,
                    {"namespace": namespace},
                )
                row = await _changes(connection, namespace)
        return row[0], row[1]

    async def snapshot(self, namespace: str = DEFAULT_NAMESPACE) -> RegistrySnapshot:
        async with connection_of(self._pool) as connection:
            # One statement, so that all of it is of one moment.
            cursor = await connection.execute(
                f"""
                SELECT r.generation, r.changes,
                    (SELECT json_agg(t.spec ORDER BY t.task_id) FROM tasks t
                     WHERE t.namespace = r.namespace),
                    (SELECT json_agg(json_build_array({_HANDLER}) ORDER BY h.handler_id)
                     FROM handlers h WHERE h.namespace = r.namespace AND {_LIVE})
                FROM registry r WHERE r.namespace = %s
                """,
                (namespace,),
            )
            row = await cursor.fetchone()
        assert row is not None, "the migration makes the registry's row"
        return RegistrySnapshot(
            generation=row[0],
            changes=row[1],
            tasks=tuple(task_specs.from_json(spec) for spec in row[2] or ()),
            handlers=tuple(
                replace(_registration(handler), registered_at=None) for handler in row[3] or ()
            ),
        )


# --- parts of a registration -----------------------------------------------------------------


def _types(spec: TaskSpec | None) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    return (spec.event_types, spec.workflow_types) if spec is not None else None


async def _made_before(
    connection: Connection, namespace: str, request: tuple[str, bytes]
) -> str | None:
    """The handler_id that the call with this request_id answered before; None: it is new."""
    request_id, digest = request
    cursor = await connection.execute(
        "SELECT digest, result FROM requests WHERE namespace = %s AND rpc = %s AND request_id = %s",
        (namespace, _RPC, request_id),
    )
    row = await cursor.fetchone()
    if row is not None and bytes(row[0]) != digest:
        raise RequestIdReused(
            f"request_id {request_id} was used with another body; use a new one for a new call.",
            request_id=request_id,
        )
    return str(row[1]["handler_id"]) if row is not None else None


async def _of_endpoint(
    connection: Connection, namespace: str, wanted: Registration
) -> Registration | None:
    """The live registration of the same service, host and port."""
    cursor = await connection.execute(
        f"SELECT {_HANDLER} FROM handlers h WHERE h.namespace = %s AND h.service_name = %s "
        f"AND h.host = %s AND h.port = %s AND {_LIVE}",
        (namespace, wanted.service_name, wanted.host, wanted.port),
    )
    row = await cursor.fetchone()
    return _registration(row) if row is not None else None


async def _tasks(
    connection: Connection, namespace: str, wanted: Registration
) -> dict[str, TaskSpec]:
    """What is known of these tasks; refuses those of other services."""
    cursor = await connection.execute(
        "SELECT spec FROM tasks WHERE namespace = %s AND task_id = ANY(%s)",
        (namespace, [spec.task_id for spec in wanted.tasks]),
    )
    known = [task_specs.from_json(row[0]) for row in await cursor.fetchall()]
    for spec in known:
        if spec.service_name != wanted.service_name:
            raise TaskOwnedByOtherService(
                f"Task {spec.task_id} belongs to the service {spec.service_name}; register it "
                "under that name, or choose another task_id.",
                task_id=spec.task_id,
                service_name=spec.service_name,
            )
    return {spec.task_id: spec for spec in known}


async def _store_tasks(
    connection: Connection, namespace: str, specs: Sequence[TaskSpec], first_time: Sequence[str]
) -> None:
    if not specs:
        return
    rows: list[JsonObject] = [
        {
            "task_id": spec.task_id,
            "service_name": spec.service_name,
            "spec": task_specs.to_json(spec),
            "again": spec.catch_up and spec.task_id in first_time,
        }
        for spec in specs
    ]
    await connection.execute(
        """
        INSERT INTO tasks (namespace, task_id, service_name, spec, catch_up_again_at)
        SELECT %(namespace)s, t.task_id, t.service_name, t.spec,
            CASE WHEN t.again THEN now() + make_interval(secs => %(wait)s) END
        FROM json_to_recordset(%(tasks)s::json)
            AS t(task_id text, service_name text, spec json, again boolean)
        ON CONFLICT (namespace, task_id) DO UPDATE SET spec = excluded.spec, updated_at = now()
        """,
        {"namespace": namespace, "tasks": json_text(rows), "wait": CATCH_UP_AGAIN_SECONDS},
    )


async def _store_handler(
    connection: Connection, namespace: str, wanted: Registration, handler_id: str
) -> Registration:
    cursor = await connection.execute(
        f"""
        INSERT INTO handlers AS h (handler_id, namespace, service_name, service_version, host, port,
            kind, lease_seconds, lease_until, tasks)
        VALUES (%(id)s::uuid, %(namespace)s, %(service)s, %(version)s, %(host)s, %(port)s, %(kind)s,
            %(lease)s::int, now() + make_interval(secs => %(lease)s::int), %(tasks)s::json)
        ON CONFLICT (namespace, service_name, host, port) DO UPDATE SET
            handler_id = excluded.handler_id, service_version = excluded.service_version,
            kind = excluded.kind, lease_seconds = excluded.lease_seconds,
            lease_until = excluded.lease_until, tasks = excluded.tasks,
            registered_at = CASE WHEN h.handler_id = excluded.handler_id THEN h.registered_at
                ELSE now() END
        RETURNING {_HANDLER}
        """,
        {
            "id": handler_id,
            "namespace": namespace,
            "service": wanted.service_name,
            "version": wanted.service_version,
            "host": wanted.host,
            "port": wanted.port,
            "kind": 2 if wanted.static else 1,
            "lease": None if wanted.static else wanted.lease_seconds,
            "tasks": json_text([task_specs.to_json(spec) for spec in wanted.tasks]),
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return _registration(row)


async def _changes(connection: Connection, namespace: str) -> tuple[int, int, bool]:
    cursor = await connection.execute(
        "SELECT r.generation, r.changes, EXISTS (SELECT 1 FROM handlers h "
        "WHERE h.namespace = r.namespace AND h.lease_until <= now()) "
        "FROM registry r WHERE r.namespace = %s",
        (namespace,),
    )
    row = await cursor.fetchone()
    assert row is not None, "the migration makes the registry's row"
    return row[0], row[1], row[2]


def _with_reports(
    handler: Registration, reports: Sequence[Mapping[str, JsonObject]]
) -> Registration:
    """With what the routers see of it; of several the one heard of last says whether it can be
    reached."""
    seen = [report[handler.handler_id] for report in reports if handler.handler_id in report]
    told = [one for one in seen if one.get("reachable") is not None]
    return replace(
        handler,
        reachable=told[-1]["reachable"] if told else None,
        last_error=(told[-1].get("last_error") or "") if told else "",
        calls_in_flight=sum(int(one.get("calls_in_flight") or 0) for one in seen),
    )
