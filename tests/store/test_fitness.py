"""A database on which the promises cannot be kept is refused at the start, all faults at once."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from localservers.postgres import PostgresServer
from waystation_core.store.fitness import UnfitDatabase, require_fit
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


async def test_a_pooler_that_drops_settings_of_connections_is_refused(
    durable: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PgBouncer does with `ignore_startup_parameters = options`."""
    connect = psycopg.connect
    monkeypatch.setattr(
        psycopg, "connect", lambda url, **how: connect(url, **{**how, "options": ""})
    )
    with pytest.raises(UnfitDatabase, match=r"enable_hashjoin.*statement_timeout.*itself") as unfit:
        await require_fit(durable.fresh_database(), connections=8)
    assert len(unfit.value.faults) == 1


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
