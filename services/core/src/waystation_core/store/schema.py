"""The schema's version: bringing it up to date, and refusing to work on another one."""

from __future__ import annotations

import asyncio
from importlib.resources import files

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from waystation_core.store.fitness import require_fit
from waystation_core.store.pool import sqlalchemy_url


class WrongSchema(Exception):
    """The database has no schema (`found` is None), or that of another release; the message says
    what to run. `newer`: a newer release has migrated it."""

    def __init__(self, found: str | None, wanted: str, *, newer: bool = False) -> None:
        super().__init__(
            f"The database has schema version {found}, which a newer release of Waystation made; this "
            f"release knows versions up to {wanted}. Run that release, or a newer one: servers and "
            "`waystation migrate`. A schema is never taken back."
            if newer
            else f"The database has schema version {found or 'none'}, this release needs {wanted}. "
            "Run `waystation migrate`."
        )
        self.found = found
        self.newer = newer


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("waystation_core.store") / "migrations"))
    # Alembic would read a `%` in a path as its own syntax.
    config.set_main_option("version_path_separator", "os")
    return config


def current_release() -> str:
    """The schema version that this release works on."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _is_newer(version: str | None) -> bool:
    """Releases know the versions before theirs."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return version is not None and version not in known


def _version(url: str) -> str | None:
    engine = sqlalchemy.create_engine(sqlalchemy_url(url), poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def _migrate(url: str) -> tuple[str | None, str]:
    engine = sqlalchemy.create_engine(sqlalchemy_url(url), poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            # Two that migrate at once: the second waits, then finds nothing to do.
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(7400)"))
            connection.commit()
            before = MigrationContext.configure(connection).get_current_revision()
            # Asking opened a transaction, in which Alembic would not commit its own.
            connection.rollback()
            if _is_newer(before):
                raise WrongSchema(before, current_release(), newer=True)
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            return before, current_release()
    finally:
        engine.dispose()


async def migrate(url: str) -> tuple[str | None, str]:
    """Brings the schema up to date; answers with the version before (None: none) and after.

    Raises UnfitDatabase, WrongSchema for that of a newer release, psycopg's or SQLAlchemy's
    OperationalError when Postgres can't be reached.
    """
    await require_fit(url)
    return await asyncio.to_thread(_migrate, url)


async def check_schema(url: str) -> None:
    """Raises WrongSchema unless the database has this release's schema."""
    found = await asyncio.to_thread(_version, url)
    wanted = current_release()
    if found != wanted:
        raise WrongSchema(found, wanted, newer=_is_newer(found))
