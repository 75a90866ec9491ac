"""What namespaces use: counted for those that have a limit on it, by one process at a time."""

from __future__ import annotations

from waystation_core.store import states
from waystation_core.store.connections import Connection, ConnectionPool, connection_of

COUNTED_EVERY = 3.0
"""Seconds between two counts of open instances."""
MEASURED_EVERY = 60.0
"""Seconds between two estimates of stored bytes."""

_PAGE_BYTES = 8_192
_PAGES_READ = 300
"""Pages of each table, on average, that an estimate reads."""

_CLAIM = """
UPDATE namespaces SET {at} = now() WHERE namespace IN (
    SELECT namespace FROM namespaces
    WHERE {limit} IS NOT NULL AND {at} < now() - make_interval(secs => %s)
    FOR UPDATE SKIP LOCKED)
RETURNING namespace, {limit}
"""
_CLAIM_COUNT = _CLAIM.format(at="counted_at", limit="max_open_workflows")
_CLAIM_MEASURE = _CLAIM.format(at="measured_at", limit="max_stored_bytes")

# Along the index of instances that did not complete, the newest first, and no further than the limit.
_COUNT = f"""
UPDATE namespaces SET counted = counted + 1, open_workflows = (
    SELECT count(*) FROM (
        SELECT FROM workflow_instances
        WHERE status <> {states.COMPLETED} AND {states.one_of("status", states.OPEN)}
          AND (namespace = %(namespace)s) IS TRUE
        ORDER BY created_at DESC LIMIT %(most)s + 1
    ) n)
WHERE namespace = %(namespace)s
"""

_SET_BYTES = "UPDATE namespaces SET stored_bytes = %s WHERE namespace = %s"

_SIZES = """
SELECT pg_relation_size('workflow_instances'), pg_relation_size('history'), pg_relation_size('events')
"""
_SAMPLE_INSTANCES = """
SELECT COALESCE(sum(pg_column_size(s.*)), 0)::bigint FROM workflow_instances s
TABLESAMPLE SYSTEM (%(percent)s) WHERE s.namespace = %(namespace)s
"""
_SAMPLE = """
SELECT COALESCE(sum(pg_column_size(s.*)), 0)::bigint FROM {table} s TABLESAMPLE SYSTEM (%(percent)s)
JOIN workflow_instances i ON i.key = s.instance_key WHERE (i.namespace = %(namespace)s) IS TRUE
"""
_SAMPLES = (_SAMPLE_INSTANCES, _SAMPLE.format(table="history"), _SAMPLE.format(table="events"))

# A full bucket has the starts of a second. Locked first: two servers that take at once take in turn.
_TAKE = """
WITH locked AS (
    SELECT namespace, LEAST(GREATEST(max_starts_per_second, 1), starts_left + max_starts_per_second
        * GREATEST(extract(epoch FROM clock_timestamp() - starts_at)::float8, 0)) AS left_now
    FROM namespaces WHERE namespace = %(namespace)s AND max_starts_per_second IS NOT NULL FOR UPDATE
), taken AS (
    SELECT namespace, left_now, LEAST(floor(left_now), %(wanted)s) AS number FROM locked
)
UPDATE namespaces n SET starts_left = t.left_now - t.number, starts_at = clock_timestamp()
FROM taken t WHERE n.namespace = t.namespace RETURNING t.number::int
"""


class Usage:
    """A part of `PostgresNamespaceStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def count_usage(self) -> None:
        async with connection_of(self._pool) as connection:
            claimed = await connection.execute(_CLAIM_COUNT, (COUNTED_EVERY,))
            for namespace, most in await claimed.fetchall():
                await connection.execute(_COUNT, {"namespace": namespace, "most": most})
            claimed = await connection.execute(_CLAIM_MEASURE, (MEASURED_EVERY,))
            for namespace, _ in await claimed.fetchall():
                found = await stored_bytes(connection, namespace)
                await connection.execute(_SET_BYTES, (found, namespace))

    async def take_starts(self, namespace: str, wanted: int) -> int:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(_TAKE, {"namespace": namespace, "wanted": wanted})
            row = await cursor.fetchone()
        # Without a limit any more, all of it.
        return wanted if row is None else int(row[0])


async def stored_bytes(connection: Connection, namespace: str) -> int:
    """Bytes of the namespace's instances, histories and events, from a sample of pages; exact for small
    tables."""
    sizes = await (await connection.execute(_SIZES)).fetchone()
    assert sizes is not None
    total = 0.0
    for size, query in zip(sizes, _SAMPLES, strict=True):
        share = min(1.0, _PAGES_READ / max(size / _PAGE_BYTES, 1.0))
        cursor = await connection.execute(query, {"percent": 100 * share, "namespace": namespace})
        row = await cursor.fetchone()
        assert row is not None
        total += int(row[0]) / share
    return int(total)
