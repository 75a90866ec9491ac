"""The command tree: which commands there are, in the order in which help lists them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from waystation_cli.commands import (
    changes,
    dead_letters,
    dev,
    flow,
    handlers,
    live,
    migrate,
    replays,
    starts,
    status,
    workflows,
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
app.command("start")(starts.start)
app.command("run", epilog=EPILOG)(starts.run)
app.command("wait", epilog=EPILOG)(starts.wait)
app.command("list")(workflows.list_workflows)
app.command("show")(workflows.show)
app.command("watch", epilog=EPILOG)(live.watch)
app.command("explain")(workflows.explain)
app.command("diff", epilog=EPILOG)(replays.diff)
app.command("replay", epilog=EPILOG)(replays.replay)
app.command("fork")(replays.fork)
app.command("input")(changes.provide_input)
app.command("publish")(changes.publish)
app.command("cancel")(changes.cancel)
app.command("status")(status.status)
app.command("top")(live.top)
app.command("lint")(flow.lint)
app.command("graph")(flow.graph)
app.add_typer(handlers.app, name="handlers")
app.add_typer(dead_letters.app, name="dead-letters")
