"""Announcements that may be lost: by the broker, or with a pool's queue. Recorded at once, and brought back
in portions."""

from __future__ import annotations

from waystation_core.ports.store import MadeDue
from waystation_core.store import event_types
from waystation_core.store.connections import ConnectionPool, connection_of
from waystation_domain.pools import EVERY_TYPE, EventTypes

BROKER = "broker"
"""The cause of a loss in the broker."""

_POOLS_AT_ONCE = 100
_START = "'00000000-0000-0000-0000-000000000000'::uuid"

# An earlier loss that is not brought back yet is included: the later time covers both.
_AGAIN = f"""ON CONFLICT (cause) DO UPDATE SET walked_to = {_START}, bindings = excluded.bindings,
    announced_before = GREATEST(l.announced_before, excluded.announced_before)"""

_NOTE = f"""
INSERT INTO lost_announcements AS l (cause, announced_before, walked_to)
VALUES (%(cause)s, now() - make_interval(secs => %(ago)s), {_START})
{_AGAIN}
"""

_END_LAPSED = f"""
WITH found AS MATERIALIZED (
    SELECT pool FROM pools WHERE lapses_at <= now()
    ORDER BY pool LIMIT {_POOLS_AT_ONCE} FOR UPDATE SKIP LOCKED
), ended AS (
    DELETE FROM pools p USING found f WHERE p.pool = f.pool RETURNING p.pool, p.bindings
), noted AS (
    INSERT INTO lost_announcements AS l (cause, announced_before, bindings, walked_to)
    SELECT 'pool ' || pool, now(), bindings, {_START} FROM ended
    {_AGAIN}
)
SELECT pool FROM ended ORDER BY pool
"""

_OLDEST_LOSS = """
SELECT cause, announced_before, bindings, walked_to FROM lost_announcements
ORDER BY announced_before LIMIT 1 FOR UPDATE SKIP LOCKED
"""

# Read by key, so that a portion has the same size whatever is in it, and rows that were announced again
# meanwhile are read once. Rows locked by others are being settled, or announced again.
_MAKE_DUE = """
WITH walked AS MATERIALIZED (
    SELECT event_id, due_at, announced_at FROM outbox WHERE event_id > %(walked_to)s
    ORDER BY event_id LIMIT %(limit)s
), found AS MATERIALIZED (
    SELECT o.event_id FROM walked w JOIN outbox o ON o.event_id = w.event_id
    WHERE w.due_at > now() AND w.announced_at < %(before)s
      AND o.due_at > now() AND o.announced_at < %(before)s {among}
    FOR UPDATE OF o SKIP LOCKED
), made_due AS (
    UPDATE outbox o SET due_at = now() FROM found f WHERE o.event_id = f.event_id
    RETURNING o.event_id
)
SELECT (SELECT count(*) FROM made_due), (SELECT count(*) FROM walked),
    (SELECT event_id FROM walked ORDER BY event_id DESC LIMIT 1)
"""


class Losses:
    """Implements bringing back losses for `ports.store.RouterStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def note_lost(self, seconds_ago: float) -> None:
        async with connection_of(self._pool) as connection:
            await connection.execute(_NOTE, {"cause": BROKER, "ago": seconds_ago})

    async def end_lapsed_pools(self) -> list[str]:
        async with connection_of(self._pool) as connection:
            ended = await (await connection.execute(_END_LAPSED)).fetchall()
        return [pool for (pool,) in ended]

    async def make_lost_due(self, limit: int) -> MadeDue | None:
        async with connection_of(self._pool) as connection, connection.transaction():
            loss = await (await connection.execute(_OLDEST_LOSS)).fetchone()
            if loss is None:
                return None
            cause, before, bindings, walked_to = loss
            types = EVERY_TYPE if bindings is None else EventTypes(tuple(bindings), but=False)
            cursor = await connection.execute(
                _MAKE_DUE.format(among=event_types.among(types, "o")),
                {
                    "walked_to": walked_to,
                    "before": before,
                    "limit": limit,
                    **event_types.parameters(types),
                },
            )
            row = await cursor.fetchone()
            assert row is not None
            events, walked, last = row
            if walked < limit:
                await connection.execute(
                    "DELETE FROM lost_announcements WHERE cause = %s", (cause,)
                )
            else:
                await connection.execute(
                    "UPDATE lost_announcements SET walked_to = %s WHERE cause = %s", (last, cause)
                )
        return MadeDue(cause, events, more=walked == limit)
