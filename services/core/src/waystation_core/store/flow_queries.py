"""The flow of events in history: counted in the database, in portions of instances.

A portion is bounded in three ways, so that no statement reaches `statement_timeout`: in rows of the index of
starts, in instances, and in entries of history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from waystation_core.ports.store import FlowPortion
from waystation_core.store.connections import ConnectionPool, connection_of
from waystation_domain.flow.graph import MAX_WRITES, Observations
from waystation_domain.model import Result

_ROWS = 5_000
"""Starts that are read in search of one workflow type."""
_ENTRIES = 10_000
"""Entries of history, unless a single instance has more."""
_CHANGE_BYTES = 32 * 1024
"""Larger changes, as stored, are not read for what they wrote: that would read all of them."""
_CHANGES_BYTES = 8 * 1024 * 1024
"""Nor is more than that in one portion."""
_PLACES = 20 * MAX_WRITES

# The search uses the index of starts for every type, and returns how far it came.
_STARTED = """
SELECT s.key, s.workflow_type, s.version, s.created_at,
    s.namespace = %(namespace)s AND (%(type)s::text = '' OR s.workflow_type = %(type)s)
FROM (
    SELECT key, namespace, workflow_type, version, created_at FROM workflow_instances
    WHERE created_at >= %(since)s
      AND (created_at, key) < (%(before)s::timestamptz, %(before_key)s::bigint)
    ORDER BY created_at DESC, key DESC LIMIT %(rows)s
) s ORDER BY s.created_at DESC, s.key DESC
"""

_HANDLED = """
SELECT w.type, h.event_type, h.processed_by, h.result, h.will_retry, count(*)
FROM unnest(%(keys)s::bigint[], %(types)s::text[]) AS w(key, type)
JOIN history h ON h.instance_key = w.key
WHERE h.action IS NULL
GROUP BY 1, 2, 3, 4, 5
"""

_RAISED = """
SELECT w.type, e.raised_by, e.event_type, count(*)
FROM unnest(%(keys)s::bigint[], %(types)s::text[]) AS w(key, type)
JOIN history h ON h.instance_key = w.key
CROSS JOIN LATERAL unnest(h.raised) AS r(event_id)
JOIN events e ON e.event_id = r.event_id
GROUP BY 1, 2, 3
"""

_WRITTEN = f"""
SELECT c.type, c.processed_by, o.operation->>1, o.operation->>0, count(*)
FROM (
    SELECT w.type, h.processed_by, h.change,
        sum(pg_column_size(h.change)) OVER (ORDER BY h.instance_key DESC, h.sequence) AS bytes
    FROM unnest(%(keys)s::bigint[], %(types)s::text[]) AS w(key, type)
    JOIN history h ON h.instance_key = w.key
    WHERE h.action IS NULL AND pg_column_size(h.change) <= {_CHANGE_BYTES}
) c CROSS JOIN LATERAL json_array_elements(c.change) AS o(operation)
WHERE c.bytes <= {_CHANGES_BYTES}
GROUP BY 1, 2, 3, 4
ORDER BY count(*) DESC, 1, 2, 3, 4 LIMIT {_PLACES}
"""


async def look(
    pool: ConnectionPool,
    created_after: datetime,
    *,
    workflow_type: str,
    after: tuple[datetime, int] | None,
    limit: int,
    namespace: str,
) -> FlowPortion:
    """See `ports.store.QueryStore.flow`."""
    before, before_key = after if after is not None else ("infinity", 0)
    rows = _ROWS if workflow_type else limit
    async with connection_of(pool) as connection:
        cursor = await connection.execute(
            _STARTED,
            {
                "namespace": namespace,
                "type": workflow_type,
                "since": created_after,
                "before": before,
                "before_key": before_key,
                "rows": rows,
            },
        )
        walked = await cursor.fetchall()
        portion, last = _portion(walked, limit, ends=len(walked) < rows)
        seen = Observations(instances=Counter(row[1] for row in portion))
        if portion:
            parameters = {
                "keys": [row[0] for row in portion],
                "types": [row[1] for row in portion],
            }
            cursor = await connection.execute(_HANDLED, parameters)
            for of, event_type, by, result, again, number in await cursor.fetchall():
                seen.handled[of, event_type, by, Result(result), again] = number
            cursor = await connection.execute(_RAISED, parameters)
            for *edge, number in await cursor.fetchall():
                seen.raised[tuple(edge)] = number
            cursor = await connection.execute(_WRITTEN, parameters)
            for *place, number in await cursor.fetchall():
                seen.written[tuple(place)] = number
    return FlowPortion(seen, last)


def _portion(
    walked: Sequence[tuple[Any, ...]], limit: int, *, ends: bool
) -> tuple[list[tuple[Any, ...]], tuple[datetime, int] | None]:
    """The instances of one portion, and where the next one begins."""
    taken: list[tuple[Any, ...]] = []
    entries = 0
    last = None
    for row in walked:
        _, _, version, _, is_meant = row
        if is_meant:
            if taken and (len(taken) >= limit or entries + version > _ENTRIES):
                return taken, last
            taken.append(row)
            entries += version
        last = (row[3], row[0])
    return taken, None if ends else last
