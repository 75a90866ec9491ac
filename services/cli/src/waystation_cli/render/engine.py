"""What `waystation dev` says once it is ready."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from waystation_cli.connection import DEFAULT_ADDRESS
from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


def print_ready(
    address: str,
    data_dir: Path,
    database_url: str,
    as_json: bool,
    token_file: Path | None = None,
) -> None:
    """Prints the address and what to type next; returns when the output is flushed."""
    if as_json:
        document = {
            "address": address,
            "process_id": os.getpid(),
            "data_dir": str(data_dir),
            "database_url": database_url,
        }
        if token_file is not None:
            document["token_file"] = str(token_file)
        print_document(document)
    else:
        out = stdout()
        out.print(f"Waystation is ready at {address}", style="bold green")
        out.print(plain(f"Data directory: {data_dir}. Ctrl-C stops it."), soft_wrap=True)
        out.print("In another terminal:", style="bold")
        if address != DEFAULT_ADDRESS:
            out.print(f"  export WAYSTATION_ADDRESS={address}")
        if token_file is not None:
            place = shlex.quote(str(token_file))
            out.print(plain(f"  export WAYSTATION_TOKEN_FILE={place}"), soft_wrap=True)
        for command, what in _NEXT:
            out.print(f"  {command:28} {what}", soft_wrap=True)
    # A pipe is not flushed by a line's end.
    print(end="", flush=True)


_NEXT = (
    ("waystation init my-orders", "writes a service, and says how to run it"),
    ("waystation handlers list", "the services that run, and their tasks"),
    ("waystation watch @last", "follows the newest workflow"),
    ("waystation --help", "all the rest"),
)


def print_stopped(data_dir: Path) -> None:
    """Says that it ended in order."""
    stdout().print(plain(f"Stopped. The data is kept in {data_dir}"), soft_wrap=True)


def print_bad_settings(faults: Sequence[str]) -> None:
    """Tells every fault of the settings at once, on stderr."""
    print("Invalid settings:", file=sys.stderr)
    for fault in faults:
        print(plain(f"- {fault}"), file=sys.stderr)
