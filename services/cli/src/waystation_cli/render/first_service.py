"""What `waystation init` has written, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


class Written(NamedTuple):
    """A new service."""

    folder: Path
    files: Sequence[str]
    following: Sequence[str]
    """The commands of three terminals."""
    test: str
    environment: str
    """What a new terminal needs first; empty if nothing."""
    kit: str
    """What has to be installed for the test; empty if nothing."""


def print_written(written: Written, as_json: bool) -> None:
    """Prints where it is, and the commands that follow."""
    if as_json:
        print_document(
            {
                "folder": str(written.folder),
                "files": list(written.files),
                "next": list(written.following),
                "test": written.test,
            }
        )
        return
    out = stdout()
    out.print(plain(f"Wrote {', '.join(written.files)} to {written.folder}"), soft_wrap=True)
    out.print("Next, in this folder, each in a terminal of its own:", style="bold")
    for command in written.following:
        out.print(plain(f"  {command}"), soft_wrap=True)
    if written.environment:
        out.print(plain(f"A new terminal needs `{written.environment}` first."), soft_wrap=True)
    needs = f", but an installed {written.kit}" if written.kit else ""
    out.print(f"The test needs no server{needs}:", style="bold")
    out.print(plain(f"  {written.test}"), soft_wrap=True)
