"""The schema's version, which servers check at their start. It is Alembic's row, read without Alembic, whose
import takes a third of a server's start."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

_MIGRATION = re.compile(r"v(\d{4})_\w+\.py")


class WrongSchema(Exception):
    """The database has no schema (`found` is None), or one that this release cannot work on; the message says
    what to run. `newer`: a newer release has migrated it."""

    def __init__(self, found: str | None, works_from: str | None = None) -> None:
        """`works_from`: the oldest version whose release can work on the schema, as the schema says."""
        expected = current_release()
        self.found = found
        self.newer = found is not None and found not in known_versions()
        super().__init__(
            f"The database has schema version {found}, from a newer release of Waystation"
            + (f", for releases with version {works_from} or later" if works_from else "")
            + f"; this release has version {expected}. Use a newer release, for servers and "
            "`waystation migrate`. A schema cannot be downgraded."
            if self.newer
            else f"The database has schema version {found or 'none'}, this release needs {expected}. "
            "Run `waystation migrate`."
        )


def known_versions() -> list[str]:
    """The schema versions of this release and earlier ones, oldest first: a migration's file is named after
    the version that it makes."""
    folder = files("waystation_core.store") / "migrations" / "versions"
    found = (_MIGRATION.fullmatch(file.name) for file in folder.iterdir())
    return sorted(match[1] for match in found if match)


def current_release() -> str:
    """The schema version of this release."""
    return known_versions()[-1]


async def check_schema(url: str) -> str:
    """The database's schema version: this release's, or a newer one that this release can work on, as the
    schema itself says. Raises WrongSchema for any other; psycopg's errors if it cannot be asked."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=5
    ) as connection:
        found = await _only(connection, "alembic_version", "version_num")
        if found == current_release():
            return found
        if found is None or found in known_versions():
            raise WrongSchema(found)
        works_from = await _only(connection, "schema_compatibility", "works_from")
    if works_from not in known_versions():
        raise WrongSchema(found, works_from)
    return found


async def _only(connection: psycopg.AsyncConnection[Any], table: str, column: str) -> str | None:
    """The value in a table of one row; None without the table or the row."""
    cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))
    there = await cursor.fetchone()
    if there is None or not there[0]:
        return None
    cursor = await connection.execute(
        sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])
