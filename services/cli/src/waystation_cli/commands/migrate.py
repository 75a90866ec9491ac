"""migrate: bringing the schema of a database up to this release."""

from __future__ import annotations


def migrate() -> None:
    """Bring the database's schema up to this release."""
    raise NotImplementedError
