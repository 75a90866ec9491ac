"""What became of a database's schema."""

from __future__ import annotations

import sys

from waystation_cli.render.text import plain, stdout


def tell_stopped() -> None:
    """Tells on stderr what Ctrl-C left, and how to go on."""
    print(
        "Stopped. The steps are made together, so the schema is as it was; the same command migrates it.",
        file=sys.stderr,
    )


def print_migrated(before: str | None, after: str, *, dry_run: bool) -> None:
    """Tells the version before and after."""
    if before == after:
        stdout().print(f"The schema is at version {after}; nothing to do.")
    elif dry_run:
        stdout().print(
            f"The schema would be migrated from version {before or 'none'} to {after}; nothing was done."
        )
    else:
        stdout().print(f"The schema was migrated from version {before or 'none'} to {after}.")


def print_roles(servers: str, readers: str) -> None:
    """Tells what the roles are for."""
    stdout().print(
        plain(
            f"The role {servers} has the rights that servers need, {readers} those of a reader. Make logins that are "
            f"members of them: CREATE ROLE waystation_api LOGIN PASSWORD '...' IN ROLE \"{servers}\"."
        )
    )
