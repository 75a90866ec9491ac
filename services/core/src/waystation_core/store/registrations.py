"""Registers an endpoint: one transaction that decides who owns which task, what is new, and whether the tasks
of new events change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from waystation_core.ids import new_id
from waystation_core.ports.store import AuditedCall, Registration
from waystation_core.store import task_specs
from waystation_core.store.audit import audited
from waystation_core.store.catch_up import CATCH_UP_AGAIN_SECONDS
from waystation_core.store.connections import Connection, ConnectionPool, connection_of, json_text
from waystation_core.store.handler_rows import HANDLER_COLUMNS, LIVE
from waystation_core.store.handler_rows import registration as registration_of
from waystation_core.store.retirement import OPERATOR, count_change, lock_registry
from waystation_core.store.states import EndpointKind
from waystation_domain.errors import (
    RequestIdReused,
    TaskOwnedByOtherService,
    TooManyHandlers,
)
from waystation_domain.model import DEFAULT_NAMESPACE, SYSTEM, JsonObject
from waystation_domain.task_spec import TaskSpec

_RPC = "RegisterHandler"

_TICK = timedelta(microseconds=1)


class Registrations:
    """`register` of `ports.store.RegistryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def register(
        self,
        registration: Registration,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        request: tuple[str, bytes] | None = None,
        at_most: int = 10_000,
        by: AuditedCall | None = None,
    ) -> tuple[Registration, list[str]]:
        async with (
            connection_of(self._pool) as connection,
            audited(connection, by, transaction=True) as record,
        ):
            await lock_registry(connection, namespace)
            known_tasks = await _known_tasks(connection, namespace, registration)
            retired = tuple(
                task_id for task_id, one in known_tasks.items() if one.retired_by == OPERATOR
            )
            known = await _of_endpoint(connection, namespace, registration)
            if request is not None:
                made = await _made_before(connection, namespace, request)
                if made is not None:
                    # It is gone since: its expired lease shows that.
                    known = known or replace(registration, handler_id=made, lease_remaining=0.0)
                    return replace(known, retired_task_ids=retired), []
            if known is None:
                await _check_quota(connection, namespace, at_most)
            _check_owner(registration, known_tasks)
            specs = {task_id: one.spec for task_id, one in known_tasks.items()}
            first_time = [spec.task_id for spec in registration.tasks if spec.task_id not in specs]
            same = (
                known is not None
                and known.tasks == registration.tasks
                and known.service_version == registration.service_version
                and known.static == registration.static
                and known.lease_seconds == registration.lease_seconds
            )
            began_at = await _beginning(
                connection, registration, known if same else None, known_tasks.values()
            )
            registration = replace(registration, began_at=began_at)
            ours = [
                spec
                for spec in registration.tasks
                if spec.task_id in first_time or known_tasks[spec.task_id].began_at <= began_at
            ]
            changed = [spec for spec in ours if specs.get(spec.task_id) != spec]
            back = [task_id for task_id, one in known_tasks.items() if one.comes_back]
            # What an endpoint declares besides the current spec is handled while it lives.
            moves_types = any(one.retired_by == SYSTEM for one in known_tasks.values()) or (
                not (known is not None and known.tasks == registration.tasks and not changed)
                and any(
                    _types(spec) != _types(specs.get(spec.task_id)) for spec in registration.tasks
                )
            )
            await _store_tasks(connection, namespace, ours, first_time, began_at)
            await _declare(connection, namespace, back)
            handler_id = known.handler_id if known is not None and same else new_id()
            stored = await _store_handler(connection, namespace, registration, handler_id)
            if changed or back or not same:
                await count_change(connection, namespace, moves_types=moves_types)
                await record()
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
        return replace(stored, retired_task_ids=retired), first_time


def _types(spec: TaskSpec | None) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    return (spec.event_types, spec.workflow_types) if spec is not None else None


async def _beginning(
    connection: Connection,
    new: Registration,
    known: Registration | None,
    tasks: Iterable[_Known],
) -> datetime:
    """When its process registered first, by this database's clock. A process that begins now is newer than
    all others of its tasks, even if that clock was set back; none is in the future."""
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None
    now: datetime = row[0]
    after_all = max([now, *(task.began_at + _TICK for task in tasks)])
    began_at = new.began_at or (known.began_at if known is not None else None)
    return min(began_at, after_all) if began_at is not None else after_all


async def _made_before(
    connection: Connection, namespace: str, request: tuple[str, bytes]
) -> str | None:
    """The handler_id that the earlier call with this request_id returned; None: it is new."""
    request_id, digest = request
    cursor = await connection.execute(
        "SELECT digest, result FROM requests WHERE namespace = %s AND rpc = %s AND request_id = %s",
        (namespace, _RPC, request_id),
    )
    row = await cursor.fetchone()
    if row is not None and bytes(row[0]) != digest:
        raise RequestIdReused.of(request_id)
    return str(row[1]["handler_id"]) if row is not None else None


async def _of_endpoint(
    connection: Connection, namespace: str, new: Registration
) -> Registration | None:
    """The live registration of the same service, host and port."""
    cursor = await connection.execute(
        f"SELECT {HANDLER_COLUMNS} FROM handlers h WHERE h.namespace = %s AND h.service_name = %s "
        f"AND h.host = %s AND h.port = %s AND {LIVE}",
        (namespace, new.service_name, new.host, new.port),
    )
    row = await cursor.fetchone()
    return registration_of(row) if row is not None else None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database has of a task that is registered again."""

    spec: TaskSpec
    retired_by: str | None
    missed: bool
    """Whether no live endpoint declared it recently."""
    began_at: datetime
    """When the process of the current spec registered first."""

    @property
    def comes_back(self) -> bool:
        return self.missed or self.retired_by == SYSTEM


async def _known_tasks(
    connection: Connection, namespace: str, new: Registration
) -> dict[str, _Known]:
    cursor = await connection.execute(
        "SELECT spec, retired_by, undeclared_since IS NOT NULL, began_at, namespace FROM tasks "
        "WHERE namespace = %s AND task_id = ANY(%s) ORDER BY task_id",
        (namespace, [spec.task_id for spec in new.tasks]),
    )
    known = [
        _Known(task_specs.from_json(row[0], row[4]), row[1], row[2], row[3])
        for row in await cursor.fetchall()
    ]
    return {one.spec.task_id: one for one in known}


def _check_owner(new: Registration, known: Mapping[str, _Known]) -> None:
    for one in known.values():
        spec = one.spec
        if spec.service_name != new.service_name:
            raise TaskOwnedByOtherService(
                f"Task {spec.task_id} belongs to the service {spec.service_name}; register it "
                "under that name, or choose another task_id.",
                task_id=spec.task_id,
                service_name=spec.service_name,
            )


async def _check_quota(connection: Connection, namespace: str, at_most: int) -> None:
    cursor = await connection.execute(
        f"SELECT count(*) FROM handlers h WHERE h.namespace = %s AND {LIVE}", (namespace,)
    )
    row = await cursor.fetchone()
    assert row is not None
    if row[0] >= at_most:
        raise TooManyHandlers(
            f"{at_most} endpoints are registered, which is the limit; unregister those that are "
            "not needed, or increase WAYSTATION_MAX_HANDLERS.",
            limit=str(at_most),
        )


async def _declare(connection: Connection, namespace: str, task_ids: Sequence[str]) -> None:
    """Records that tasks are declared again: those retired by the system continue."""
    if task_ids:
        await connection.execute(
            "UPDATE tasks SET undeclared_since = NULL, retired_at = NULL, retired_by = NULL "
            "WHERE namespace = %s AND task_id = ANY(%s) AND retired_by IS DISTINCT FROM %s",
            (namespace, list(task_ids), OPERATOR),
        )


async def _store_tasks(
    connection: Connection,
    namespace: str,
    specs: Sequence[TaskSpec],
    first_time: Sequence[str],
    began_at: datetime,
) -> None:
    """The specs of a process that is the newest of these tasks."""
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
        INSERT INTO tasks (namespace, task_id, service_name, spec, catch_up_again_at, began_at)
        SELECT %(namespace)s, t.task_id, t.service_name, t.spec,
            CASE WHEN t.again THEN now() + make_interval(secs => %(wait)s) END, %(began_at)s
        FROM json_to_recordset(%(tasks)s::json)
            AS t(task_id text, service_name text, spec json, again boolean)
        ON CONFLICT (namespace, task_id) DO UPDATE SET
            spec = excluded.spec, began_at = excluded.began_at, updated_at = now()
        WHERE tasks.spec::text <> excluded.spec::text OR tasks.began_at <> excluded.began_at
        """,
        {
            "namespace": namespace,
            "tasks": json_text(rows),
            "wait": CATCH_UP_AGAIN_SECONDS,
            "began_at": began_at,
        },
    )


async def _store_handler(
    connection: Connection, namespace: str, new: Registration, handler_id: str
) -> Registration:
    cursor = await connection.execute(
        f"""
        INSERT INTO handlers AS h (handler_id, namespace, service_name, service_version, host, port,
            kind, lease_seconds, lease_until, tasks, began_at)
        VALUES (%(id)s::uuid, %(namespace)s, %(service)s, %(version)s, %(host)s, %(port)s, %(kind)s,
            %(lease)s::int, now() + make_interval(secs => %(lease)s::int), %(tasks)s::json,
            %(began_at)s)
        ON CONFLICT (namespace, service_name, host, port) DO UPDATE SET
            handler_id = excluded.handler_id, service_version = excluded.service_version,
            kind = excluded.kind, lease_seconds = excluded.lease_seconds,
            lease_until = excluded.lease_until, tasks = excluded.tasks,
            began_at = excluded.began_at,
            registered_at = CASE WHEN h.handler_id = excluded.handler_id THEN h.registered_at
                ELSE now() END
        RETURNING {HANDLER_COLUMNS}
        """,
        {
            "id": handler_id,
            "namespace": namespace,
            "service": new.service_name,
            "version": new.service_version,
            "host": new.host,
            "port": new.port,
            "kind": EndpointKind.STATIC if new.static else EndpointKind.LEASED,
            "lease": None if new.static else new.lease_seconds,
            "tasks": json_text([task_specs.to_json(spec) for spec in new.tasks]),
            "began_at": new.began_at,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return registration_of(row)
