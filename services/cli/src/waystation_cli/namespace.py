"""The namespace that a command works in: `--namespace` or WAYSTATION_NAMESPACE, the same on every command that
calls a server. It is written into each request in one place, so no command can forget it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar

VARIABLE = "WAYSTATION_NAMESPACE"

_chosen: ContextVar[str] = ContextVar("namespace", default="")


def choose(name: str) -> Callable[[], None]:
    """Works in this namespace until what it returns is called."""
    before = _chosen.set(name)
    return lambda: _chosen.reset(before)


def chosen() -> str:
    """The namespace of the command that runs; empty: nothing was said."""
    return _chosen.get()


def to_namespace() -> list[str]:
    """The words that a command needs to work in this namespace when it is typed again."""
    name = chosen()
    return [] if name == os.environ.get(VARIABLE, "") else ["--namespace", name]
