"""The number of instances, in bounded time: nothing is ever deleted, so there may be many millions.

The newest ones, where nearly everything open is, are counted. Older ones are estimated from a sample of the
table's pages, like a planner does, but by status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from waystation_core.store.connections import Connection
from waystation_domain.model import Status

NEWEST = 50_000
"""How many are counted exactly."""
_PAGES = 2_000
"""Pages of 8 KiB that are sampled for the older ones: accurate to a few percent of a large number."""

_NEWEST_ONES = """
SELECT n.status, n.is_idle, count(*) FILTER (WHERE n.namespace = %(namespace)s), min(n.key) FROM (
    SELECT i.key, i.status, i.idle IS NOT NULL AS is_idle, i.namespace FROM workflow_instances i
    ORDER BY i.key DESC LIMIT %(newest)s
) n GROUP BY 1, 2
"""

# The same pages each time, so that repeated numbers do not flicker.
_OLDER_ONES = """
SELECT s.status, s.idle IS NOT NULL, count(*)
FROM workflow_instances s TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (1)
WHERE s.key < %(before)s AND s.namespace = %(namespace)s GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Instances of one namespace."""

    by_status: Mapping[Status, int]
    """All statuses."""
    idle: int
    estimated: bool
    """Whether the numbers include an estimate of older ones."""


async def instances(connection: Connection, namespace: str) -> Counts:
    """Counts the instances, or estimates them if there are more than NEWEST."""
    by_status = dict.fromkeys(Status, 0)
    idle = 0
    cursor = await connection.execute(_NEWEST_ONES, {"newest": NEWEST, "namespace": namespace})
    newest = await cursor.fetchall()
    for status, is_idle, number, _ in newest:
        by_status[Status(status)] += number
        idle += number if is_idle else 0
    before = min((row[3] for row in newest), default=0)
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT 1 FROM workflow_instances WHERE key < %s), "
        "pg_relation_size('workflow_instances') / 8192",
        (before,),
    )
    row = await cursor.fetchone()
    assert row is not None
    has_older, pages = row
    if not has_older:
        return Counts(by_status, idle, estimated=False)
    share = min(1.0, _PAGES / max(pages, 1))
    cursor = await connection.execute(
        _OLDER_ONES, {"percent": 100 * share, "before": before, "namespace": namespace}
    )
    for status, is_idle, sampled in await cursor.fetchall():
        number = round(sampled / share)
        by_status[Status(status)] += number
        idle += number if is_idle else 0
    return Counts(by_status, idle, estimated=True)
