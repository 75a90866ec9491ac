"""Checks that every request needs, and the digest that identifies a repeated one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

from waystation_core.identity.existing_namespaces import existing_namespace
from waystation_core.identity.principal import namespace_meant
from waystation_core.tracing.trace_context import OF_TRACES
from waystation_domain import limits
from waystation_domain.errors import InvalidField

T = TypeVar("T")

Place: TypeAlias = tuple[str, str]
"""What an instance is known by: its namespace and its id."""


def check_namespace(namespace: str) -> str:
    """The namespace that is meant: the named one, or the caller's own. Raises NamespaceNotFound if there is
    none, or the caller has no role in it."""
    return existing_namespace(namespace_meant(namespace))


def check_instance_id(value: str) -> str:
    return limits.check_id(value, "workflow_instance_id")


def by_namespace(places: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    """What is asked of each namespace, each once."""
    found: dict[str, dict[T, None]] = {}
    for namespace, one in places:
        found.setdefault(namespace, {})[one] = None
    return {namespace: list(ones) for namespace, ones in found.items()}


def check_instance(request: Any) -> Place:
    """The instance that a request is about."""
    namespace = check_namespace(request.namespace)
    return namespace, check_instance_id(request.workflow_instance_id)


def check_request_id(value: str) -> str | None:
    """The request_id; None if there is none."""
    return limits.check_id(value, "request_id") if value else None


def check_expected_version(value: int) -> int:
    if value < 1:
        raise InvalidField(
            "expected_version must be at least 1; omit it to accept any version.",
            field="expected_version",
        )
    return value


def check_sequence(value: int, field: str, last: int) -> int:
    """Checks a sequence number of an instance's history against its last one; raises InvalidField."""
    if not 1 <= value <= last:
        raise InvalidField(
            f"{field} must be 1-{last} (an entry of the history); ListHistory shows them.",
            field=field,
            version=str(last),
        )
    return value


def digest_of(request: Message) -> bytes:
    """The digest that a repeated request has too: of everything but the id and the namespace, which it
    empties in the request, and the trace that it is made in."""
    for field in ("request_id", "namespace"):
        request.ClearField(field)
    metadata = getattr(request, "metadata", None)
    if metadata and any(name in metadata for name in OF_TRACES):
        untraced: Any = type(request)()
        untraced.CopyFrom(request)
        for name in OF_TRACES:
            untraced.metadata.pop(name, None)
        request = untraced
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
