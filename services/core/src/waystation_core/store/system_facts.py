"""The installation at one moment, as operators ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waystation_core.domain.model import DeliveryState
from waystation_core.ports.store import RouterFact, SystemFacts
from waystation_core.store import counting
from waystation_core.store.membership import pools_of
from waystation_core.store.pool import Connection

_SYSTEM = """
SELECT
    (SELECT count(*) FROM outbox o),
    (SELECT count(*) FROM deliveries),
    (SELECT count(*) FROM dead_letters WHERE state = 1)
"""

# What waits for an operator or for a result from elsewhere says nothing about the engine, and would
# hide what does.
_OLDEST = f"""
SELECT o.event_id::text, extract(epoch FROM now() - o.since)::float8, i.workflow_instance_id FROM (
    (SELECT event_id, instance_key, created_at AS since FROM outbox ORDER BY created_at LIMIT 1)
    UNION ALL
    (SELECT e.event_id, e.instance_key, GREATEST(e.created_at, e.deliver_at) AS since
     FROM deliveries d JOIN events e ON e.event_id = d.event_id
     WHERE d.state NOT IN ({int(DeliveryState.HELD)}, {int(DeliveryState.DEAD)},
         {int(DeliveryState.PENDING)})
     ORDER BY since LIMIT 1)
) o JOIN workflow_instances i ON i.key = o.instance_key ORDER BY o.since LIMIT 1
"""


async def system_facts(connection: Connection, namespace: str) -> SystemFacts:
    """See `ports.store.QueryStore.system`."""
    cursor = await connection.execute(_SYSTEM)
    numbers = await cursor.fetchone()
    workflows = await counting.instances(connection, namespace)
    cursor = await connection.execute(_OLDEST)
    oldest = await cursor.fetchone()
    cursor = await connection.execute(
        "SELECT router_id::text, pool, host, started_at, "
        "extract(epoch FROM lease_until - now())::float8, calls_in_flight, "
        "results_committed, bindings, report FROM routers WHERE lease_until > now() "
        "ORDER BY router_id"
    )
    routers = await cursor.fetchall()
    pools = await pools_of(connection)
    cursor = await connection.execute(
        "SELECT handler_id::text FROM handlers WHERE namespace = %s "
        "AND (lease_until IS NULL OR lease_until > now())",
        (namespace,),
    )
    handlers = [row[0] for row in await cursor.fetchall()]
    assert numbers is not None
    return SystemFacts(
        routers=tuple(RouterFact(*(*row[:7], tuple(row[7] or ()))) for row in routers),
        outbox_size=numbers[0],
        deliveries=numbers[1],
        oldest_unsettled_event_id=oldest[0] if oldest is not None else None,
        oldest_unsettled_age=oldest[1] if oldest is not None else None,
        oldest_unsettled_instance_id=oldest[2] if oldest is not None else None,
        dead_letters=numbers[2],
        workflows_by_status=workflows.by_status,
        idle_workflows=workflows.idle,
        workflows_estimated=workflows.estimated,
        handlers=len(handlers),
        unreachable_handlers=sum(
            _is_unreachable([row[8].get(handler) for row in routers]) for handler in handlers
        ),
        pools=pools,
    )


def _is_unreachable(reports: Sequence[Any]) -> bool:
    told = [report.get("reachable") for report in reports if report]
    return bool(told) and False in told and True not in told
