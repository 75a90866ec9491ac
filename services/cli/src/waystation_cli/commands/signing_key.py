"""signing-key: making a key that routers sign their calls with, and showing its public key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.output import AsJson
from waystation_cli.render import signing_key

if TYPE_CHECKING:
    # Only where it is called: other commands need nothing of the engine, and start faster without it.
    from waystation_core.identity.signatures import SigningKey

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file with the private key.")]


def new(file: File, as_json: AsJson = False) -> None:
    """Make a key, and print its public key.

    The private key is written to FILE, which only you can read. It overwrites nothing.
    """
    with reporting_failures(as_json):
        key = _written(file)
    signing_key.print_new(file.absolute(), key.public, as_json)


def show(file: File, as_json: AsJson = False) -> None:
    """Print the public key of a signing key."""
    with reporting_failures(as_json):
        key = _read(file)
    signing_key.print_public(file.absolute(), key.public, as_json)


def _written(file: Path) -> SigningKey:
    from waystation_core.identity.signatures import SigningKey

    key = SigningKey.new()
    try:
        # "x": it is made by nobody else, and is never readable by others, not for a moment.
        with open(
            file, "xb", opener=lambda path, flags: os.open(path, flags, mode=0o600)
        ) as opened:
            opened.write(key.pem())
    except FileExistsError:
        raise CommandFailed(
            code="ALREADY_EXISTS",
            reason="FILES_EXIST",
            message=f"{file.absolute()} exists already; nothing was written.",
            hint=f"Choose another name, or see what it is: `waystation signing-key show {file}`.",
            metadata={"files": str(file)},
        ) from None
    except OSError as error:
        raise CommandFailed(
            code="FAILED_PRECONDITION",
            reason="FOLDER_NOT_USABLE",
            message=f"{file.absolute()} cannot be written: {error.strerror}.",
            hint="Choose a folder that exists and that you may write to.",
            metadata={"folder": str(file.absolute().parent)},
        ) from error
    return key


def _read(file: Path) -> SigningKey:
    from waystation_core.identity.signatures import BadSigningKey, SigningKey

    try:
        return SigningKey.read(file)
    except BadSigningKey as bad:
        raise CommandFailed(
            code="FAILED_PRECONDITION",
            reason="SIGNING_KEY_NOT_USABLE",
            message=str(bad),
            hint="Make a key: `waystation signing-key new FILE`.",
            metadata={"file": str(file)},
        ) from None
