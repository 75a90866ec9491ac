"""Messages as a later release may send them: every enum has a value that nobody knows yet."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

UNKNOWN = 99

M = TypeVar("M", bound=Message)


def later(message: M) -> M:
    """The message with every enum in it unknown, unset ones too."""
    for field in message.DESCRIPTOR.fields:
        inner = getattr(message, field.name)
        if field.type == FieldDescriptor.TYPE_ENUM:
            # NullValue, of a Value, is not of the contract.
            if field.enum_type.file.package == "google.protobuf":
                continue
            if field.is_repeated:
                inner[:] = [UNKNOWN] * len(inner)
            elif field.containing_oneof is None:
                setattr(message, field.name, UNKNOWN)
        elif (
            field.message_type is None
            or field.message_type.file.package == "google.protobuf"
            or field.message_type.GetOptions().map_entry
        ):
            continue
        elif field.is_repeated:
            for one in inner:
                later(one)
        elif message.HasField(field.name):
            later(inner)
    return message
