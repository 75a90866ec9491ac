"""Namespaces, between messages and the store."""

from __future__ import annotations

import math

from waystation.v1 import namespace_service_pb2
from waystation_conversion import set_timestamp
from waystation_core.ports.store import NamespaceUsage, StoredNamespace
from waystation_domain.errors import InvalidField, InvalidId, shown
from waystation_domain.namespaces import NamespaceLimits, check_namespace_name

_pb = namespace_service_pb2

MAX_DESCRIPTION = 1_000


def name_from_proto(name: str) -> str:
    """The name. Raises InvalidId."""
    try:
        return check_namespace_name(name)
    except ValueError as wrong:
        raise InvalidId(
            f'name "{shown(name)}" cannot be used: {wrong}.', field="name", value=shown(name)
        ) from None


def description_from_proto(description: str) -> str:
    """The description. Raises InvalidField."""
    if len(description) > MAX_DESCRIPTION:
        raise InvalidField(
            f"description has {len(description):,} characters; the limit is {MAX_DESCRIPTION:,}. "
            "Shorten it.",
            field="description",
            limit=str(MAX_DESCRIPTION),
        )
    return description


def limits_from_proto(limits: namespace_service_pb2.NamespaceLimits) -> NamespaceLimits:
    """The limits. Raises InvalidField for one that nothing could keep."""

    def whole(name: str) -> int | None:
        if not limits.HasField(name):
            return None
        value: int = getattr(limits, name)
        if value < 1:
            raise _too_small(name, value)
        return value

    rate = None
    if limits.HasField("max_starts_per_second"):
        rate = limits.max_starts_per_second
        if not math.isfinite(rate) or rate <= 0:
            raise _too_small("max_starts_per_second", rate)
    return NamespaceLimits(
        max_open_workflows=whole("max_open_workflows"),
        max_starts_per_second=rate,
        max_in_flight=whole("max_in_flight"),
        max_stored_bytes=whole("max_stored_bytes"),
    )


def _too_small(name: str, value: float) -> InvalidField:
    return InvalidField(
        f"limits.{name} is {value:g}, and must be above 0. Omit it for no limit.",
        field=f"limits.{name}",
    )


def namespace_to_proto(stored: StoredNamespace) -> namespace_service_pb2.Namespace:
    """The namespace as it is shown."""
    message = _pb.Namespace(name=stored.name, description=stored.description)
    message.limits.SetInParent()
    for name in NamespaceLimits.__dataclass_fields__:
        if (value := getattr(stored.limits, name)) is not None:
            setattr(message.limits, name, value)
    set_timestamp(message.created_at, stored.created_at)
    set_timestamp(message.updated_at, stored.updated_at)
    return message


def usage_to_proto(usage: NamespaceUsage) -> namespace_service_pb2.NamespaceUsage:
    """What it uses."""
    return _pb.NamespaceUsage(
        open_workflows=usage.open_workflows,
        workflows=usage.workflows,
        stored_bytes=usage.stored_bytes,
        handlers=usage.handlers,
    )
