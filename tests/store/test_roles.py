"""The rights of servers and readers in Postgres: what they need, and nothing else. The tests of the store, the API, the
routers and of whole systems run with the rights of servers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.databases import ROLES, as_app

from localservers.postgres import PostgresServer
from waystation_core.store.migration import migrate
from waystation_core.store.roles import SECRET_COLUMNS, SERVERS, RoleNames, RolesRefused, grant
from waystation_core.store.tables import metadata

READER = "a_reader"


@pytest.fixture
def app(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(as_app(database_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def reader(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as admin:
        known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (READER,)).fetchone()
        if known is None:
            admin.execute(f"CREATE ROLE {READER} LOGIN IN ROLE {ROLES.readers}")
    url = database_url.replace("//postgres@", f"//{READER}@")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_each_table_has_its_row() -> None:
    assert SERVERS.keys() == {*metadata.tables, "alembic_version"}
    for table, columns in SECRET_COLUMNS.items():
        assert columns <= set(metadata.tables[table].columns.keys())


def test_a_server_s_rights_are_these_and_no_others(app: psycopg.Connection) -> None:
    found = app.execute(
        "SELECT c.relname, string_agg(r.name, ', ' ORDER BY r.place) FROM pg_class c, "
        "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) "
        "WITH ORDINALITY AS r(name, place) WHERE c.relkind = 'r' "
        "AND c.relnamespace = 'public'::regnamespace AND has_table_privilege(c.oid, r.name) "
        "GROUP BY c.relname"
    ).fetchall()
    assert dict(found) == dict(SERVERS)


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"{verb} {table}{rest}"
            for table in ("history", "events", "audit", "audit_targets")
            for verb, rest in (
                ("DELETE FROM", ""),
                ("TRUNCATE", ""),
                ("DROP TABLE", ""),
                ("ALTER TABLE", " DISABLE TRIGGER ALL"),
            )
        ),
        "UPDATE history SET principal = 'somebody else'",
        "UPDATE audit SET code = 'OK'",
        "UPDATE events SET payload = '{}'",
        "DELETE FROM workflow_instances",
        "DELETE FROM api_tokens",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE tasks ADD COLUMN mine int",
        "CREATE ROLE mine",
    ],
)
def test_a_server_may_not(statement: str, app: psycopg.Connection) -> None:
    with pytest.raises(InsufficientPrivilege):
        app.execute(statement)


def test_a_reader_sees_everything_but_secrets_and_changes_nothing(
    reader: psycopg.Connection,
) -> None:
    for table in SERVERS.keys() - SECRET_COLUMNS.keys():
        reader.execute(f"SELECT * FROM {table}")
    for table, columns in SECRET_COLUMNS.items():
        shown = sorted({*metadata.tables[table].columns.keys()} - columns)
        reader.execute(f"SELECT {', '.join(shown)} FROM {table}")
        for column in columns:
            with pytest.raises(InsufficientPrivilege):
                reader.execute(f"SELECT {column} FROM {table}")
    for statement in ("DELETE FROM outbox", "UPDATE tasks SET task_id = 'x'", "CREATE TABLE a ()"):
        with pytest.raises(InsufficientPrivilege):
            reader.execute(statement)


async def test_an_owner_that_is_no_superuser_makes_the_roles_and_each_migration_grants_anew(
    postgres: PostgresServer,
) -> None:
    """As the page has it: an owner of the database, who may make roles."""
    name = f"owned_{uuid4().hex[:8]}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name}_owner LOGIN CREATEROLE")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}_owner")
    url = postgres.dsn(name).replace("//postgres@", f"//{name}_owner@")
    try:
        assert (await migrate(url)).roles is None
        done = await migrate(url, make_roles=True)
        assert done.roles == RoleNames(f"{name}_app", f"{name}_read")
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"GRANT DELETE ON audit TO {name}_app")
            assert (await migrate(url)).roles == done.roles
            may = owner.execute(
                "SELECT has_table_privilege(%(role)s, 'audit', 'DELETE'), "
                "has_database_privilege(%(role)s, current_database(), 'TEMPORARY'), "
                "has_database_privilege(%(role)s, current_database(), 'CONNECT'), "
                "has_database_privilege('public', current_database(), 'CONNECT')",
                {"role": f"{name}_app"},
            ).fetchone()
            assert may == (False, False, True, False)
    finally:
        postgres.drop_database(postgres.dsn(name))
        with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
            admin.execute(f"DROP ROLE {name}_app, {name}_read, {name}_owner")


async def test_a_login_that_may_not_make_roles_is_told_what_to_do(
    postgres: PostgresServer,
) -> None:
    name = f"owned_{uuid4().hex[:8]}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name}_owner LOGIN")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}_owner")
    url = postgres.dsn(name).replace("//postgres@", f"//{name}_owner@")
    try:
        with pytest.raises(RolesRefused, match=f'CREATE ROLE "{name}_app" NOLOGIN'):
            await migrate(url, make_roles=True)
        with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {name}_app NOLOGIN")
            admin.execute(f"CREATE ROLE {name}_read NOLOGIN")
        assert (await migrate(url)).roles is not None
    finally:
        postgres.drop_database(postgres.dsn(name))
        with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
            admin.execute(f"DROP ROLE IF EXISTS {name}_app, {name}_read, {name}_owner")


def test_a_name_that_postgres_would_cut_is_refused(database_url: str) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(RolesRefused, match="too long"),
    ):
        grant(connection, make=True, names=RoleNames("a" * 64, "b"))
