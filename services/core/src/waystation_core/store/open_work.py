"""What is unsettled and what is due later in an instance: the facts of an explanation. Of each kind the
oldest, and the number of the others, which are only counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from waystation_core.ports.store import (
    DeliveryFact,
    FirstFew,
    LeaseState,
    OpenWork,
    OutboxFact,
    TimerFact,
)
from waystation_core.store import rows, states
from waystation_core.store.connections import Connection
from waystation_core.store.dead_letter_rows import dead_letter_fact
from waystation_domain.model import TimerKind

RAISED = """history h CROSS JOIN LATERAL unnest(h.raised) WITH ORDINALITY AS r(event_id, at)"""
"""Events of an instance are found through its history, in the order in which they were raised."""

_EVENT = rows.EVENT_COLUMNS.but(rows.UNREAD_PAYLOAD)

_OUTBOX_OF = f"""
SELECT n.others, {_EVENT}, n.created_at, n.due_at, n.announcements
FROM (
    SELECT o.*, h.sequence, r.at, count(*) OVER () AS others FROM {RAISED}
    JOIN outbox o ON o.event_id = r.event_id
    WHERE h.instance_key = %(key)s ORDER BY h.sequence, r.at LIMIT %(limit)s
) n JOIN events e ON e.event_id = n.event_id ORDER BY n.sequence, n.at
"""

COMPARED_WITHIN = 10.0
"""Seconds. A router with leased deliveries compares every 2 s: after a longer time nobody knows what it has
in hand."""

_DELIVERIES_OF = f"""
SELECT d.others, {rows.DELIVERY_COLUMNS}, {_EVENT}, d.since, d.due_at,
    CASE WHEN d.state <> {states.LEASED} THEN NULL
         WHEN (r.lease_until > now()) IS NOT TRUE THEN '{LeaseState.LAPSED.value}'
         WHEN d.since < r.in_hand_before AND r.compared_at > now() - interval '{COMPARED_WITHIN:g} s'
         THEN '{LeaseState.IN_HAND.value}' ELSE '{LeaseState.NOT_COMPARED.value}' END,
    CASE WHEN d.state = {states.LEASED} THEN (
        SELECT reported.value->>'address' FROM json_each(r.report) reported
        WHERE (reported.value->'calls')::jsonb @>
            jsonb_build_array(jsonb_build_array(d.event_id::text, d.task_id)) LIMIT 1) END
FROM (
    SELECT *, count(*) OVER () AS others FROM deliveries
    WHERE instance_key = %(key)s AND state <> {states.DEAD}
    ORDER BY since, event_id, task_id LIMIT %(limit)s
) d JOIN events e ON e.event_id = d.event_id
    LEFT JOIN routers r ON r.router_id = d.leased_by
ORDER BY d.since, d.event_id, d.task_id
"""

# Refs of this kind are event ids, which grow with time.
_TIMED_OF = f"""
SELECT t.others, t.kind, t.ref, t.due_at, {_EVENT}
FROM (
    SELECT *, count(*) OVER () AS others FROM timers
    WHERE instance_key = %(key)s AND kind = {states.EVENT_TIMER} ORDER BY ref LIMIT %(limit)s
) t JOIN events e ON e.event_id = t.ref::uuid ORDER BY t.ref
"""

_HAS_DEADLINE = (
    f"SELECT 1 FROM timers WHERE instance_key = %(key)s AND kind = {states.DEADLINE_TIMER}"
)

_LETTERS_OF = f"""
SELECT l.others, {_EVENT}, l.dead_letter_id::text, l.task_id, i.workflow_instance_id,
    i.workflow_type, l.attempts, l.error, l.on_failure, l.state, l.created_at, l.resolved_at,
    {states.RETRYABLE}
FROM (
    SELECT *, count(*) OVER () AS others FROM dead_letters
    WHERE instance_key = %(key)s AND state = {states.OPEN_LETTER}
    ORDER BY created_at, dead_letter_id LIMIT %(limit)s
) l JOIN events e ON e.event_id = l.event_id JOIN workflow_instances i ON i.key = l.instance_key
ORDER BY l.created_at, l.dead_letter_id
"""

T = TypeVar("T")


async def open_work(connection: Connection, key: int, limit: int) -> OpenWork:
    """See `ports.store.QueryStore.open_work`."""

    async def some(query: str, fact: Callable[[rows.Row], T]) -> FirstFew[T]:
        cursor = await connection.execute(query, {"key": key, "limit": limit})
        found = await cursor.fetchall()
        return FirstFew([fact(row[1:]) for row in found], found[0][0] - len(found) if found else 0)

    cursor = await connection.execute(_HAS_DEADLINE, {"key": key})
    return OpenWork(
        events=await some(_OUTBOX_OF, _waiting),
        deliveries=await some(_DELIVERIES_OF, _delivery),
        delayed=await some(_TIMED_OF, _timer),
        dead_letters=await some(_LETTERS_OF, dead_letter_fact),
        has_deadline=await cursor.fetchone() is not None,
    )


def _waiting(row: rows.Row) -> OutboxFact:
    return OutboxFact(rows.event(row), *row[rows.EVENT_WIDTH :])


def _delivery(row: rows.Row) -> DeliveryFact:
    since, due_at, lease, endpoint = row[rows.DELIVERY_WIDTH + rows.EVENT_WIDTH :]
    return DeliveryFact(
        rows.delivery(row),
        rows.event(row[rows.DELIVERY_WIDTH :]),
        since,
        due_at,
        None if lease is None else LeaseState(lease),
        endpoint or "",
    )


def _timer(row: rows.Row) -> TimerFact:
    return TimerFact(TimerKind(row[0]), row[1], row[2], rows.event(row[3:]))
