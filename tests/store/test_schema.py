"""The migrations make what `tables` says, on every Postgres; and another schema is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.databases import migrated_by_a_newer_release

from localservers.postgres import PostgresServer
from waystation_core.store.migration import Migrated, alembic_config, migrate, sqlalchemy_engine
from waystation_core.store.schema import (
    WrongSchema,
    check_schema,
    current_release,
    known_versions,
)
from waystation_core.store.tables import metadata

COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type, c.udt_name, c.collation_name, c.is_nullable,
    c.column_default, c.is_identity
FROM information_schema.columns c WHERE c.table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY c.table_name, c.ordinal_position
"""
INDEXES = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
ORDER BY indexdef
"""


@pytest.fixture
def each_empty_url(each_postgres: PostgresServer) -> Iterator[str]:
    url = each_postgres.fresh_database()
    yield url
    each_postgres.drop_database(url)


def catalogue(url: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return [connection.execute(query).fetchall() for query in (COLUMNS, INDEXES)]


def test_the_migrations_make_the_tables(each_database_url: str, each_empty_url: str) -> None:
    engine = sqlalchemy_engine(each_empty_url)
    metadata.create_all(engine)
    engine.dispose()
    assert catalogue(each_database_url) == catalogue(each_empty_url)


def test_alembic_finds_nothing_to_migrate(each_database_url: str) -> None:
    engine = sqlalchemy_engine(each_database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_server_default": True, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_a_migration_s_file_is_named_after_its_version() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert known_versions() == sorted(script.revision for script in scripts.walk_revisions())
    assert current_release() == scripts.get_current_head()


async def test_of_two_that_migrate_at_once_one_does_it(empty_database_url: str) -> None:
    with pytest.raises(WrongSchema, match="waystation migrate"):
        await check_schema(empty_database_url)
    found = await asyncio.gather(*(migrate(empty_database_url) for _ in range(2)))
    release = current_release()
    assert {(each.before, each.after) for each in found} == {(None, release), (release, release)}
    await check_schema(empty_database_url)


async def test_a_newer_schema_is_worked_on_if_it_says_so(database_url: str) -> None:
    migrated_by_a_newer_release(database_url)
    assert await check_schema(database_url) == "9999"
    # The migration of this release has nothing to do, and undoes nothing.
    assert await migrate(database_url) == Migrated("9999", "9999", None)
    assert await check_schema(database_url) == "9999"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_compatibility SET works_from = '9998'")
    for use in (check_schema, migrate):
        with pytest.raises(WrongSchema, match="9998 or later") as refused:
            await use(database_url)
        assert refused.value.newer


def test_a_router_starts_without_sqlalchemy() -> None:
    """To import it takes longer than all the rest."""
    said = subprocess.run(
        [sys.executable, "-c", "import sys, waystation_router.main; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "waystation_core.store.engine" in said.stdout.split()
    assert "sqlalchemy" not in said.stdout.split()
