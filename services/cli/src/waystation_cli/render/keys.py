"""A preshared key, shown once."""

from __future__ import annotations

import shlex
from pathlib import Path

from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


def print_new(name: str, file: Path, key: str, as_json: bool) -> None:
    """Prints the key, alone on its line, and the settings that follow."""
    if as_json:
        print_document({"name": name, "file": str(file), "key": key})
        return
    out = stdout()
    out.print(plain(f"Added a key of {name} to {file}"), soft_wrap=True)
    out.print("The key, which is shown only here:", style="bold")
    out.print(plain(f"  {key}"), soft_wrap=True)
    out.print("For API and routers, if it is not set yet:", style="bold")
    out.print(plain(f"  export WAYSTATION_KEYS_FILE={shlex.quote(str(file))}"), soft_wrap=True)
    out.print("Its holder types it at `waystation login`, or puts it into a file:", style="bold")
    out.print("  export WAYSTATION_TOKEN_FILE=FILE", soft_wrap=True)
