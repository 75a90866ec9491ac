"""Names of namespaces."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def check_namespace_name(name: object) -> str:
    """The name. Raises ValueError for one that no namespace may have."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "the name of a namespace has 1-63 characters of `[a-z0-9-]`, the first and last not `-`"
        )
    return name
