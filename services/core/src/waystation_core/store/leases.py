"""Leases that end: of routers that go, and of those that died. In portions; until the last one the row of
the router stays, so that whoever looks next finds the rest."""

from __future__ import annotations

from waystation_core.ports.store import BrokenLeases
from waystation_core.store.pool import Pool, connection_of
from waystation_core.store.statements import FIRST_WAIT

GIVEN_BACK_AT_ONCE = 2_000
"""Deliveries of a router that leaves, in one statement."""

_GIVE_BACK = """
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = 2 AND leased_by = %(id)s::uuid LIMIT %(limit)s FOR UPDATE
)
UPDATE deliveries d SET state = 1, due_at = now(), leased_by = NULL, since = now(),
    attempts = attempts - CASE WHEN suspect AND attempts > 0 THEN 1 ELSE 0 END
FROM found f WHERE d.event_id = f.event_id AND d.task_id = f.task_id
"""

# A queue that its last consumer leaves in good order expires from then on; a second more, as the
# broker counts by its own clock.
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

# A router that dies between a commit and its announcement leaves events that nobody was told of. It
# lived for a lease before its own was over, at most: what was first announced then, by whomever, and
# is not settled yet is announced again. Found by the index on due_at, a first wait later.
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

# Also those of routers that are not known at all.
_FREE = f"""
WITH found AS MATERIALIZED (
    SELECT event_id, task_id FROM deliveries
    WHERE state = 2 AND (leased_by IS NULL OR leased_by NOT IN (
        SELECT router_id FROM routers WHERE NOT ({_DEAD})))
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = 1, due_at = now(), leased_by = NULL, since = now(), suspect = true
FROM found f WHERE d.event_id = f.event_id AND d.task_id = f.task_id
"""

_FORGET = f"DELETE FROM routers WHERE {_DEAD} AND lease_until <= %(until)s"


class Leases:
    """The part of `ports.store.EngineStore` by which leases end."""

    _pool: Pool

    async def leave(self, router_id: str) -> None:
        async with connection_of(self._pool) as connection:
            portion = GIVEN_BACK_AT_ONCE
            while portion == GIVEN_BACK_AT_ONCE:
                given = await connection.execute(_GIVE_BACK, {"id": router_id, "limit": portion})
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
                # Not one that died just now, after the others' were looked for.
                await connection.execute(_FORGET, {"id": router_id, "until": row[0]})
        return BrokenLeases(deliveries, events, more)
