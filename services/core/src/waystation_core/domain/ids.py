"""New ids: UUIDv7, so that rows of one time lie together in their indexes (RFC 9562)."""

from __future__ import annotations

from uuid_utils import uuid7


def new_id() -> str:
    """A UUIDv7 in canonical text form; later ids of one process sort after earlier ones."""
    return str(uuid7())
