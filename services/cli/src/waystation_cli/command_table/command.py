"""What the table knows of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command. `function` is its place below `waystation_cli.commands`; `examples` are commands by what they do."""

    name: str
    summary: str
    function: str
    examples: Mapping[str, str]
    ids: bool = False
    """What it prints has ids, which `-o ids` prints alone."""
    answers: bool = False
    """Its exit code is an answer, which its help explains."""


@dataclass(frozen=True)
class Group:
    """Commands that are typed behind a word of their own, and what other tools call them."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    meant: Mapping[str, str]
