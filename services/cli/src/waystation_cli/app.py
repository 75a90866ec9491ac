"""The command tree: which commands there are, in the order in which help lists them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from waystation_cli import outcome
from waystation_cli.commands import (
    changes,
    dead_letters,
    dev,
    flow,
    handlers,
    inbox,
    init,
    live,
    migrate,
    one_dead_letter,
    replays,
    shapes,
    starts,
    status,
    workflows,
)

_MEANT = {
    "abort": "cancel",
    "describe": "show",
    "get": "show",
    "kill": "cancel",
    "logs": "watch",
    "ls": "list",
    "ps": "list",
    "result": "wait",
    "server": "dev",
    "signal": "publish",
    "stop": "cancel",
    "terminate": "cancel",
    "why": "explain",
}
"""What other tools call it; the letters alone would suggest `migrate` for `terminate`."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as fault:
            # The library behind Typer puts words of its own before what Typer says of a value.
            for each in getattr(fault.__cause__, "errors", list)():
                if said := each.get("ctx", {}).get("error"):
                    fault.message = str(said)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in _MEANT and args[0] not in self.commands:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{_MEANT[args[0]]}'?")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="waystation",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Starts, watches and repairs workflows.",
    epilog=outcome.HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        # Only here: it takes a sixth of the time of every other command.
        from importlib.metadata import version

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


app.command("init")(init.init)
app.command("dev")(dev.dev)
app.command("migrate")(migrate.migrate)
app.command("start")(starts.start)
app.command("run", epilog=outcome.HELP)(starts.run)
app.command("wait", epilog=outcome.HELP)(starts.wait)
app.command("list")(workflows.list_workflows)
app.command("show")(workflows.show)
app.command("watch", epilog=outcome.HELP)(live.watch)
app.command("explain")(workflows.explain)
app.command("diff", epilog=outcome.HELP)(replays.diff)
app.command("replay", epilog=outcome.HELP)(replays.replay)
app.command("fork")(replays.fork)
app.command("inbox")(inbox.inbox)
app.command("input")(changes.provide_input)
app.command("publish")(changes.publish)
app.command("cancel")(changes.cancel)
app.command("status")(status.status)
app.command("top")(live.top)
app.command("lint", epilog=outcome.HELP)(flow.lint)
app.command("graph")(flow.graph)
app.command("schema")(shapes.schema)
app.add_typer(handlers.app, name="handlers")
dead_letters.app.command("show")(one_dead_letter.show)
dead_letters.app.command("edit")(one_dead_letter.edit)
app.add_typer(dead_letters.app, name="dead-letters")
