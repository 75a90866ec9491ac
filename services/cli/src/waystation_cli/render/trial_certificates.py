"""What `waystation tls dev-certs` has made, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


class Made(NamedTuple):
    """Certificates in a folder."""

    folder: Path
    files: Sequence[str]
    ends_at: datetime
    following: Sequence[str]
    """Commands: the engine, a handler service, a client."""


def print_made(made: Made, as_json: bool) -> None:
    """Prints where they are, and the commands that use them."""
    if as_json:
        print_document(
            {
                "folder": str(made.folder),
                "files": list(made.files),
                "ends_at": made.ends_at.isoformat(timespec="seconds"),
                "next": list(made.following),
            }
        )
        return
    out = stdout()
    out.print(plain(f"Wrote {', '.join(made.files)} to {made.folder}"), soft_wrap=True)
    out.print(
        f"They are for a trial, and valid until {made.ends_at:%Y-%m-%d}. Only you can read the keys."
    )
    titles = ("The engine", "A handler service, such as `waystation init` writes", "A client")
    out.print("Next, each in a terminal of its own:", style="bold")
    for title, command in zip(titles, made.following, strict=True):
        out.print(f"{title}:")
        out.print(plain(f"  {command}"), soft_wrap=True)
