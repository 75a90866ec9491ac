"""migrate: bringing the schema of a database up to this release."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from waystation_cli import arguments, bars
from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.outcome import BAD_SETTINGS, INTERRUPTED
from waystation_cli.output import AsJson
from waystation_cli.render import documents, schema
from waystation_core.rpc.urls import DATABASES, place_of

if TYPE_CHECKING:
    from waystation_core.store.migration import Migrated

_PAUSE_SECONDS = 0.5


def _require_postgres(value: str) -> str:
    # Not shown in the message: it may hold a password.
    if urlsplit(value).scheme not in DATABASES:
        raise typer.BadParameter("must look like postgresql://user:password@host:5432/database")
    return value


def migrate(
    database_url: Annotated[
        str,
        typer.Option(
            envvar="WAYSTATION_DATABASE_URL",
            callback=_require_postgres,
            metavar="URL",
            help="postgresql://user:password@host:5432/database",
        ),
    ],
    wait: Annotated[str, typer.Option(metavar="SPAN", help="How long to wait for Postgres.")] = "0",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would migrate from and to.")
    ] = False,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles",
            help="Make a role for servers and one that only reads, with no more rights than they need.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate the database schema to this release.

    Idempotent, and safe to run concurrently. Run it before starting servers of a new release. Once there are roles, each
    migration grants them what they need.
    """
    seconds = arguments.seconds(wait)
    with reporting_failures(as_json):
        try:
            done = asyncio.run(
                _migrate(
                    database_url, seconds, dry_run=dry_run, make_roles=roles, shown=not as_json
                )
            )
        except KeyboardInterrupt as interrupt:
            if not dry_run:
                schema.tell_stopped()
            raise typer.Exit(INTERRUPTED) from interrupt
    names = (
        {"servers": done.roles.servers, "readers": done.roles.readers}
        if done.roles is not None
        else None
    )
    if as_json:
        documents.print_document(
            {"version_before": done.before, "version": done.after, "roles": names}
        )
    else:
        schema.print_migrated(done.before, done.after, dry_run=dry_run)
        if names is not None:
            schema.print_roles(**names)


async def _migrate(
    database_url: str, seconds: float, *, dry_run: bool, make_roles: bool, shown: bool
) -> Migrated:
    # Only here: other commands need nothing of the engine, and start faster without it.
    import psycopg
    from sqlalchemy.exc import DBAPIError, OperationalError

    from waystation_core.store.fitness import UnfitDatabase
    from waystation_core.store.migration import migrate as migrate_schema
    from waystation_core.store.roles import RolesRefused
    from waystation_core.store.schema import WrongSchema

    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            if dry_run:
                return await _versions(database_url)
            with bars.bar("migrate", total=None, shown=shown) as drawn:
                return await migrate_schema(
                    database_url,
                    make_roles=make_roles,
                    on_step=lambda made, total: drawn.update(
                        drawn.task_ids[0], completed=made, total=total
                    ),
                )
        except (psycopg.OperationalError, OperationalError) as error:
            if time.monotonic() >= deadline:
                in_use = isinstance(getattr(error, "orig", None), psycopg.errors.LockNotAvailable)
                said = _in_use if in_use else _unreachable
                raise said(database_url, error) from error
        except (psycopg.Error, DBAPIError) as error:
            raise _refused(database_url, error) from error
        except UnfitDatabase as unfit:
            raise CommandFailed(
                code="FAILED_PRECONDITION",
                reason="UNFIT_DATABASE",
                message=str(unfit),
                exit_code=BAD_SETTINGS,
            ) from unfit
        except RolesRefused as refused:
            raise CommandFailed(
                code="FAILED_PRECONDITION", reason="ROLES_NOT_MADE", message=str(refused)
            ) from refused
        except WrongSchema as wrong:
            raise CommandFailed(
                code="FAILED_PRECONDITION", reason="SCHEMA_IS_NEWER", message=str(wrong)
            ) from wrong
        if not told:
            told = True
            print(f"Waiting for Postgres at {place_of(database_url)}", file=sys.stderr)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _versions(database_url: str) -> Migrated:
    """What `migrate` would answer, and raise, without anything being changed."""
    from waystation_core.store.fitness import require_fit
    from waystation_core.store.migration import Migrated
    from waystation_core.store.schema import WrongSchema, check_schema, current_release

    await require_fit(database_url)
    try:
        found = await check_schema(database_url)
    except WrongSchema as wrong:
        if wrong.newer:
            raise
        return Migrated(wrong.found, current_release(), None)
    return Migrated(found, found, None)


def _said(error: Exception) -> str:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return said[0] if said else "no reason given"


def _refused(database_url: str, error: Exception) -> CommandFailed:
    return CommandFailed(
        code="FAILED_PRECONDITION",
        reason="NOT_MIGRATED",
        message=f"Postgres at {place_of(database_url)} refused a step of the migration: {_said(error)}",
        hint="The schema is as it was; fix the problem and run the command again.",
    )


def _in_use(database_url: str, error: Exception) -> CommandFailed:
    return CommandFailed(
        code="ABORTED",
        reason="TABLE_IN_USE",
        message=f"A table of Postgres at {place_of(database_url)} is in use by a long transaction: {_said(error)}",
        hint="The schema is as it was; end that transaction (pg_stat_activity shows it), or repeat with --wait 1m.",
    )


def _unreachable(database_url: str, error: Exception) -> CommandFailed:
    return CommandFailed(
        code="UNAVAILABLE",
        reason="STORE_UNAVAILABLE",
        message=f"Postgres at {place_of(database_url)} refused the connection or cannot be reached: {_said(error)}",
        hint="Check --database-url or WAYSTATION_DATABASE_URL; --wait 1m waits for it.",
    )
