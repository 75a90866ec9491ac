"""Names and limits of namespaces."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def check_namespace_name(name: object) -> str:
    """The name. Raises ValueError for one that no namespace may have."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "the name of a namespace has 1-63 characters of `[a-z0-9-]`, the first and last not `-`"
        )
    return name


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """Limits of one namespace. None does not limit."""

    max_open_workflows: int | None = None
    max_starts_per_second: float | None = None
    max_in_flight: int | None = None
    max_stored_bytes: int | None = None


NO_LIMITS = NamespaceLimits()
