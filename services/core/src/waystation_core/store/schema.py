"""The schema's version, which servers check at their start. It is Alembic's row, read without Alembic, whose
import takes a third of a server's start."""

from __future__ import annotations

import re
from importlib.resources import files

import psycopg

_MIGRATION = re.compile(r"v(\d{4})_\w+\.py")


class WrongSchema(Exception):
    """The database has no schema (`found` is None), or that of another release; the message says
    what to run. `newer`: a newer release has migrated it."""

    def __init__(self, found: str | None) -> None:
        expected = current_release()
        newer = found is not None and found not in known_versions()
        super().__init__(
            f"The database has schema version {found}, from a newer release of Waystation; this "
            f"release supports versions up to {expected}. Use that release or a newer one, for servers and "
            "`waystation migrate`. A schema cannot be downgraded."
            if newer
            else f"The database has schema version {found or 'none'}, this release needs {expected}. "
            "Run `waystation migrate`."
        )
        self.found = found
        self.newer = newer


def known_versions() -> list[str]:
    """The schema versions of this release and earlier ones, oldest first: a migration's file is named after
    the version that it makes."""
    folder = files("waystation_core.store") / "migrations" / "versions"
    found = (_MIGRATION.fullmatch(file.name) for file in folder.iterdir())
    return sorted(match[1] for match in found if match)


def current_release() -> str:
    """The schema version that this release works on."""
    return known_versions()[-1]


async def check_schema(url: str) -> None:
    """Raises WrongSchema unless the database has this release's schema; psycopg's errors if it cannot be
    asked."""
    found = await _version(url)
    if found != current_release():
        raise WrongSchema(found)


async def _version(url: str) -> str | None:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=5
    ) as connection:
        cursor = await connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
        there = await cursor.fetchone()
        if there is None or not there[0]:
            return None
        cursor = await connection.execute("SELECT version_num FROM alembic_version")
        row = await cursor.fetchone()
    return None if row is None else str(row[0])
