"""login and logout: a profile with the address and the token of a server."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer

from waystation.v1.handler_registry_service_pb2 import ListHandlersRequest
from waystation_cli import profiles
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    open_channel,
    reporting_failures,
)
from waystation_cli.credentials import is_token
from waystation_cli.failures import CommandFailed, explain_rpc_error
from waystation_cli.output import AsJson
from waystation_cli.render import login as told

Name = Annotated[
    str,
    typer.Option(
        "--profile", envvar="WAYSTATION_PROFILE", metavar="NAME", help="The name of the profile."
    ),
]

_MAY_BE_REFUSED = frozenset({"PERMISSION_DENIED", "NAMESPACE_NOT_FOUND"})
"""Refusals of a caller that the server knows."""


def login(
    profile: Name = profiles.DEFAULT,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The certificate authorities to trust; with it, calls use TLS."
        ),
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Store the address and the token of a server.

    Later commands use them. The token is asked for, or read from standard input if that is no terminal: on a command line others could see it.
    """
    with reporting_failures(as_json):
        token = _asked_for()
        os.environ[profiles.TOKEN] = token
        os.environ.pop(profiles.TOKEN_FILE, None)
        if ca is not None:
            os.environ["WAYSTATION_TLS_CA"] = str(ca.absolute())
        # It is being made: it need not exist yet.
        os.environ.pop("WAYSTATION_PROFILE", None)
        _try(address)
        tls = {name: os.environ[name] for name in profiles.TLS_VARIABLES if os.environ.get(name)}
        place = profiles.save(profile, profiles.Profile(address, token, tls))
    told.print_login(profile, address, place, as_json)


def logout(profile: Name = profiles.DEFAULT, as_json: AsJson = False) -> None:
    """Remove a profile with its token.

    The token stays valid: `waystation tokens revoke` ends it.
    """
    with reporting_failures(as_json):
        profiles.remove(profile)
    told.print_logout(profile, as_json)


def _asked_for() -> str:
    typed = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.read(64 * 1024)
    token = typed.strip()
    if not is_token(token):
        raise CommandFailed(
            code="INVALID_ARGUMENT",
            reason="TOKEN_NOT_USABLE",
            message="That is not a token. A token is one line of characters without blanks.",
            hint="An admin makes one with `waystation tokens create`, or with `waystation keys new`.",
        )
    return token


def _try(address: str) -> None:
    """Raises CommandFailed if the server cannot be reached or does not know the token."""
    with open_channel(address) as channel:
        try:
            # What every role may call.
            Api(channel).handlers.ListHandlers(
                ListHandlersRequest(page_size=1), timeout=CALL_SECONDS
            )
        except grpc.RpcError as error:
            failure = explain_rpc_error(error, address)
            if failure.reason not in _MAY_BE_REFUSED:
                raise failure from error
