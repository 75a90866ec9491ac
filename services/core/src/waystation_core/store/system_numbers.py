"""The numbers of the whole installation for metrics: of all namespaces, each in bounded time."""

from __future__ import annotations

from waystation_core.ports.store import SystemNumbers
from waystation_core.store import states
from waystation_core.store.connections import Connection
from waystation_core.store.membership import pools_of
from waystation_core.store.system_facts import COUNTED, OLDEST
from waystation_domain.model import DeliveryState, Status

NEWEST = 50_000
"""Of instances that are not COMPLETED, FAILED ones too, so many are looked at."""

_NUMBERS = f"""
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT {COUNTED}) o),
    (SELECT count(*) FROM (SELECT 1 FROM dead_letters WHERE state = {states.OPEN_LETTER} LIMIT {COUNTED}) l)
"""

_DELIVERIES = f"""
SELECT d.state, count(*) FROM (SELECT state FROM deliveries LIMIT {COUNTED}) d GROUP BY 1
"""

_OPEN = f"""
SELECT n.status, count(*), count(*) FILTER (WHERE n.is_idle) FROM (
    SELECT status, idle IS NOT NULL AS is_idle FROM workflow_instances
    WHERE status <> {states.COMPLETED} ORDER BY created_at DESC, key DESC LIMIT {NEWEST}
) n WHERE {states.one_of("n.status", states.OPEN)} GROUP BY 1
"""


async def system_numbers(connection: Connection) -> SystemNumbers:
    """See `ports.store.QueryStore.numbers`."""
    outbox, dead_letters = (await (await connection.execute(_NUMBERS)).fetchall())[0]
    deliveries = dict.fromkeys(DeliveryState, 0)
    for state, number in await (await connection.execute(_DELIVERIES)).fetchall():
        deliveries[DeliveryState(state)] = number
    by_status = {status: 0 for status in Status if status.is_open}
    idle = 0
    for status, number, of_them_idle in await (await connection.execute(_OPEN)).fetchall():
        by_status[Status(status)] = number
        idle += of_them_idle
    oldest = await (await connection.execute(OLDEST)).fetchone()
    return SystemNumbers(
        outbox=outbox,
        deliveries=deliveries,
        dead_letters=dead_letters,
        open_workflows=by_status,
        idle_workflows=idle,
        oldest_age=oldest[1] if oldest is not None else 0.0,
        routers={pool.name: pool.routers for pool in await pools_of(connection)},
    )
