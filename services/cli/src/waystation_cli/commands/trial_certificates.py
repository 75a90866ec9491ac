"""tls dev-certs: an authority and certificates for a trial."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.output import AsJson
from waystation_cli.render import trial_certificates

SERVERS = ("api", "router", "handler")
CLIENT = "client"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
AUTHORITY = "ca"
MOST_DAYS = 365

# What a certificate can be for: a DNS name, perhaps with a star in front, or an IP address.
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")


def _names(values: list[str]) -> list[str]:
    for value in values:
        if not _NAME.fullmatch(value) or len(value) > 253:
            raise typer.BadParameter(f"{value!r} is neither a DNS name nor an IP address")
    return values


def dev_certs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder; it is made if it does not exist.")
    ] = Path("tls"),
    names: Annotated[
        list[str],
        typer.Option(
            "--name",
            metavar="HOST",
            callback=_names,
            help="Another name or address of the servers; may be repeated. They have localhost, and "
            "`api`, `router` and `handler`, anyway.",
        ),
    ] = [],  # noqa: B006  # typer copies it
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="How long the certificates are valid.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Make an authority and certificates for a trial.

    There is one certificate for each of API, routers, handlers and clients. Typed again, it makes new certificates by the same authority, which running processes take into use.
    They are for a trial: the key of the authority lies beside them.
    """
    with reporting_failures(as_json):
        files, ends_at = _write(folder, names, timedelta(days=days))
    trial_certificates.print_made(
        trial_certificates.Made(folder.absolute(), files, ends_at, _next(folder)), as_json
    )


def _write(folder: Path, names: list[str], valid_for: timedelta) -> tuple[list[str], datetime]:
    """The files that are there then, and when the first certificate ends. Raises CommandFailed."""
    from waystation_tls.trial import TrialAuthority

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / f"{AUTHORITY}.pem").exists():
            authority = TrialAuthority.read(folder, AUTHORITY)
        else:
            authority = TrialAuthority.new()
            authority.own.write(folder, AUTHORITY)
        left = authority.ends_at - datetime.now(UTC)
        valid_for = min(valid_for, left)
        if valid_for <= timedelta():
            raise ValueError("it ended")
        for server in SERVERS:
            authority.issue(server, *LOOPBACK, *names, valid_for=valid_for).write(folder, server)
        authority.issue(CLIENT, valid_for=valid_for, usages=("client",)).write(folder, CLIENT)
    except OSError as error:
        raise CommandFailed(
            code="FAILED_PRECONDITION",
            reason="FOLDER_NOT_USABLE",
            message=f"{folder.absolute()} cannot be used ({error.strerror}).",
            hint="Choose a folder that you may write to: `waystation tls dev-certs DIR`.",
            metadata={"folder": str(folder.absolute())},
        ) from error
    except (ValueError, TypeError) as error:
        raise CommandFailed(
            code="ALREADY_EXISTS",
            reason="FILES_EXIST",
            message=f"{folder.absolute()} has an authority that cannot be used again ({error}).",
            hint="Choose another folder, or remove this one if it was for a trial.",
            metadata={"folder": str(folder.absolute())},
        ) from error
    pairs = (AUTHORITY, *SERVERS, CLIENT)
    made = [name for pair in pairs for name in (f"{pair}.pem", f"{pair}-key.pem")]
    return made, datetime.now(UTC) + valid_for


def _next(folder: Path) -> list[str]:
    """The commands that follow, each for a terminal of its own in the current folder."""

    def with_settings(settings: Mapping[str, str], command: str) -> str:
        there = [f"{name}={shlex.quote(str(folder / file))}" for name, file in settings.items()]
        return " ".join([*there, command])

    def own(name: str) -> dict[str, str]:
        return {
            "WAYSTATION_TLS_CERT": f"{name}.pem",
            "WAYSTATION_TLS_KEY": f"{name}-key.pem",
        }

    ca = f"{AUTHORITY}.pem"
    asks = {"WAYSTATION_TLS_CLIENT_CA": ca}
    return [
        with_settings({**own("api"), **asks, "WAYSTATION_HANDLER_TLS_CA": ca}, "waystation dev"),
        with_settings({**own("handler"), **asks, "WAYSTATION_TLS_CA": ca}, "python service.py"),
        with_settings({**own(CLIENT), "WAYSTATION_TLS_CA": ca}, "waystation status"),
    ]
