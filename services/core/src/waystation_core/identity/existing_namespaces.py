"""Which namespaces exist, for the calls of one server."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from waystation_domain.errors import NamespaceNotFound
from waystation_domain.model import DEFAULT_NAMESPACE

_exists: ContextVar[Callable[[str], bool]] = ContextVar(
    "exists", default=lambda name: name == DEFAULT_NAMESPACE
)


def set_existing(exists: Callable[[str], bool]) -> None:
    """Sets what knows the namespaces, for the call that this task answers."""
    _exists.set(exists)


def existing_namespace(namespace: str) -> str:
    """The namespace. Raises NamespaceNotFound if there is none of that name."""
    if not _exists.get()(namespace):
        raise NamespaceNotFound.of(namespace)
    return namespace
