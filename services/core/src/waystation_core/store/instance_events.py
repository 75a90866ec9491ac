"""Events of an instance. They are found through `raised` of its history, which is also their order; so the hot
tables need no index for it."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_core.ports.store import StoredEvent
from waystation_core.store import rows, states
from waystation_core.store.connections import ConnectionPool, fetch
from waystation_core.store.open_work import RAISED
from waystation_domain.model import DEFAULT_NAMESPACE, Event
from waystation_domain.stored import event_state

# An event is handled after it was raised, so entries before the first one that raised an event of the page
# are not needed.
_EVENTS = f"""
WITH page AS (
    SELECT r.event_id, h.sequence, r.at FROM {RAISED}
    WHERE h.instance_key = %(key)s ORDER BY h.sequence, r.at OFFSET %(after)s LIMIT %(limit)s
), outcomes AS (
    SELECT event_id, array_agg(result ORDER BY sequence) AS results FROM history
    WHERE instance_key = %(key)s AND sequence >= (SELECT min(sequence) FROM page)
      AND event_id IN (SELECT event_id FROM page) AND action IS NULL GROUP BY event_id
)
SELECT {rows.EVENT_COLUMNS},
    EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
        OR EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.event_id)
        OR EXISTS (SELECT 1 FROM timers t WHERE t.instance_key = e.instance_key
            AND t.kind = {states.EVENT_TIMER} AND t.ref = e.event_id::text),
    c.results
FROM page
JOIN events e ON e.event_id = page.event_id
LEFT JOIN outcomes c ON c.event_id = page.event_id
ORDER BY page.sequence, page.at
"""


class InstanceEvents:
    """Implements the reading of events for `ports.store.QueryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def events(
        self, key: int, *, after: int | None = None, limit: int = 50
    ) -> list[StoredEvent]:
        found = await fetch(self._pool, _EVENTS, {"key": key, "after": after or 0, "limit": limit})
        return [
            StoredEvent(
                rows.event(row), event_state(row[rows.EVENT_WIDTH], row[rows.EVENT_WIDTH + 1] or ())
            )
            for row in found
        ]

    async def events_named(self, key: int, event_ids: Sequence[str]) -> dict[str, Event]:
        found = await fetch(
            self._pool,
            f"SELECT {rows.EVENT_COLUMNS} FROM unnest(%s::uuid[]) AS f(event_id) "
            "JOIN events e ON e.event_id = f.event_id WHERE e.instance_key = %s",
            (list(event_ids), key),
        )
        return {row[0]: rows.event(row) for row in found}

    async def instance_of_event(
        self, event_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int | None:
        found = await fetch(
            self._pool,
            "SELECT e.instance_key FROM events e JOIN workflow_instances i ON i.key = e.instance_key "
            "WHERE e.event_id = %s::uuid AND i.namespace = %s",
            (event_id, namespace),
        )
        return found[0][0] if found else None
