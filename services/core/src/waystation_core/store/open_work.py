"""What of an instance is not settled, and what is due later: the facts of an explanation."""

from __future__ import annotations

from waystation_core.domain.model import DeliveryState, TimerKind
from waystation_core.ports.store import DeliveryFact, LeaseState, OutboxFact, TimerFact
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

COMPARED_WITHIN = 10.0
"""Seconds. A router that has deliveries leased compares every 2 s: of one that has not for longer, nobody
knows what it has in hand."""

_DELIVERIES_OF = f"""
SELECT {rows.DELIVERY_COLUMNS}, {rows.EVENT_COLUMNS}, d.since, d.due_at,
    CASE WHEN d.state <> {int(DeliveryState.LEASED)} THEN NULL
         WHEN (r.lease_until > now()) IS NOT TRUE THEN '{LeaseState.LAPSED.value}'
         WHEN d.since < r.in_hand_before AND r.compared_at > now() - interval '{COMPARED_WITHIN:g} s'
         THEN '{LeaseState.IN_HAND.value}' ELSE '{LeaseState.NOT_COMPARED.value}' END
FROM deliveries d JOIN events e ON e.event_id = d.event_id
    LEFT JOIN routers r ON r.router_id = d.leased_by
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
        DeliveryFact(
            rows.delivery(row),
            rows.event(row[rows.DELIVERY_WIDTH :]),
            since,
            due_at,
            None if lease is None else LeaseState(lease),
        )
        for row in await cursor.fetchall()
        for since, due_at, lease in [row[width:]]
    ]
    cursor = await connection.execute(_TIMERS_OF, (key,), prepare=False)
    timers = [
        TimerFact(TimerKind(row[0]), row[1], row[2], rows.event(row[3:]) if row[3] else None)
        for row in await cursor.fetchall()
    ]
    return waiting, deliveries, timers
