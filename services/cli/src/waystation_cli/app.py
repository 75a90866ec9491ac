"""The command line as Typer has it, made of the table of commands: the module of a command is imported when that
command is called, so that none waits for what only others need."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from waystation_cli import outcome
from waystation_cli.command_table import SECTIONS
from waystation_cli.command_table.command import Command, Group
from waystation_cli.command_table.other_names import MEANT
from waystation_cli.output import with_forms
from waystation_cli.quick_values import quicken
from waystation_cli.server_options import PROFILE_HELP, choose_profile, with_server_options


class _WithExamples(TyperCommand):
    """A command whose help ends with its examples."""

    examples: Mapping[str, str] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        quicken(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Examples"):
            for effect, typed in self.examples.items():
                # A line each, however long: it is there to be copied.
                formatter.write(f"  # {effect}\n  {typed}\n")
        super().format_epilog(ctx, formatter)


class _Commands(TyperGroup):
    """Commands that are listed and proposed by what the table says of them. The real one is loaded when it is
    called."""

    def __init__(
        self,
        *,
        sections: Mapping[str, tuple[Command | Group, ...]] = SECTIONS,
        meant: Mapping[str, str] = MEANT,
        **attributes: Any,
    ) -> None:
        super().__init__(**attributes)
        self._sections, self._meant = sections, meant
        self._entries = {each.name: each for section in sections.values() for each in section}
        for name, entry in self._entries.items():
            self.add_command(TyperCommand(name, help=entry.summary))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        quicken(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in self._meant and args[0] not in self._entries:
            words = " ".join([*ctx.command_path.split()[1:], self._meant[args[0]]])
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{words}'?")
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and _loaded(self._entries[str(name)]), rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self._entries))
        for heading, section in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(each.name.ljust(width), each.summary) for each in section])


def _loaded(entry: Command | Group) -> TyperCommand | TyperGroup:
    if isinstance(entry, Group):
        return _Commands(
            sections={"Commands": entry.commands},
            meant=entry.meant,
            name=entry.name,
            help=entry.summary,
            no_args_is_help=True,
            rich_markup_mode=None,
        )
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(
        entry.name,
        cls=_WithExamples,
        epilog=outcome.HELP if entry.answers else None,
    )(with_forms(with_server_options(_function(entry)), ids=entry.ids))
    command = get_command(alone)
    assert isinstance(command, _WithExamples)
    command.examples = entry.examples
    return command


def _function(entry: Command) -> Callable[..., Any]:
    module, _, name = entry.function.partition(":")
    function: Callable[..., Any] = getattr(
        importlib.import_module(f"waystation_cli.commands.{module}"), name
    )
    return function


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
    _profile: Annotated[
        str | None,
        typer.Option("--profile", callback=choose_profile, metavar="NAME", help=PROFILE_HELP),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass
