"""Portions of an instance's history: bounded by number and by size, wherever it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from waystation_core.ports.store import HistoryFilter, HistoryPortion
from waystation_core.store import rows
from waystation_core.store.conditions import Conditions

_PORTION_BYTES = 1024 * 1024
"""As stored, compressed. Entries are read up to the one that passes it."""

_LARGE: tuple[str, ...] = ("change", "detail", "effects", "error")
"""What of an entry may be large. Sizes are known without reading it."""


def within_bounds(where: str, order: str, large: Sequence[str] = _LARGE) -> str:
    """A query for the rows `n` of history that meet the condition, in this order: `limit` (a parameter) at
    most, and no more than a portion holds of these columns; the first one always. `counted` is how many there
    would be without the bound of size."""
    size = " + ".join(f"COALESCE(pg_column_size(n.{column}), 0)" for column in large)
    return f"""SELECT * FROM (
        SELECT n.*, sum({size}) OVER (ORDER BY {order}) - ({size}) AS bytes_before,
            count(*) OVER () AS counted
        FROM (SELECT * FROM history n WHERE {where} ORDER BY {order} LIMIT %(limit)s) n
    ) s WHERE s.bytes_before < {_PORTION_BYTES}"""


async def portion(
    connection: psycopg.AsyncConnection[Any],
    key: int,
    filter: HistoryFilter,
    *,
    newest_first: bool,
    with_change: bool,
    limit: int,
) -> HistoryPortion:
    """The first entries that a filter means, as `ports.store.QueryStore.history` has it."""
    where = Conditions(key=key, first=filter.from_sequence)
    # By the primary key, whatever else is asked: an instance has so many entries and no more.
    where.add("n.instance_key = %(key)s AND n.sequence >= %(first)s")
    if filter.to_sequence is not None:
        where.add("n.sequence <= %(last)s", last=filter.to_sequence)
    for column, wanted in (
        ("processed_by", filter.processed_by),
        ("event_type", filter.event_types),
        ("result", [int(result) for result in filter.results]),
        ("action", filter.actions),
    ):
        if wanted:
            where.add(f"n.{column} = ANY(%({column})s)", **{column: list(wanted)})
    direction = " DESC" if newest_first else ""
    columns, large = rows.HISTORY_COLUMNS, _LARGE
    if not with_change:
        columns = columns.but({"h.change": "NULL::json"})
        large = tuple(column for column in _LARGE if column != "change")
    bounded = within_bounds(str(where), f"n.sequence{direction}", large)
    cursor = await connection.execute(
        f"SELECT {columns}, h.counted FROM ({bounded}) h ORDER BY h.sequence{direction}",
        {**where.parameters, "limit": limit + 1},
    )
    found = await cursor.fetchall()
    entries = [rows.stored_entry(row) for row in found[:limit]]
    return HistoryPortion(entries, more=bool(found) and found[0][-1] > len(entries))
