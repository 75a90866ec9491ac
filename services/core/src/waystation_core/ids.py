"""New ids: UUIDv7, so that rows of about the same time are close together in their indexes (RFC 9562)."""

from __future__ import annotations

import re

from uuid_utils import uuid7

_OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUIDv7 in canonical text form; later ids of one process sort after earlier ones."""
    return str(uuid7())


def may_be_ours(text: str) -> bool:
    """Whether the text has the format of ids that `new_id` makes: the store rejects others with errors."""
    return _OURS.fullmatch(text) is not None
