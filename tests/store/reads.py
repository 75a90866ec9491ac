"""What Postgres reads for a piece of work, by its own count."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from store.instances import Engine
from support.waiting import eventually

from waystation_core.store.connections import open_connections

NAME = "counted"


@dataclass(frozen=True)
class Reads:
    """Of one table."""

    rows: int
    """Entries of its indexes, and rows where it was read whole."""
    whole: int
    """How often it was read whole."""


async def reads_of(
    engine: Engine, url: str, work: Callable[[Engine], Awaitable[object]]
) -> dict[str, Reads]:
    """By table. The work has connections of its own: Postgres has counted what a connection read once that
    is closed. `engine` looks at the same database."""
    before = await _counted(engine)
    connections = open_connections(url, size=2, name=NAME)
    await connections.open(wait=True)
    await work(Engine(connections))
    await connections.close()

    async def connected() -> int:
        (row,) = await engine.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s", f"{NAME}%"
        )
        return int(row[0])

    await eventually(
        connected, until=lambda number: number == 0, what="the connections to be closed"
    )
    return {
        table: Reads(found.rows - before[table].rows, found.whole - before[table].whole)
        for table, found in (await _counted(engine)).items()
    }


async def _counted(engine: Engine) -> dict[str, Reads]:
    found = await engine.rows(
        "SELECT t.relname, t.seq_tup_read + coalesce(sum(i.idx_tup_read), 0)::bigint, t.seq_scan "
        "FROM pg_stat_user_tables t LEFT JOIN pg_stat_user_indexes i USING (relid) "
        "GROUP BY t.relname, t.seq_tup_read, t.seq_scan"
    )
    return {table: Reads(rows, whole) for table, rows, whole in found}
