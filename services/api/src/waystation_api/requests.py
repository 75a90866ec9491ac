"""What every request is checked for, and what makes a repeated one recognisable."""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

from waystation_domain import limits
from waystation_domain.errors import InvalidField, NamespaceNotFound, shown
from waystation_domain.model import DEFAULT_NAMESPACE


def check_namespace(namespace: str) -> str:
    """The namespace, `default` where none is named; NamespaceNotFound for any other one."""
    if namespace and namespace != DEFAULT_NAMESPACE:
        raise NamespaceNotFound(
            f"There is no namespace {shown(namespace)}; omit it for `{DEFAULT_NAMESPACE}`.",
            namespace=shown(namespace),
        )
    return DEFAULT_NAMESPACE


def check_instance_id(value: str) -> str:
    return limits.check_id(value, "workflow_instance_id")


def check_request_id(value: str) -> str | None:
    """The request_id; None where there is none."""
    return limits.check_id(value, "request_id") if value else None


def check_expected_version(value: int) -> int:
    if value < 1:
        raise InvalidField(
            "expected_version must be at least 1; omit it to accept any version.",
            field="expected_version",
        )
    return value


def check_sequence(value: int, field: str, last: int) -> int:
    """A sequence number of an instance's history, whose last one is given; raises InvalidField."""
    if not 1 <= value <= last:
        raise InvalidField(
            f"{field} must be 1-{last}(an entry of the history); ListHistory shows them.",
            field=field,
            version=str(last),
        )
    return value


def digest_of(request: Message) -> bytes:
    """Tells a repeated request from another one with the same id: of everything but the id itself
    and the namespace. It empties those two fields of the request."""
    for field in ("request_id", "namespace"):
        request.ClearField(field)
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
