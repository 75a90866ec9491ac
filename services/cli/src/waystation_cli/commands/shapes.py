"""schema: the shape of what commands print for scripts."""

from __future__ import annotations

from typing import Annotated

import typer

from waystation_cli import shapes
from waystation_cli.render import documents


def schema(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="A command, such as dead-letters list; without it, all that have one are listed.",
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of what a command prints with --json.

    `failure` is the document that any command writes to standard error when it fails.
    """
    if not command:
        for each in shapes.commands():
            typer.echo(each)
        return
    name = " ".join(command)
    try:
        documents.print_document(shapes.of_command(name))
    except KeyError as error:
        raise typer.BadParameter(
            f"{name!r} prints no document; `waystation schema` lists those that do"
        ) from error
