"""The store's part of sweeping: due rows, and stored deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waystation_core.ports.broker import LEVELS, lowest_priority_of
from waystation_core.ports.store import DueEvent
from waystation_core.store import event_types, rows, states
from waystation_core.store.connections import ConnectionPool, claim, connection_of
from waystation_core.store.statements import FIRST_WAIT
from waystation_domain.model import Delivery, JsonObject, Timer, TimerKind
from waystation_domain.pools import EVERY_TYPE, EventTypes
from waystation_domain.task_spec import TaskKey

_DUE_COLUMNS = """e.event_id::text, e.event_type, i.workflow_instance_id, i.workflow_type, i.version,
    COALESCE(e.priority, 100), c.announcements, e.correlation_id, e.metadata->>'traceparent',
    i.namespace"""

# Rows are always locked first, in a step of its own, and rows locked by others are skipped: a commit or
# another sweeper has them. So no sweep waits, and none can be part of a deadlock.

_CLAIM_DUE = f"""
WITH found AS MATERIALIZED (
    SELECT event_id FROM outbox WHERE due_at <= now() {{among}}
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE outbox o SET announcements = LEAST(o.announcements + 1, 1000), announced_at = now(),
        due_at = now()
            + LEAST({FIRST_WAIT} * power(2, LEAST(o.announcements, 10)), interval '600 s')
    FROM found f WHERE o.event_id = f.event_id
    RETURNING o.event_id, o.announcements
)
SELECT {_DUE_COLUMNS} FROM claimed c JOIN events e ON e.event_id = c.event_id
JOIN workflow_instances i ON i.key = e.instance_key ORDER BY e.event_id
"""

# There is no index for starving events: it would cost every event that does not starve. One portion is read,
# by id and so by age, and the next one once this has none left.
_STARVING_PORTION = 10_000
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_PORTION_ENDS = f"""
SELECT event_id::text FROM outbox WHERE event_id > %(after)s
ORDER BY event_id OFFSET {_STARVING_PORTION - 1} LIMIT 1
"""
_CLAIM_STARVING = f"""
WITH found AS MATERIALIZED (
    SELECT event_id FROM outbox
    WHERE event_id > %(after)s AND event_id <= %(ends)s
      AND created_at < now() - make_interval(secs => %(age)s)
      AND (level < %(highest)s OR %(any_level)s AND announced_at <= created_at) {{among}}
    ORDER BY event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE outbox o SET level = %(highest)s, announced_at = now()
    FROM found f WHERE o.event_id = f.event_id
    RETURNING o.event_id, o.announcements
)
SELECT {_DUE_COLUMNS} FROM claimed c JOIN events e ON e.event_id = c.event_id
JOIN workflow_instances i ON i.key = e.instance_key ORDER BY e.event_id
"""

_MAKE_DUE = """
WITH found AS MATERIALIZED (
    SELECT event_id FROM outbox WHERE event_id = ANY(%s::uuid[]) FOR UPDATE SKIP LOCKED
)
UPDATE outbox o SET due_at = now() FROM found f WHERE o.event_id = f.event_id
"""

_LEASE_FOUND = f"""
UPDATE deliveries d SET state = {states.LEASED}, leased_by = %(router_id)s::uuid,
    attempts = d.attempts + CASE WHEN d.suspect THEN 1 ELSE 0 END, since = now()
FROM found f WHERE {rows.same_delivery("d", "f")}
RETURNING {rows.DELIVERY_COLUMNS}
"""

# IS TRUE keeps the planner from finding them by task: after an outage a task may have a great many that
# are due later, and every claim would read them all.
_OF_TASKS = """((namespace, task_id) IN (
    SELECT * FROM unnest(%(namespaces)s::text[], %(task_ids)s::text[]))) IS TRUE"""
_CLAIM_DELIVERIES = f"""
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = {states.READY} AND due_at <= now() AND NOT suspect
      AND {_OF_TASKS} {{among}}
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{_LEASE_FOUND}"""

_MAX_COUNTED = 1_000_001
"""One more than any limit on waiting work."""

_BACKLOG = f"""
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT {_MAX_COUNTED}) o)
    + (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = {states.READY}
        LIMIT {_MAX_COUNTED}) r)
    + (SELECT count(*) FROM (SELECT FROM deliveries WHERE {states.one_of("state", states.PARKED)}
        LIMIT {_MAX_COUNTED}) p)
"""
"""What waits for a first or another call; each part is an index of its own."""

# Two routers may reach the same process, so a suspect is called only while no other router has a suspect of
# the same service in call: else both would be blamed for one crash. The lock keeps two routers from looking
# at the same time, and is a statement of its own because a claim must see what was claimed before it; a
# router that does not get it looks again soon.
_ANY_SUSPECT = (
    f"SELECT 1 FROM deliveries WHERE state = {states.READY} AND due_at <= now() AND suspect LIMIT 1"
)
_LOCK_SUSPECTS = "SELECT pg_try_advisory_xact_lock(7401)"
_CLAIM_SUSPECTS = f"""
WITH busy AS MATERIALIZED (
    SELECT t.namespace, t.service_name
    FROM deliveries d JOIN tasks t ON t.namespace = d.namespace AND t.task_id = d.task_id
    WHERE d.state = {states.LEASED} AND d.suspect AND d.leased_by <> %(router_id)s::uuid
), found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = {states.READY} AND due_at <= now() AND suspect AND {_OF_TASKS}
      AND (namespace, task_id) NOT IN (
          SELECT t.namespace, t.task_id FROM tasks t
          JOIN busy b ON b.namespace = t.namespace AND b.service_name = t.service_name) {{among}}
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{_LEASE_FOUND}"""

_CLAIM_OVERDUE = f"""
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries WHERE state = {states.PENDING} AND due_at <= now()
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{_LEASE_FOUND}"""

# Claimed for as long as firing may take; firing removes them. It is also how late they are if their router
# dies: less than it takes to notice that it is dead.
_CLAIM_TIMERS = """
WITH found AS MATERIALIZED (
    SELECT instance_key, kind, ref, due_at FROM timers WHERE due_at <= now()
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE timers t SET due_at = now() + interval '5 s'
FROM found f WHERE t.instance_key = f.instance_key AND t.kind = f.kind AND t.ref = f.ref
RETURNING t.instance_key, t.kind, t.ref, t.due_at, f.due_at
"""

# The oldest ones of each task: a task with very many does not hide others' deliveries.
_WAKE_PARKED = f"""
WITH found AS MATERIALIZED (
    SELECT d.event_id, d.task_id
    FROM unnest(%(namespaces)s::text[], %(task_ids)s::text[]) AS w(namespace, task_id)
    CROSS JOIN LATERAL (
        SELECT event_id, task_id FROM deliveries
        WHERE {states.one_of("state", states.PARKED)} AND namespace = w.namespace AND task_id = w.task_id
          AND (due_at <= now() OR since < now() - make_interval(secs => %(parked_for)s::float8))
          {{among}}
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) d
), woken AS (
    UPDATE deliveries d SET state = {states.READY}, due_at = now(), since = now()
    FROM found f WHERE {rows.same_delivery("d", "f")}
    RETURNING d.namespace, d.task_id
)
SELECT namespace, task_id, count(*) FROM woken GROUP BY 1, 2
"""


class Sweeps:
    """Implements sweeps for `ports.store.RouterStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._starving_after = _FIRST_ID

    async def _execute(self, query: str, parameters: Any = None) -> int:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(query, parameters)
            return cursor.rowcount

    async def _fetch(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

    async def make_due(self, event_ids: Sequence[str]) -> None:
        await self._execute(_MAKE_DUE, (list(event_ids),))

    async def claim_due_events(self, limit: int, types: EventTypes = EVERY_TYPE) -> list[DueEvent]:
        parameters = {"limit": limit, **event_types.parameters(types)}
        query = _CLAIM_DUE.format(among=event_types.among(types, "outbox"))
        return [_due(row) for row in await claim(self._pool, query, parameters)]

    async def claim_starving_events(
        self,
        limit: int,
        unsettled_for: float,
        types: EventTypes = EVERY_TYPE,
        *,
        at_any_level: bool = False,
    ) -> list[DueEvent]:
        after = self._starving_after
        ends = await self._fetch(_PORTION_ENDS, {"after": after})
        found = await claim(
            self._pool,
            _CLAIM_STARVING.format(among=event_types.among(types, "outbox")),
            {
                "after": after,
                "ends": ends[0][0] if ends else _LAST_ID,
                "highest": LEVELS - 1,
                "age": unsettled_for,
                "any_level": at_any_level,
                "limit": limit,
                **event_types.parameters(types),
            },
        )
        # In circles, and back to the oldest ones as soon as any were found.
        self._starving_after = ends[0][0] if ends and not found else _FIRST_ID
        return [_due(row, priority=lowest_priority_of(LEVELS - 1)) for row in found]

    async def claim_deliveries(
        self,
        router_id: str,
        limit: int,
        tasks: Sequence[TaskKey],
        *,
        suspects: bool,
        types: EventTypes = EVERY_TYPE,
    ) -> list[Delivery]:
        among = event_types.among(types, "deliveries")
        parameters = {
            "router_id": router_id,
            "limit": limit,
            **_of_tasks(tasks),
            **event_types.parameters(types),
        }
        if suspects:
            found = await self._claim_suspects(_CLAIM_SUSPECTS.format(among=among), parameters)
        else:
            found = await self._fetch(_CLAIM_DELIVERIES.format(among=among), parameters)
        return [rows.delivery(row) for row in found]

    async def _claim_suspects(self, query: str, parameters: JsonObject) -> list[tuple[Any, ...]]:
        if not await self._fetch(_ANY_SUSPECT):
            return []
        async with connection_of(self._pool) as connection, connection.transaction():
            ours = await (await connection.execute(_LOCK_SUSPECTS)).fetchone()
            if ours is None or not ours[0]:
                return []
            return await (await connection.execute(query, parameters)).fetchall()

    async def claim_overdue(self, router_id: str, limit: int) -> list[Delivery]:
        parameters = {"router_id": router_id, "limit": limit}
        return [rows.delivery(row) for row in await self._fetch(_CLAIM_OVERDUE, parameters)]

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        claimed: dict[int, list[Timer]] = {}
        found = await claim(self._pool, _CLAIM_TIMERS, (limit,))
        for key, kind, ref, due_at, _ in sorted(found, key=lambda row: row[4]):
            claimed.setdefault(key, []).append(Timer(TimerKind(kind), ref, due_at=due_at))
        return claimed

    async def timers_of_instances(self, keys: Sequence[int]) -> dict[int, list[Timer]]:
        current: dict[int, list[Timer]] = {}
        found = await self._fetch(
            "SELECT instance_key, kind, ref, due_at FROM timers WHERE instance_key = ANY(%s)",
            (list(keys),),
        )
        for key, kind, ref, due_at in found:
            current.setdefault(key, []).append(Timer(TimerKind(kind), ref, due_at=due_at))
        return current

    async def wake_parked(
        self,
        tasks: Sequence[TaskKey],
        limit: int,
        types: EventTypes = EVERY_TYPE,
        *,
        parked_for: float | None = None,
    ) -> dict[TaskKey, int]:
        found = await self._fetch(
            _WAKE_PARKED.format(among=event_types.among(types, "deliveries")),
            {
                **_of_tasks(tasks),
                "limit": limit,
                "parked_for": parked_for,
                **event_types.parameters(types),
            },
        )
        return {(namespace, task_id): number for namespace, task_id, number in found}

    async def backlog(self) -> int:
        found = await self._fetch(_BACKLOG)
        return int(found[0][0])

    async def forget_requests(self, limit: int) -> int:
        return await self._execute(
            "DELETE FROM requests WHERE (namespace, rpc, request_id) IN ("
            "SELECT namespace, rpc, request_id FROM requests "
            "WHERE created_at < now() - interval '7 days' "
            "ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)",
            (limit,),
        )


def _of_tasks(tasks: Sequence[TaskKey]) -> JsonObject:
    return {
        "namespaces": [namespace for namespace, _ in tasks],
        "task_ids": [task_id for _, task_id in tasks],
    }


def _due(row: Sequence[Any], *, priority: int | None = None) -> DueEvent:
    return DueEvent(
        event_id=row[0],
        event_type=row[1],
        workflow_instance_id=row[2],
        workflow_type=row[3],
        version=row[4],
        priority=row[5] if priority is None else priority,
        announcements=row[6],
        correlation_id=row[7],
        traceparent=row[8],
        namespace=row[9],
    )
