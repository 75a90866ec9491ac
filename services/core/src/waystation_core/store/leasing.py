"""What is leased to a router, looked at and given back row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from waystation_core.ports.store import LeasedRow
from waystation_core.store.pool import Pool, connection_of

# One row at least, for the time.
_LEASED = """
SELECT now(), d.event_id::text, d.task_id, d.since
FROM (VALUES (1)) one LEFT JOIN LATERAL (
    SELECT event_id, task_id, since FROM deliveries
    WHERE state = 2 AND leased_by = %(router_id)s::uuid
      AND (%(event_id)s::uuid IS NULL OR (event_id, task_id) > (%(event_id)s::uuid, %(task_id)s))
    ORDER BY event_id, task_id LIMIT %(limit)s
) d ON true
ORDER BY d.event_id, d.task_id
"""

# A lease is known by when it began: the row may have been leased anew, to this router too.
_GIVE_BACK = """
WITH found AS MATERIALIZED (
    SELECT d.event_id, d.task_id
    FROM unnest(%(events)s::uuid[], %(tasks)s::text[], %(since)s::timestamptz[])
        AS g(event_id, task_id, since)
    JOIN deliveries d ON d.event_id = g.event_id AND d.task_id = g.task_id
    WHERE d.state = 2 AND d.leased_by = %(router_id)s::uuid
      AND (g.since IS NULL OR d.since = g.since)
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d SET state = 1, leased_by = NULL, since = now(),
    due_at = now() + make_interval(secs => %(due_in)s),
    attempts = d.attempts - CASE WHEN d.suspect AND d.attempts > 0 THEN 1 ELSE 0 END
FROM found f WHERE d.event_id = f.event_id AND d.task_id = f.task_id
"""


class Leasing:
    """The part of `ports.store.EngineStore` that a router compares itself by."""

    _pool: Pool

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
