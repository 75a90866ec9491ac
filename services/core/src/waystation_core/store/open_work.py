"""What of an instance is not settled, and what is due later: the facts of an explanation."""

from __future__ import annotations

from waystation_core.domain.model import TimerKind
from waystation_core.ports.store import DeliveryFact, OutboxFact, TimerFact
from waystation_core.store import rows
from waystation_core.store.pool import Connection

RAISED = """history h CROSS JOIN LATERAL unnest(h.raised) WITH ORDINALITY AS r(event_id, at)"""
"""Events of an instance are found through what its history raised, in that order."""

_OUTBOX_OF = f"""
SELECT {rows.EVENT_COLUMNS}, o.created_at, o.due_at, o.announcements
FROM {RAISED}
JOIN outbox o ON o.event_id = r.event_id
JOIN events e ON e.event_id = r.event_id
WHERE h.instance_key = %s ORDER BY h.sequence, r.at
"""

_DELIVERIES_OF = f"""
SELECT {rows.DELIVERY_COLUMNS}, {rows.EVENT_COLUMNS}, d.since, d.due_at
FROM deliveries d JOIN events e ON e.event_id = d.event_id
WHERE d.instance_key = %s ORDER BY d.since, d.event_id, d.task_id
"""

# A ref is an event's id for these kinds only; the cast must not meet any other.
_TIMERS_OF = f"""
SELECT t.kind, t.ref, t.due_at, {rows.EVENT_COLUMNS}
FROM timers t LEFT JOIN events e ON e.event_id =
    CASE WHEN t.kind IN ({int(TimerKind.EVENT)}, {int(TimerKind.EXPIRY)}) THEN t.ref::uuid END
WHERE t.instance_key = %s ORDER BY t.due_at, t.kind, t.ref
"""


async def open_work(
    connection: Connection, key: int
) -> tuple[list[OutboxFact], list[DeliveryFact], list[TimerFact]]:
    """See `ports.store.QueryStore.open_work`."""
    cursor = await connection.execute(_OUTBOX_OF, (key,), prepare=False)
    waiting = [
        OutboxFact(rows.event(row), *row[rows.EVENT_WIDTH :]) for row in await cursor.fetchall()
    ]
    cursor = await connection.execute(_DELIVERIES_OF, (key,), prepare=False)
    width = rows.DELIVERY_WIDTH + rows.EVENT_WIDTH
    deliveries = [
        DeliveryFact(rows.delivery(row), rows.event(row[rows.DELIVERY_WIDTH :]), *row[width:])
        for row in await cursor.fetchall()
    ]
    cursor = await connection.execute(_TIMERS_OF, (key,), prepare=False)
    timers = [
        TimerFact(TimerKind(row[0]), row[1], row[2], rows.event(row[3:]) if row[3] else None)
        for row in await cursor.fetchall()
    ]
    return waiting, deliveries, timers
