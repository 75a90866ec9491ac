"""dev: the whole engine in one process, with a Postgres of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.outcome import BAD_SETTINGS
from waystation_cli.output import AsJson
from waystation_cli.render import engine

_PORT = "`waystation dev --port PORT` does the same for once; 0 is a free port."


def dev(
    port: Annotated[
        int | None,
        typer.Option(
            envvar="WAYSTATION_API_PORT",
            min=0,
            max=65535,
            help="Port of the API; 0 means a free port.",
            show_default="7400",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(envvar="WAYSTATION_API_HOST", show_default="127.0.0.1"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="WAYSTATION_DATA_DIR",
            help="Data directory, kept between runs.",
            show_default="~/.local/share/waystation",
        ),
    ] = None,
    tokens: Annotated[
        bool,
        typer.Option(
            "--tokens",
            help="Ask every call for a token; the first one, an admin's, is written into the data directory.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole engine in one process.

    API, router, an in-memory broker and its own Postgres. It prints a line for each thing that happens;
    WAYSTATION_LOG_FORMAT=json is for machines. The other settings of the servers apply, too
    (WAYSTATION_HANDLER_ALLOWLIST, ...). SIGTERM and Ctrl-C stop it with exit code 0. Exit code 78:
    invalid settings.
    """
    # Only here: other commands need nothing of the engine, and start faster without it.
    from waystation_cli.embedded.admin import first_token
    from waystation_cli.embedded.data_dir import DataDir, DataDirRefused, default_data_dir
    from waystation_cli.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresFailed
    from waystation_cli.embedded.system import PostgresEnded, run_system
    from waystation_core.background import Died
    from waystation_core.rpc.server import PortTaken
    from waystation_core.rpc.settings import BadSettings

    environment = dict(os.environ)
    if port is not None:
        environment["WAYSTATION_API_PORT"] = str(port)
    if host is not None:
        environment["WAYSTATION_API_HOST"] = host
    with reporting_failures(as_json):
        try:
            with (
                DataDir(data_dir or default_data_dir()) as held,
                # In the main thread and before any other: see EmbeddedPostgres.
                EmbeddedPostgres(held.path) as postgres,
            ):
                token_file = first_token(held.path, environment) if tokens else None
                run_system(
                    environment,
                    postgres,
                    on_ready=lambda address: engine.print_ready(
                        address, held.path, postgres.url, as_json, token_file
                    ),
                )
            if not as_json:
                engine.print_stopped(held.path)
        except BadSettings as error:
            engine.print_bad_settings(error.faults)
            raise typer.Exit(BAD_SETTINGS) from error
        except (DataDirRefused, EmbeddedPostgresFailed, PortTaken, PostgresEnded, Died) as error:
            raise CommandFailed(
                code="FAILED_PRECONDITION",
                reason=_reason(error),
                message=str(error),
                hint=_PORT if isinstance(error, PortTaken) else "",
            ) from error


def _reason(error: Exception) -> str:
    """DataDirRefused -> DATA_DIR_REFUSED."""
    name = type(error).__name__
    return "".join(f"_{each}" if each.isupper() else each for each in name).upper().strip("_")
