"""Databases with the current schema."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from localservers.postgres import PostgresServer
from waystation_core.store.migration import migrate
from waystation_core.store.roles import RoleNames, grant

MOST_ROWS = 2_000
"""Of one test: more leave tables and statistics behind that are not those of a new database."""
CLOSING_SECONDS = 0.5


APP = "tester"
"""A login with the rights of servers and no others."""

ROLES = RoleNames("tested_app", "tested_read")
"""Of all databases: new ones are copies, with the rights of the one that they are copied from."""


def migrated(dsn: str) -> None:
    """Brings an empty database to the current schema, with roles."""
    # In a thread, because the test's own event loop may already be set in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate(dsn))).result()
    with psycopg.connect(dsn, autocommit=True) as connection:
        grant(connection, make=True, names=ROLES)
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP,)).fetchone():
            connection.execute(f"CREATE ROLE {APP} LOGIN IN ROLE {ROLES.servers}")
        # PUBLIC's rights on a database are not copied with it.
        connection.execute(f"GRANT CONNECT ON DATABASE {connection.info.dbname} TO PUBLIC")


def as_app(dsn: str) -> str:
    """The same database for the login that has no more rights than servers need."""
    return dsn.replace("//postgres@", f"//{APP}@")


def _remembering(dsn: str) -> None:
    """As `migrated`; what the tables begin with is kept beside them."""
    migrated(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA first")
        for table in _tables(connection):
            connection.execute(f"CREATE TABLE first.{table} AS SELECT * FROM {table}")


class Databases:
    """Databases of one server, each for one test at a time: to empty one takes a tenth of the time that a new
    one and its first connections take. One that a test has changed in any other way than by rows, has analysed
    (the planner would take its tables for empty), or has left with connections, is not used again."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []
        self._made: dict[str, object] = {}
        self._emptying = ""

    def take(self) -> str:
        """The DSN of one that is as `migrate` leaves it."""
        if self._free:
            return self._free.pop()
        dsn = self._server.fresh_database(_remembering)
        with psycopg.connect(dsn, autocommit=True) as connection:
            self._made[dsn] = _shape(connection)
            self._emptying = _emptying(connection)
        return dsn

    def give_back(self, dsn: str) -> None:
        """Its user has finished with it."""
        made = self._made.pop(dsn)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                usable = (
                    _left_alone(connection)
                    and _shape(connection) == made
                    and _empty(connection, self._emptying)
                )
        except psycopg.Error:
            usable = False
        if usable:
            self._made[dsn] = made
            self._free.append(dsn)
        else:
            self._server.drop_database(dsn)


def _tables(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        "AND relname <> 'alembic_version' ORDER BY 1"
    )
    return [row[0] for row in rows.fetchall()]


def _left_alone(connection: psycopg.Connection) -> bool:
    """Whether nobody else is connected; one that has just hung up may take a moment."""
    until = time.monotonic() + CLOSING_SECONDS
    while True:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
        if row == (0,):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.01)


_CATALOGUES = ("class", "attribute", "attrdef", "constraint", "index", "proc", "trigger", "type")


def _shape(connection: psycopg.Connection) -> object:
    """Another one after whatever changes the schema, also where that was changed back."""
    parts = " UNION ALL ".join(
        f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM pg_{name}" for name in _CATALOGUES
    )
    settings = "SELECT count(*) FROM pg_db_role_setting"
    version = "SELECT version_num FROM alembic_version"
    # -1: never analysed. Written in place, so that no xmin shows it.
    analysed = (
        "SELECT count(*) FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples >= 0"
    )
    return [connection.execute(query).fetchall() for query in (parts, settings, version, analysed)]


def _emptying(connection: psycopg.Connection) -> str:
    """The statements that make rows and sequences what they were at first."""
    tables = _tables(connection)
    full = [name for name in tables if connection.execute(f"SELECT 1 FROM {name}").fetchone()]
    sequences = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
    )
    return "; ".join(
        [
            *(f"DELETE FROM {name}" for name in tables),
            *(
                f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM first.{name}"
                for name in full
            ),
            *(f"SELECT setval('{name}', 1, false)" for (name,) in sequences.fetchall()),
        ]
    )


def _empty(connection: psycopg.Connection, statements: str) -> bool:
    """Carries them out. Whether the rows were only so many."""
    cursor = connection.execute(statements)
    rows = max(cursor.rowcount, 0)
    while cursor.nextset():
        rows += max(cursor.rowcount, 0)
    return rows <= MOST_ROWS


_ADDED = """
ALTER TABLE history ADD COLUMN later text;
ALTER TABLE workflow_instances ADD COLUMN later integer NOT NULL DEFAULT 0;
CREATE TABLE later (one text PRIMARY KEY);
UPDATE alembic_version SET version_num = '9999';
"""


def migrated_by_a_newer_release(url: str) -> None:
    """Migrates on, to the version 9999, as a release may whose predecessors can still work on the schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ADDED)


def analyse(url: str, table: str) -> None:
    """Takes statistics of a table, as its owner: others may not, and are only warned."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ANALYZE {table}")
