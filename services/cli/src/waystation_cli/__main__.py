"""Starts the `waystation` command."""

from __future__ import annotations

import io
import sys

from waystation_cli.app import app
from waystation_cli.failures import EXIT_USAGE


def main() -> None:
    """Runs the command line of this process and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a character shows another one instead of failing.
            stream.reconfigure(errors="replace")
    for argument in sys.argv:
        if not argument.isprintable() and any("\ud800" <= each <= "\udfff" for each in argument):
            print(f"Error: {argument!r} is not UTF-8 text.", file=sys.stderr)
            sys.exit(EXIT_USAGE)
    app(prog_name="waystation")


if __name__ == "__main__":
    main()
