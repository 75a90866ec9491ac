"""Leases of routers, and how they end: row by row, for routers that stop, and for those that died.

In portions; the row of the router stays until the last one, so that the next look finds the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from waystation_core.ports.store import BrokenLeases, LeasedRow
from waystation_core.store import rows, states
from waystation_core.store.connections import ConnectionPool, connection_of
from waystation_core.store.statements import FIRST_WAIT

GIVEN_BACK_AT_ONCE = 2_000
"""Deliveries of a stopping router, in one statement."""

# At least one row, for the time.
_LEASED = f"""
SELECT now(), d.event_id::text, d.task_id, d.since
FROM (VALUES (1)) one LEFT JOIN LATERAL (
    SELECT event_id, task_id, since FROM deliveries
    WHERE state = {states.LEASED} AND leased_by = %(router_id)s::uuid
      AND (%(event_id)s::uuid IS NULL OR (event_id, task_id) > (%(event_id)s::uuid, %(task_id)s))
    ORDER BY event_id, task_id LIMIT %(limit)s
) d ON true
ORDER BY d.event_id, d.task_id
"""

_COMPARED = """
UPDATE routers SET compared_at = now(), in_hand_before = %(before)s WHERE router_id = %(id)s::uuid
"""

# A lease is identified by when it began: the row may have been leased again, to this router too.
_GIVE_BACK = f"""
WITH found AS MATERIALIZED (
    SELECT d.event_id, d.task_id
    FROM unnest(%(events)s::uuid[], %(tasks)s::text[], %(since)s::timestamptz[])
        AS g(event_id, task_id, since)
    JOIN deliveries d ON {rows.same_delivery("d", "g")}
    WHERE d.state = {states.LEASED} AND d.leased_by = %(router_id)s::uuid
      AND (g.since IS NULL OR d.since = g.since)
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d SET state = {states.READY}, leased_by = NULL, since = now(),
    due_at = now() + make_interval(secs => %(due_in)s),
    attempts = d.attempts - CASE WHEN d.suspect AND d.attempts > 0 THEN 1 ELSE 0 END
FROM found f WHERE {rows.same_delivery("d", "f")}
"""

_GIVE_ALL_BACK = f"""
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = {states.LEASED} AND leased_by = %(id)s::uuid LIMIT %(limit)s FOR UPDATE
)
UPDATE deliveries d SET state = {states.READY}, due_at = now(), leased_by = NULL, since = now(),
    attempts = attempts - CASE WHEN suspect AND attempts > 0 THEN 1 ELSE 0 END
FROM found f WHERE {rows.same_delivery("d", "f")}
"""

# A queue whose last consumer stops in order expires from then on; plus a second, as the broker has its own
# clock.
_LEAVE = """
WITH gone AS (
    DELETE FROM routers WHERE router_id = %(id)s::uuid RETURNING pool
)
UPDATE pools p SET seen_at = now(), lapses_at = now() + make_interval(secs => expires_seconds + 1)
FROM gone WHERE p.pool = gone.pool AND NOT EXISTS (
    SELECT 1 FROM routers r
    WHERE r.pool = p.pool AND r.router_id <> %(id)s::uuid AND r.lease_until > now())
"""

_DEAD = "lease_until < now() AND router_id <> %(id)s::uuid"

# A router that dies between a commit and its announcement leaves events that were never announced. It lived
# for at most a lease before its own was over: events that anybody announced first in that time, and that are
# not settled yet, are announced again. Found by the index on due_at, which is one wait later.
_TELL = f"""
WITH untold AS MATERIALIZED (
    SELECT o.event_id FROM routers dead JOIN outbox o
        ON o.due_at > dead.lease_until - make_interval(secs => 2 * %(lease)s) + {FIRST_WAIT}
        AND o.due_at <= dead.lease_until + {FIRST_WAIT}
    WHERE {_DEAD} AND o.announcements = 1 AND o.due_at > now()
    LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o SET due_at = now() FROM untold u WHERE o.event_id = u.event_id
"""

# Also those of unknown routers.
_FREE = f"""
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = {states.LEASED} AND (leased_by IS NULL OR leased_by NOT IN (
        SELECT router_id FROM routers WHERE NOT ({_DEAD})))
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = {states.READY}, due_at = now(), leased_by = NULL, since = now(), suspect = true
FROM found f WHERE {rows.same_delivery("d", "f")}
"""

_FORGET = f"DELETE FROM routers WHERE {_DEAD} AND lease_until <= %(until)s"


class Leases:
    """Implements leases for `ports.store.RouterStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def leased(
        self, router_id: str, *, after: LeasedRow | None = None, limit: int
    ) -> tuple[datetime, list[LeasedRow]]:
        parameters = {
            "router_id": router_id,
            "event_id": after.event_id if after is not None else None,
            "task_id": after.task_id if after is not None else None,
            "limit": limit,
        }
        async with connection_of(self._pool) as connection:
            found = await (await connection.execute(_LEASED, parameters)).fetchall()
        now: datetime = found[0][0]
        return now, [LeasedRow(*row[1:]) for row in found if row[1] is not None]

    async def compared(self, router_id: str, before: datetime) -> None:
        async with connection_of(self._pool) as connection:
            await connection.execute(_COMPARED, {"id": router_id, "before": before})

    async def give_back(
        self, router_id: str, rows: Sequence[LeasedRow], *, due_in: float = 0.0
    ) -> int:
        parameters = {
            "router_id": router_id,
            "events": [row.event_id for row in rows],
            "tasks": [row.task_id for row in rows],
            "since": [row.since for row in rows],
            "due_in": due_in,
        }
        async with connection_of(self._pool) as connection:
            return (await connection.execute(_GIVE_BACK, parameters)).rowcount

    async def leave(self, router_id: str) -> None:
        async with connection_of(self._pool) as connection:
            portion = GIVEN_BACK_AT_ONCE
            while portion == GIVEN_BACK_AT_ONCE:
                given = await connection.execute(
                    _GIVE_ALL_BACK, {"id": router_id, "limit": portion}
                )
                portion = given.rowcount
            await connection.execute(_LEAVE, {"id": router_id})

    async def break_leases(self, router_id: str, lease_seconds: float, limit: int) -> BrokenLeases:
        parameters = {"id": router_id, "lease": lease_seconds, "limit": limit}
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute("SELECT now()")
            row = await cursor.fetchone()
            assert row is not None
            events = (await connection.execute(_TELL, parameters)).rowcount
            deliveries = (await connection.execute(_FREE, parameters)).rowcount
            more = limit in (events, deliveries)
            if not more:
                # Not a router that died just now, after the others' rows were read.
                await connection.execute(_FORGET, {"id": router_id, "until": row[0]})
        return BrokenLeases(deliveries, events, more)
