"""What is recorded of a call: who, from where, and what its request is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from waystation_core.identity.access import Denial
from waystation_core.identity.principal import Principal
from waystation_core.ports.store import AuditEntry
from waystation_core.rpc.audited import AUDITED
from waystation_core.rpc.peers import peer_address
from waystation_core.rpc.roles import ROLES

MOST_VALUES = 20
"""Values of one target; further ones are left out."""
LONGEST_VALUE = 300
LONGEST_NAME = 100


def entry_of(method: str, request: Message, principal: Principal, peer: str) -> AuditEntry:
    """The entry of a call of `method`, by its full name. `peer` is gRPC's."""
    fields: Any = request
    has = request.DESCRIPTOR.fields_by_name
    namespace = (fields.namespace or principal.own_namespace) if "namespace" in has else ""
    request_id = fields.request_id if "request_id" in has else ""
    return AuditEntry(
        principal=_storable(principal.name, LONGEST_VALUE),
        method=_storable(method.rpartition("/")[2], LONGEST_NAME),
        namespace=_storable(namespace, LONGEST_VALUE),
        peer=_storable(peer_address(peer), LONGEST_NAME),
        target=target_of(method, request),
        request_id=_storable(request_id, LONGEST_VALUE),
    )


def denied_entry(denial: Denial) -> AuditEntry:
    """The entry of a call that was refused before it was carried out, perhaps before it was read. A name of a
    method that does not exist is the caller's own, and left out."""
    return AuditEntry(
        principal=_storable(denial.principal, LONGEST_VALUE),
        method=denial.method.rpartition("/")[2] if denial.method in ROLES else "",
        namespace=_storable(denial.namespace, LONGEST_VALUE),
        peer=_storable(denial.peer, LONGEST_NAME),
        code=denial.error.code,
        reason=denial.error.reason,
    )


def target_of(method: str, request: Message) -> dict[str, str]:
    """The values of the fields that say what a request is about, by the fields' names."""
    found: dict[str, str] = {}
    for path in AUDITED.get(method, ()):
        for name, value in _values(request, path):
            if value and len(found) < MOST_VALUES:
                found[name] = _storable(value, LONGEST_VALUE)
    return found


def _values(message: Any, path: str) -> Iterator[tuple[str, str]]:
    """The values at a path such as `filter.task_ids`, each with its name: the last part of the path, numbered
    where there are several."""
    first, _, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name[first]
    value = getattr(message, first)
    if rest:
        if message.HasField(first):
            yield from _values(value, rest)
    elif field.is_repeated:
        several = len(value) > 1
        for at, one in enumerate(value[:MOST_VALUES]):
            yield (f"{first}[{at}]" if several else first), _text(field, one)
    elif field.message_type is not None:
        yield first, "true" if message.HasField(first) else ""
    else:
        yield first, _text(field, value)


def _text(field: Any, value: Any) -> str:
    if field.enum_type is not None or field.cpp_type != field.CPPTYPE_STRING:
        return str(value) if value else ""
    return str(value)


def _storable(text: str, longest: int) -> str:
    """The text as it may be stored and shown: cut, and without what a database cannot hold."""
    cut = text[:longest].replace("\0", "\N{REPLACEMENT CHARACTER}")
    # Half a surrogate pair, from escapes in a token's JSON.
    return cut.encode(errors="replace").decode()
