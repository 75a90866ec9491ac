"""Every place of a message where JSON, or metadata, comes in: found in the contract, so that a new one is
tried by the same tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from waystation_conversion.structs import to_struct, to_value

Write = Callable[[Any, Any], object]
"""Puts a value there, in a message that is empty but for what must be in it."""

_GIVEN = {
    "event_type": "a.b",
    "workflow_type": "order",
    "workflow_instance_id": "o-1",
    "dead_letter_id": "01890000-0000-7000-8000-000000000000",
    "at_sequence": 1,
    "path": "/x",
    "message": "?",
    "item_id": 1,
}
"""What must be said before anybody looks at what is beside it."""


def json_doors(kind: Descriptor) -> Iterator[tuple[str, Write]]:
    """Each place of a Struct or a Value, by its path."""
    for place, name, write in _doors(kind):
        if name == "google.protobuf.Struct":
            yield place, lambda message, value, write=write: to_struct(value, write(message))
        elif name == "google.protobuf.Value":
            yield place, lambda message, value, write=write: to_value(value, write(message))


def metadata_doors(kind: Descriptor) -> Iterator[tuple[str, Write]]:
    """Each place of metadata, by its path."""
    for place, name, write in _doors(kind):
        if name == "map":
            yield place, lambda message, value, write=write: write(message).update(value)


def prepared(message: Message) -> Message:
    """The message, with what it needs to be looked at further."""
    for field in message.DESCRIPTOR.fields:
        if field.name in _GIVEN and not field.is_repeated:
            setattr(message, field.name, _GIVEN[field.name])
        elif field.name == "then":
            prepared(getattr(message, field.name))
    return message


def _doors(kind: Descriptor) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    for field in kind.fields:
        inner, name = field.message_type, field.name
        if inner is None:
            continue
        if inner.GetOptions().map_entry:
            yield name, "map", lambda message, name=name: getattr(message, name)
        elif inner.file.package == "google.protobuf":
            yield name, inner.full_name, lambda message, name=name: getattr(message, name)
        else:
            for place, found, step in _doors(inner):

                def entered(
                    message: Any,
                    name: str = name,
                    many: bool = field.is_repeated,
                    step: Callable[[Any], Any] = step,
                ) -> Any:
                    below = getattr(message, name)
                    return step(prepared(below.add() if many else below))

                yield f"{name}.{place}", found, entered
