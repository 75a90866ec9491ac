"""Which commands there are: their sections in help, what each says of itself in a line, and two examples.

It imports nothing of the commands, so that `--help` and TAB need not load them; `app` does that for the
one that is called. Every example is typed by a test against a running system.

command         what the table knows of a command
workflows       to begin with; starting, looking at and acting on workflows
dead_letters    failed deliveries
installation    for operators
access          who may do what
other_names     what other tools call them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from waystation_cli.command_table.access import ACCESS
from waystation_cli.command_table.command import Command, Group
from waystation_cli.command_table.installation import INSTALLATION, SCHEMA
from waystation_cli.command_table.workflows import ACT, BEGIN, LOOK, START

__all__ = ["SECTIONS", "commands", "find"]

SECTIONS: Mapping[str, tuple[Command | Group, ...]] = {
    "Begin": BEGIN,
    "Start workflows": START,
    "Look at workflows": LOOK,
    "Act on workflows": ACT,
    "Look after an installation": (*INSTALLATION, *ACCESS, SCHEMA),
}


def commands() -> Iterator[tuple[str, Command]]:
    """Every command by the words that are typed for it."""
    for section in SECTIONS.values():
        for entry in section:
            if isinstance(entry, Command):
                yield entry.name, entry
            else:
                yield from ((f"{entry.name} {each.name}", each) for each in entry.commands)


def find(name: str) -> Command:
    """The command that is typed so. Raises KeyError."""
    return dict(commands())[name]
