"""Brings a database's schema to that of this release."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.resources import files

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from waystation_core.store.connections import sqlalchemy_url
from waystation_core.store.fitness import require_fit
from waystation_core.store.roles import RoleNames, grant
from waystation_core.store.schema import check_schema, current_release, known_versions


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


def _migrate(url: str, make_roles: bool) -> Migrated:
    engine = sqlalchemy.create_engine(sqlalchemy_url(url), poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            # Of two that migrate at once, the second waits, then finds nothing to do.
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(7400)"))
            connection.commit()
            before = MigrationContext.configure(connection).get_current_revision()
            # Asking opened a transaction, in which Alembic would not commit its own.
            connection.rollback()
            if before is not None and before not in known_versions():
                # A newer release's: nothing to do, if this release can work on it.
                return Migrated(before, asyncio.run(check_schema(url)), None)
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            with psycopg.connect(url, autocommit=True) as granting:
                roles = grant(granting, make=make_roles)
            return Migrated(before, current_release(), roles)
    finally:
        engine.dispose()


async def migrate(url: str, *, make_roles: bool = False) -> Migrated:
    """Brings the schema up to date, and the rights of the roles, if there are any; with `make_roles` they are made.
    Nothing is done to the schema of a newer release that this one can work on. Raises UnfitDatabase, RolesRefused,
    WrongSchema for a schema that it cannot work on, psycopg's or SQLAlchemy's OperationalError if Postgres cannot
    be reached."""
    await require_fit(url)
    return await asyncio.to_thread(_migrate, url, make_roles)
