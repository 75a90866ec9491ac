"""Checks that every request needs, and the digest that identifies a repeated one."""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

from waystation_core.identity.principal import namespace_meant, no_such_namespace
from waystation_domain import limits
from waystation_domain.errors import InvalidField
from waystation_domain.model import DEFAULT_NAMESPACE


def check_namespace(namespace: str) -> str:
    """The namespace that is meant: the named one, or the caller's own. Raises NamespaceNotFound if there is
    none, or the caller has no role in it."""
    meant = namespace_meant(namespace)
    if meant != DEFAULT_NAMESPACE:
        raise no_such_namespace(meant)
    return meant


def check_instance_id(value: str) -> str:
    return limits.check_id(value, "workflow_instance_id")


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
    empties in the request."""
    for field in ("request_id", "namespace"):
        request.ClearField(field)
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
