"""The state of the installation, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waystation_core.ports.store import RouterFact, SystemFacts
from waystation_core.store import counts, states
from waystation_core.store.connections import Connection
from waystation_core.store.membership import pools_of

COUNTED = 1_000_001
"""More of one kind are not counted."""

_SYSTEM = f"""
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM outbox q {{in_namespace}} LIMIT {COUNTED}) o),
    (SELECT count(*) FROM (
        SELECT 1 FROM deliveries WHERE (namespace = %(namespace)s) IS TRUE LIMIT {COUNTED}) d),
    (SELECT count(*) FROM (
        SELECT 1 FROM dead_letters q {{in_namespace}} {{also}} q.state = {states.OPEN_LETTER}
        LIMIT {COUNTED}) l)
"""
# Alone, a namespace has all rows, and nothing need be looked up.
_IN_NAMESPACE = """JOIN workflow_instances i ON i.key = q.instance_key
    WHERE (i.namespace = %(namespace)s) IS TRUE"""
_SYSTEM_OF_SEVERAL = _SYSTEM.format(in_namespace=_IN_NAMESPACE, also="AND")
_SYSTEM_OF_ONE = _SYSTEM.format(in_namespace="", also="WHERE")
_SEVERAL = "SELECT count(*) > 1 FROM (SELECT FROM namespaces LIMIT 2) n"

_FIRST = 1_000
"""Events by id, which are in the order in which they were raised, of which the oldest one is taken."""

# What waits for an operator or for a result from elsewhere says nothing about the engine, and would
# hide what does. A delayed event was raised long before it began to wait, so the first one by id need
# not be the oldest; but of the first thousand one is as good as.
_OLDEST = f"""
SELECT o.event_id::text, extract(epoch FROM now() - o.since)::float8, i.workflow_instance_id FROM (
    (SELECT event_id, instance_key, created_at AS since FROM (
        SELECT q.* FROM outbox q {{in_namespace}} ORDER BY q.event_id LIMIT {_FIRST}
     ) f ORDER BY created_at LIMIT 1)
    UNION ALL
    (SELECT e.event_id, e.instance_key, GREATEST(e.created_at, e.deliver_at) AS since
     FROM (
        SELECT event_id FROM deliveries
        WHERE state NOT IN ({states.HELD}, {states.DEAD}, {states.PENDING})
          {{of_namespace}}
        ORDER BY event_id LIMIT {_FIRST}
     ) f JOIN events e ON e.event_id = f.event_id
     ORDER BY since LIMIT 1)
) o JOIN workflow_instances i ON i.key = o.instance_key ORDER BY o.since LIMIT 1
"""

_OLDEST_OF_SEVERAL = _OLDEST.format(
    in_namespace=_IN_NAMESPACE, of_namespace="AND (namespace = %(namespace)s) IS TRUE"
)
OLDEST = _OLDEST.format(in_namespace="", of_namespace="")
"""Of the whole installation."""


async def system_facts(connection: Connection, namespace: str) -> SystemFacts:
    """See `ports.store.QueryStore.system`."""
    named = {"namespace": namespace}
    several = await (await connection.execute(_SEVERAL)).fetchone()
    of_several = several is not None and several[0]
    cursor = await connection.execute(_SYSTEM_OF_SEVERAL if of_several else _SYSTEM_OF_ONE, named)
    numbers = await cursor.fetchone()
    workflows = await counts.instances(connection, namespace)
    cursor = await connection.execute(_OLDEST_OF_SEVERAL if of_several else OLDEST, named)
    oldest = await cursor.fetchone()
    cursor = await connection.execute(
        "SELECT router_id::text, pool, host, started_at, "
        "extract(epoch FROM lease_until - now())::float8, calls_in_flight, "
        "results_committed, events_announced, events_continued, report FROM routers WHERE lease_until > now() "
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
        routers=tuple(RouterFact(*row[:9]) for row in routers),
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
            _is_unreachable([row[9].get(handler) for row in routers]) for handler in handlers
        ),
        pools=pools,
    )


def _is_unreachable(reports: Sequence[Any]) -> bool:
    reported = [report.get("reachable") for report in reports if report]
    return bool(reported) and False in reported and True not in reported
