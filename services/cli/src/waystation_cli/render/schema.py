"""What became of a database's schema."""

from __future__ import annotations

from waystation_cli.render.text import stdout


def print_migrated(before: str | None, after: str) -> None:
    """Tells the version before and after."""
    if before == after:
        stdout().print(f"The schema is at version {after}; nothing to do.")
    else:
        stdout().print(f"The schema was migrated from version {before or 'none'} to {after}.")
