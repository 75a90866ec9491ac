"""The command tree: which commands there are, in the order in which help lists them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from waystation_cli.commands import (
    acting,
    dead_letters,
    dev,
    flow,
    handlers,
    migrate,
    past,
    reading,
    running,
    status,
    watching,
)

EPILOG = (
    "Exit codes: 0 success, 1 the call failed (`lint`: or it found errors), 2 wrong command line. `run`, "
    "`wait` and `watch` also: 5 the workflow failed or was cancelled; `run` and `wait` also: 3 it waits "
    "for input, 4 it is idle, 6 timeout. `diff` and `replay` also: 1 something differs."
)

app = typer.Typer(
    name="waystation",
    help="Starts, watches and repairs workflows.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"waystation {version('waystation-cli')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


app.command("dev")(dev.dev)
app.command("migrate")(migrate.migrate)
app.command("start")(running.start)
app.command("run", epilog=EPILOG)(running.run)
app.command("wait", epilog=EPILOG)(running.wait)
app.command("list")(reading.list_workflows)
app.command("show")(reading.show)
app.command("watch", epilog=EPILOG)(watching.watch)
app.command("explain")(reading.explain)
app.command("diff", epilog=EPILOG)(past.diff)
app.command("replay", epilog=EPILOG)(past.replay)
app.command("fork")(past.fork)
app.command("input")(acting.provide_input)
app.command("publish")(acting.publish)
app.command("cancel")(acting.cancel)
app.command("status")(status.status)
app.command("top")(watching.top)
app.command("lint")(flow.lint)
app.command("graph")(flow.graph)
app.add_typer(handlers.app, name="handlers")
app.add_typer(dead_letters.app, name="dead-letters")
