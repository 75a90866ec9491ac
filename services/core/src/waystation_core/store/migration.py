"""Brings a database's schema to that of this release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from waystation_core.background import step
from waystation_core.store.fitness import require_fit
from waystation_core.store.roles import RoleNames, grant
from waystation_core.store.schema import check_schema, current_release, known_versions

LOCK_TIMEOUT_SECONDS = 3
"""How long a step waits for a table that a long transaction uses; then the migration ends and may be repeated."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration did."""

    before: str | None
    """The version of the schema before; None: there was none."""
    after: str
    roles: RoleNames | None
    """The roles that have their rights now; None: there are none."""


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(files("waystation_core.store") / "migrations"))
    # Alembic would read a `%` in a path as its own syntax.
    config.set_main_option("version_path_separator", "os")
    return config


def sqlalchemy_engine(url: str) -> sqlalchemy.Engine:
    """Opens a connection each time; psycopg reads the URL, which for SQLAlchemy may not have several hosts."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url),
        poolclass=sqlalchemy.NullPool,
    )


OnStep: TypeAlias = Callable[[int, int], None]
"""Gets how many steps are made, and of how many."""


class _Migration:
    """One migration, in a thread of its own. All its steps are one transaction."""

    def __init__(self, url: str, make_roles: bool, on_step: OnStep | None) -> None:
        self._url = url
        self._make_roles = make_roles
        self._on_step = on_step
        self._connection: sqlalchemy.Connection | None = None
        self._stopped = False

    def run(self) -> Migrated:
        engine = sqlalchemy_engine(self._url)
        try:
            with engine.connect() as self._connection:
                return self._upgrade(self._connection)
        finally:
            self._connection = None
            engine.dispose()

    def stop(self) -> None:
        """Ends it as soon as possible, if it is not over. To be repeated: a statement may be about to begin."""
        self._stopped = True
        connection = self._connection
        if connection is not None:
            with suppress(sqlalchemy.exc.SQLAlchemyError, psycopg.Error):
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.cancel()

    def _upgrade(self, connection: sqlalchemy.Connection) -> Migrated:
        # Of two that migrate at once, the second waits, then finds nothing to do.
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(7400)"))
        connection.commit()
        # Whoever comes after one that waits for a table waits, too: it does not wait for long.
        connection.execute(sqlalchemy.text(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        connection.commit()
        before = MigrationContext.configure(connection).get_current_revision()
        # Asking opened a transaction, in which Alembic would not commit its own.
        connection.rollback()
        if before is not None and before not in known_versions():
            # A newer release's: nothing to do, if this release can work on it.
            return Migrated(before, asyncio.run(check_schema(self._url)), None)
        config = alembic_config()
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        total = len(list(script.iterate_revisions("head", before or "base")))
        made = 0

        def made_one(**_: Any) -> None:
            nonlocal made
            if self._stopped:
                raise _Stopped
            made += 1
            if self._on_step is not None:
                self._on_step(made, total)

        if self._on_step is not None:
            self._on_step(0, total)
        config.attributes["on_version_apply"] = made_one
        command.upgrade(config, "head")
        connection.commit()
        with psycopg.connect(self._url, autocommit=True) as granting:
            roles = grant(granting, make=self._make_roles)
        return Migrated(before, current_release(), roles)


class _Stopped(Exception):
    """Somebody stopped it between two steps."""


async def migrate(url: str, *, make_roles: bool = False, on_step: OnStep | None = None) -> Migrated:
    """Brings the schema up to date, and the rights of the roles, if there are any; with `make_roles` they are made.

    Nothing is done to the schema of a newer release that this one can work on. Raises UnfitDatabase, RolesRefused,
    WrongSchema for a schema that it cannot work on, psycopg's or SQLAlchemy's OperationalError if Postgres cannot
    be reached, or (of psycopg's LockNotAvailable) if a table is in use. All steps are made or none, also if it is cancelled: then it ends at once, unless they are made.

    `on_step` is called in another thread, before the first step and after each.
    """
    await require_fit(url)
    migration = _Migration(url, make_roles, on_step)
    running = step(asyncio.to_thread(migration.run))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            migration.stop()
            await asyncio.wait([running], timeout=_STOP_AGAIN_SECONDS)
        if running.exception() is None:
            return running.result()
        raise


_STOP_AGAIN_SECONDS = 0.1
