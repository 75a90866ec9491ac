"""Starts the `waystation` command."""

from __future__ import annotations

from waystation_cli.app import app


def main() -> None:
    """Runs the command line of this process and exits with its code."""
    app(prog_name="waystation")


if __name__ == "__main__":
    main()
