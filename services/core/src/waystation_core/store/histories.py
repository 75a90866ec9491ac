"""Portions of an instance's history: bounded by number and by size, wherever they are read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import psycopg

from waystation_core.ports.store import HistoryFilter, HistoryPortion, HistoryTail
from waystation_core.store import rows, states
from waystation_core.store.connections import ConnectionPool, fetch
from waystation_domain.model import Status

_PORTION_BYTES = 1024 * 1024
"""As stored, compressed. Entries are read up to the one that exceeds it."""

_LARGE: tuple[str, ...] = ("change", "detail", "effects", "error")
"""Columns of an entry that may be large. Their sizes are known without reading them."""


def within_bounds(where: str, order: str, large: Sequence[str] = _LARGE) -> str:
    """A query for the rows `n` of history that meet the condition, in this order: at most `limit` (a
    parameter), and no more than a portion may hold of these columns, but at least one. `counted` is their
    number without the bound of size."""
    size = " + ".join(f"COALESCE(pg_column_size(n.{column}), 0)" for column in large)
    return f"""SELECT * FROM (
        SELECT n.*, sum({size}) OVER (ORDER BY {order}) - ({size}) AS bytes_before,
            count(*) OVER () AS counted
        FROM (SELECT * FROM history n WHERE {where} ORDER BY {order} LIMIT %(limit)s) n
    ) s WHERE s.bytes_before < {_PORTION_BYTES}"""


# By the primary key, whatever else is asked: the entries of an instance are limited. As text, because
# `within_bounds`, which the constant statement of tails uses too, needs text.
_CONDITIONS = {
    "key": "n.instance_key = %(key)s",
    "first": "n.sequence >= %(first)s",
    "last": "n.sequence <= %(last)s",
    "processed_by": "n.processed_by = ANY(%(processed_by)s)",
    "event_types": "n.event_type = ANY(%(event_types)s)",
    "results": "n.result = ANY(%(results)s)",
    "actions": "n.action = ANY(%(actions)s)",
}


async def portion(
    connection: psycopg.AsyncConnection[Any],
    key: int,
    filter: HistoryFilter,
    *,
    newest_first: bool,
    with_change: bool,
    limit: int,
) -> HistoryPortion:
    """The first entries that match a filter, see `ports.store.QueryStore.history`."""
    values: dict[str, Any] = {
        "key": key,
        "first": filter.from_sequence,
        "last": filter.to_sequence,
        "processed_by": list(filter.processed_by),
        "event_types": list(filter.event_types),
        "results": [int(result) for result in filter.results],
        "actions": list(filter.actions),
    }
    where = " AND ".join(
        _CONDITIONS[name] for name, value in values.items() if value not in (None, [])
    )
    direction = " DESC" if newest_first else ""
    columns, large = rows.HISTORY_COLUMNS, _LARGE
    if not with_change:
        columns = columns.but({"h.change": "NULL::json"})
        large = tuple(column for column in _LARGE if column != "change")
    bounded = within_bounds(where, f"n.sequence{direction}", large)
    cursor = await connection.execute(
        f"SELECT {columns}, h.counted FROM ({bounded}) h ORDER BY h.sequence{direction}",
        {**values, "limit": limit + 1},
    )
    found = await cursor.fetchall()
    entries = [rows.stored_entry(row) for row in found[:limit]]
    return HistoryPortion(entries, more=bool(found) and found[0][-1] > len(entries))


# OFFSET 0: each is looked up separately. Without statistics the planner believes that a namespace has few
# instances, and would read all of it. An instance that has ended is settled if nothing of it is open, or only
# deliveries that wait for an operator (HELD and DEAD).
_TAILS = f"""
SELECT w.id, w.after, i.status, i.version,
    NOT {states.one_of("i.status", states.OPEN)} AND i.timers = 0 AND (i.unsettled = 0 OR i.unsettled = (
        SELECT count(*) FROM (
            SELECT d.event_id FROM deliveries d WHERE d.instance_key = i.key
            GROUP BY d.event_id HAVING bool_and({states.one_of("d.state", states.FOR_AN_OPERATOR)})
        ) o WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.event_id = o.event_id)
    )),
    {rows.HISTORY_COLUMNS}
FROM unnest(%(ids)s::text[], %(after)s::int[]) AS w(id, after)
CROSS JOIN LATERAL (
    SELECT * FROM workflow_instances
    WHERE namespace = %(namespace)s AND workflow_instance_id = w.id OFFSET 0
) i
LEFT JOIN LATERAL (
    {within_bounds("n.instance_key = i.key AND n.sequence > w.after", "n.sequence")}
) h ON true
ORDER BY w.id, w.after, h.sequence
"""


async def tails(
    pool: ConnectionPool, places: Sequence[tuple[str, int]], *, limit: int, namespace: str
) -> dict[tuple[str, int], HistoryTail]:
    """See `ports.store.QueryStore.tails`."""
    found = await fetch(
        pool,
        _TAILS,
        {
            "ids": [id for id, _ in places],
            "after": [after for _, after in places],
            "limit": limit,
            "namespace": namespace,
        },
    )
    tails: dict[tuple[str, int], HistoryTail] = {}
    for place, grouped in groupby(found, key=lambda row: (row[0], row[1])):
        same = list(grouped)
        _, _, status, version, is_settled = same[0][:5]
        tails[place] = HistoryTail(
            Status(status),
            version,
            bool(is_settled),
            tuple(rows.stored_entry(row[5:]) for row in same if row[5] is not None),
        )
    return tails
