"""Routers and their pools: who is a member, until when, and who may join. Times are the database's."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_core.ports.broker import DEFAULT_POOL
from waystation_core.ports.store import Heartbeat, RouterReport
from waystation_core.store.connections import Connection, ConnectionPool, connection_of, json_text
from waystation_domain.pools import Pool, admit

# Two routers that join at once must see each other.
_LOCK_JOINING = "SELECT pg_advisory_xact_lock(7402)"

# The death of a router is noticed at the latest after its lease, and it may have renewed a third of one
# earlier; its queue begins to expire at its death.
_STAYS = "make_interval(secs => expires_seconds + 2 * %(lease)s)"

_JOIN = """
INSERT INTO pools (pool, bindings, seen_at, expires_seconds, lapses_at)
VALUES (%(pool)s, %(bindings)s::json, now(), %(expires)s,
    now() + make_interval(secs => %(expires)s + 2 * %(lease)s))
ON CONFLICT (pool) DO UPDATE SET bindings = excluded.bindings, seen_at = excluded.seen_at,
    expires_seconds = excluded.expires_seconds, lapses_at = excluded.lapses_at
"""

# Two renewals may be under way at once: one that waited for the row does not shorten the lease.
_HEARTBEAT = f"""
WITH before AS (
    SELECT lease_until FROM routers WHERE router_id = %(id)s::uuid
), seen AS (
    UPDATE pools SET seen_at = now(), lapses_at = now() + {_STAYS}
    WHERE pool = %(pool)s AND lapses_at > now() RETURNING pool
)
INSERT INTO routers (router_id, pool, host, lease_until, calls_in_flight, results_committed, report,
    bindings, events_announced, events_continued)
VALUES (%(id)s::uuid, %(pool)s, %(host)s, now() + make_interval(secs => %(lease)s), %(calls)s,
    %(results)s, %(report)s::json, %(bindings)s::json, %(announced)s, %(continued)s)
ON CONFLICT (router_id) DO UPDATE SET
    lease_until = GREATEST(routers.lease_until, excluded.lease_until),
    calls_in_flight = excluded.calls_in_flight, results_committed = excluded.results_committed,
    report = excluded.report, events_announced = excluded.events_announced,
    events_continued = excluded.events_continued
RETURNING COALESCE((SELECT lease_until > now() FROM before), false), EXISTS (SELECT 1 FROM seen)
"""

_LIVE = """LATERAL (
    SELECT count(*) AS routers, COALESCE(sum(calls_in_flight), 0) AS calls FROM routers r
    WHERE r.pool = p.pool AND r.lease_until > now()
) live"""
_POOLS = f"""
SELECT p.pool, '[]'::json, live.routers, 0::float8, NULL::timestamptz, NULL::timestamptz, live.calls
FROM (VALUES (%s::text)) p(pool), {_LIVE}
UNION ALL
(SELECT p.pool, p.bindings, live.routers, p.expires_seconds, p.seen_at, p.lapses_at, live.calls
 FROM pools p, {_LIVE} WHERE p.lapses_at > now() ORDER BY p.pool)
"""


class Membership:
    """Implements heartbeats and pools for `ports.store.RouterStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def join_pool(self, pool: Pool, lease_seconds: float) -> None:
        async with connection_of(self._pool) as connection, connection.transaction():
            await connection.execute(_LOCK_JOINING)
            admit(pool, await pools_of(connection))
            await connection.execute(
                _JOIN,
                {
                    "pool": pool.name,
                    "bindings": json_text(list(pool.bindings)),
                    "expires": pool.expires_seconds,
                    "lease": lease_seconds,
                },
            )

    async def heartbeat(
        self,
        router_id: str,
        pool: str,
        host: str,
        lease_seconds: float,
        report: RouterReport,
        bindings: Sequence[str] = (),
    ) -> Heartbeat:
        parameters = {
            "id": router_id,
            "pool": pool,
            "host": host,
            "lease": lease_seconds,
            "calls": report.calls_in_flight,
            "results": report.results_committed,
            "report": json_text(dict(report.endpoints)),
            "bindings": json_text(list(bindings)) if bindings else None,
            "announced": report.events_announced,
            "continued": report.events_continued,
        }
        async with connection_of(self._pool) as connection:
            renewed = await (await connection.execute(_HEARTBEAT, parameters)).fetchone()
            pools = await pools_of(connection)
        assert renewed is not None
        held, seen = renewed
        return Heartbeat(held, in_pool=seen or pool == DEFAULT_POOL, pools=pools)


async def pools_of(connection: Connection) -> tuple[Pool, ...]:
    """All existing pools, the default one first, then by name."""
    found = await (await connection.execute(_POOLS, (DEFAULT_POOL,))).fetchall()
    return tuple(
        Pool(name, tuple(bindings), routers, expires, seen_at, lapses_at, int(calls))
        for name, bindings, routers, expires, seen_at, lapses_at, calls in found
    )
