"""A database on which the promises cannot be kept is refused at the start, all faults at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import psycopg
import pytest

from localservers.pgbouncer import PgBouncer
from localservers.postgres import PostgresServer
from waystation_core.store.connections import HOT_SESSION, QUESTION_SESSION
from waystation_core.store.fitness import UnfitDatabase, database_faults, require_fit
from waystation_core.store.migration import migrate


@pytest.fixture(scope="module")
def durable() -> Iterator[PostgresServer]:
    with PostgresServer(durable=True) as server:
        yield server


def database(server: PostgresServer, encoding: str) -> str:
    """The address of a new database with that encoding."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"  # type: ignore[arg-type]
        )
    return server.dsn(name)


async def test_one_that_lasts_and_holds_every_text_is_fit(durable: PostgresServer) -> None:
    await require_fit(durable.fresh_database(), connections=100, lasting=True)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_another_encoding_is_refused_before_anything_is_written(
    durable: PostgresServer, encoding: str
) -> None:
    url = database(durable, encoding)
    with pytest.raises(UnfitDatabase) as unfit:
        await migrate(url)
    assert f"encoding is {encoding}" in str(unfit.value)
    assert "ENCODING 'UTF8'" in str(unfit.value)
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


DROPPING = {"ignore_startup_parameters": "options"}


ALL = {**HOT_SESSION, **QUESTION_SESSION}


@pytest.mark.parametrize(
    ("pool_mode", "settings", "of_database", "fault"),
    [
        ("session", {}, {}, r"refuses settings of connections"),
        ("transaction", {}, {}, r"refuses settings of connections"),
        ("transaction", DROPPING, {}, r"drops settings .*enable_hashjoin.*statement_timeout"),
        # Those of the work are not those of questions.
        ("session", DROPPING, HOT_SESSION, r"drops settings .*\(enable_bitmapscan\)"),
        ("transaction", DROPPING, ALL, r"gives each transaction another connection"),
        ("session", DROPPING, ALL, None),
    ],
)
async def test_pgbouncer_is_refused_where_it_takes_from_connections_what_they_need(
    durable: PostgresServer,
    pool_mode: str,
    settings: Mapping[str, str],
    of_database: Mapping[str, str],
    fault: str | None,
) -> None:
    database = durable.fresh_database()
    with psycopg.connect(database, autocommit=True) as connection:
        for name, value in of_database.items():
            place = database.rpartition("/")[2]
            connection.execute(f"ALTER DATABASE {place} SET {name} = '{value}'")
    with PgBouncer(durable, pool_mode=pool_mode, settings=settings) as pgbouncer:
        url = pgbouncer.dsn(database)
        faults = await database_faults(url, connections=8, lasting=True)
        if fault is None:
            assert faults == []
            return
        (said,) = faults
        assert re.search(rf"PgBouncer, {fault}.*: let WAYSTATION_DATABASE_URL lead to Post", said)
        # Also by those that start before PgBouncer, and ask again.
        with pytest.raises(UnfitDatabase, match=re.escape(said)):
            await require_fit(url, connections=8)


async def test_all_faults_are_reported_at_once(durable: PostgresServer) -> None:
    settings = {"full_page_writes": "off", "synchronous_commit": "off", "max_connections": "20"}
    with PostgresServer(settings=settings) as careless:
        url = database(careless, "LATIN1")
        with pytest.raises(UnfitDatabase) as unfit:
            await require_fit(url, connections=18, lasting=True)
        said = unfit.value.faults
        for word in ("encoding", "max_connections", "fsync", "full_page_writes", "synchronous"):
            assert sum(word in fault for fault in said) == 1, (word, said)
        assert len(said) == 5
        await require_fit(careless.fresh_database(), connections=17)
