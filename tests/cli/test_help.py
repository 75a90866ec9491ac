"""What `--help` says, what a mistyped command is told, and what neither of them has to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner, Result

from waystation_cli import command_table
from waystation_cli.app import app
from waystation_cli.command_table.command import Command
from waystation_cli.command_table.dead_letters import DEAD_LETTERS
from waystation_cli.command_table.installation import HANDLERS
from waystation_cli.command_table.other_names import MEANT

COMMANDS = dict(command_table.commands())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_the_list_says_of_it_and_shows_its_examples(name: str) -> None:
    command = COMMANDS[name]
    told = run(*name.split(), "-h")
    assert told.exit_code == 0
    assert told.stdout == run(*name.split(), "--help").stdout
    assert command.summary in " ".join(told.stdout.split())
    for effect, typed in command.examples.items():
        assert f"  # {effect}\n  {typed}\n" in told.stdout
    module, _, function = command.function.partition(":")
    written = inspect.getdoc(getattr(import_module(f"waystation_cli.commands.{module}"), function))
    assert written is not None
    assert written.splitlines()[0] == command.summary


@pytest.mark.parametrize("group", [[], ["handlers"], ["dead-letters"]], ids=str)
def test_a_list_of_commands_has_each_with_its_whole_sentence(group: list[str]) -> None:
    told = run(*group, "-h").stdout
    assert "..." not in told.partition("Show this message")[2]
    for name, command in COMMANDS.items():
        if name.split()[:-1] == group:
            assert command.summary in " ".join(told.split())


def test_commands_stand_in_sections_of_what_they_are_for() -> None:
    told = run("-h").stdout
    places = [told.index(f"\n{heading}:\n") for heading in command_table.SECTIONS]
    assert places == sorted(places)
    last = told[told.index("Look after an installation:") :]
    assert {"status", "top", "handlers"} <= set(last.split())
    assert "publish" not in last.split()


@pytest.mark.parametrize(
    ("group", "meant"),
    [([], MEANT), (["handlers"], HANDLERS.meant), (["dead-letters"], DEAD_LETTERS.meant)],
    ids=str,
)
def test_the_words_of_other_tools_are_understood(group: list[str], meant: dict[str, str]) -> None:
    for typed, ours in meant.items():
        words = " ".join([*group, ours])
        known = COMMANDS.keys() | {name.split()[0] for name in COMMANDS}
        assert words in known
        assert " ".join([*group, typed]) not in COMMANDS
        told = run(*group, typed, "x")
        assert (told.exit_code, f"Did you mean '{words}'?" in told.stderr) == (2, True)


@pytest.mark.parametrize(("typed", "meant"), [("lisst", "list"), ("explian", "explain")])
def test_a_slip_of_the_finger_is_told_what_comes_near(typed: str, meant: str) -> None:
    told = run(typed)
    assert (told.exit_code, f"Did you mean '{meant}'" in told.stderr) == (2, True)


SLOW = {"grpc", "rich", "pydantic", "google.protobuf", "asyncio"}
"""What takes its time to be imported."""


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["--help"], set()),
        (["dead-letters", "-h"], set()),
        (["lisst"], set()),
        (["list"], SLOW - {"pydantic"}),
        (["show", "x", "--at", "3"], SLOW - {"pydantic"}),
        (["dead-letters", "list", "-o", "json", "--limit", "5"], SLOW - {"pydantic"}),
    ],
    ids=lambda words: " ".join(sorted(words)) if isinstance(words, set) else " ".join(words),
)
def test_a_command_imports_only_what_it_needs(words: list[str], needed: set[str]) -> None:
    imported = _imported(words, {})
    assert imported & SLOW <= needed


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        ("waystation ", set()),
        ("waystation dead-letters re", set()),
        ("waystation list --sta", SLOW - {"pydantic"}),
    ],
)
def test_tab_imports_only_what_it_needs(typed: str, needed: set[str]) -> None:
    assert _imported([], completion(typed)) & SLOW <= needed


def completion(typed: str) -> dict[str, str]:
    words = typed.split(" ")
    return {
        "_WAYSTATION_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }


def test_tab_proposes_commands_with_what_they_say() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from waystation_cli.__main__ import main; main()"],
        env={**completion("waystation dead-letters r"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert told.stdout.split() == ["retry"]


def _imported(words: list[str], environment: dict[str, str]) -> set[str]:
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, file=open(1, 'w', closefd=False)))\n"
        f"sys.argv = ['waystation', *{words!r}]\n"
        "from waystation_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "WAYSTATION_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_every_entry_is_a_command_of_its_own() -> None:
    entries = [each for section in command_table.SECTIONS.values() for each in section]
    names = [each.name for each in entries]
    assert len(names) == len(set(names))
    assert sum(1 if isinstance(each, Command) else len(each.commands) for each in entries) == len(
        COMMANDS
    )
