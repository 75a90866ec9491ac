"""Roles in Postgres with no more rights than they need: one for servers, one that only reads. The owner of the tables
is whoever migrates.

Neither can log in: logins are made members of them. Rights are granted anew by each migration, so that new tables have
theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

_READ: LiteralString = "SELECT"
_ADD: LiteralString = "SELECT, INSERT"
_KEEP: LiteralString = "SELECT, INSERT, UPDATE"
_ALL: LiteralString = "SELECT, INSERT, UPDATE, DELETE"

SERVERS: Mapping[LiteralString, LiteralString] = {
    "alembic_version": _READ,
    "schema_compatibility": _READ,
    # What was recorded stays as it was recorded.
    "history": _ADD,
    "events": _ADD,
    "audit": _ADD,
    "audit_targets": _ADD,
    "workflow_instances": _KEEP,
    "dead_letters": _KEEP,
    # With their namespace.
    "tasks": _ALL,
    "api_tokens": _KEEP,
    "outbox": _ALL,
    "deliveries": _ALL,
    "timers": _ALL,
    "requests": _ALL,
    "routers": _ALL,
    "pools": _ALL,
    "registry": _ALL,
    "handlers": _ALL,
    "lost_announcements": _ALL,
    "namespaces": _ALL,
}
"""By table, what servers may do with its rows. A new table needs a row here."""

SECRET_COLUMNS: Mapping[str, frozenset[str]] = {
    "registry": frozenset({"completion_key"}),
    "api_tokens": frozenset({"digest"}),
}
"""Columns that those who only read do not see: with the key one could make completion tokens."""

_LONGEST_NAME = 63
"""Bytes of a name in Postgres: it cuts longer ones."""


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of the roles of one database."""

    servers: str
    readers: str

    @classmethod
    def of(cls, database: str) -> RoleNames:
        """The usual ones: those of another database on the same Postgres are others."""
        return cls(f"{database}_app", f"{database}_read")


class RolesRefused(Exception):
    """The roles cannot be made with this login; the message says what to do."""


def grant(
    connection: psycopg.Connection, *, make: bool, names: RoleNames | None = None
) -> RoleNames | None:
    """Grants the roles of this database what they need; with `make` they are made first if they are missing,
    without it nothing happens then. Returns their names, None if there are none. Raises RolesRefused."""
    database = connection.info.dbname
    names = names or RoleNames.of(database)
    both = (names.servers, names.readers)
    if any(len(name.encode()) > _LONGEST_NAME for name in both):
        raise RolesRefused(
            f"The database's name {database} is too long for the names of its roles; use a shorter one."
        )
    known = {
        name
        for (name,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(both),)
        )
    }
    missing = [name for name in both if name not in known]
    if missing and not make:
        return None
    with connection.transaction():
        for name in missing:
            _make(connection, name)
        _grant(connection, database, names)
    return names


def _make(connection: psycopg.Connection, name: str) -> None:
    statement = sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        text = statement.as_string(connection)
        raise RolesRefused(
            f"This login may not make roles. Have an administrator of Postgres run `{text}` and its like for "
            "the other role, and run the command again."
        ) from None


def _grant(connection: psycopg.Connection, database: str, names: RoleNames) -> None:
    of_database, servers, readers = map(sql.Identifier, (database, names.servers, names.readers))
    both = sql.SQL(", ").join((servers, readers))
    for statement in (
        # Everybody may connect and make temporary tables otherwise.
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(of_database),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(of_database, both),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(both),
    ):
        connection.execute(statement)
    for table, rights in SERVERS.items():
        name = sql.Identifier("public", table)
        # A right that a former release needed is gone.
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(name, both))
        connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), name, servers))
        shown: sql.Composable = sql.SQL("SELECT")
        if table in SECRET_COLUMNS:
            columns = [
                sql.Identifier(column)
                for (column,) in connection.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass "
                    "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    (f"public.{table}",),
                )
                if column not in SECRET_COLUMNS[table]
            ]
            shown = sql.SQL("SELECT ({})").format(sql.SQL(", ").join(columns))
        connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(shown, name, readers))
