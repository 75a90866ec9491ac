"""Messages as documents for scripts, one on standard output. `waystation schema` tells the shape of each.

Field names are those of the contract (snake_case). Every number is a number, spans too: seconds.
Values of enums have no prefix, as in tables and on the command line: FAILED. Times are RFC 3339 in UTC.
Fields at their default are there, so that a script need not know which ones are left out; only absent
messages and `optional` fields are absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from rich.highlighter import JSONHighlighter
from rich.text import Text

from waystation_cli.render import documents, names
from waystation_domain.limits import LARGEST_INTEGER

_NANOSECONDS = 1_000_000_000


def as_dict(message: Message) -> dict[str, Any]:
    """The message as JSON members."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Struct":
        members: dict[str, Any] = _whole_numbers(json_format.MessageToDict(message))
        return members
    return {
        field.name: _member(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def as_value(message: Value) -> Any:
    """The JSON value that it holds."""
    return _whole_numbers(json_format.MessageToDict(message))


def print_message(message: Message) -> None:
    """Prints one message."""
    documents.print_document(as_dict(message))


def print_items(messages: Iterable[Message], more: bool) -> None:
    """Prints a list, and whether there is more of it than was asked for."""
    documents.print_document({"items": [as_dict(message) for message in messages], "more": more})


def print_line(message: Message) -> None:
    """Prints one message of a stream, at once."""
    documents.print_one_of_many(as_dict(message))


def pretty(document: Any) -> Text:
    """The same for people, in colours."""
    return JSONHighlighter()(Text(documents.json_text(document, indent=2, sort_keys=True)))


def _member(field: Any, value: Any) -> Any:
    if not field.is_repeated:
        return _single(field, value)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = field.message_type.fields_by_name["value"]
        # Maps have no order of their own.
        return {str(key): _single(of, value[key]) for key in sorted(value)}
    return [_single(field, each) for each in value]


def _single(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return names.of_enum(field.enum_type, value)
    if field.message_type is None:
        return _whole_numbers(value)
    match field.message_type.full_name:
        case "google.protobuf.Timestamp":
            return value.ToJsonString()
        case "google.protobuf.Duration":
            return _whole_numbers((value.seconds * _NANOSECONDS + value.nanos) / _NANOSECONDS)
        case "google.protobuf.Value" | "google.protobuf.ListValue":
            return _whole_numbers(json_format.MessageToDict(value))
        case _:
            return as_dict(value)


def _whole_numbers(value: Any) -> Any:
    """Doubles that are whole, written as they were given: 120, not 120.0."""
    if isinstance(value, dict):
        return {key: _whole_numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return int(value)
    return value


def parse(document: Mapping[str, Any], message: Message) -> None:
    """Fills the message from what `as_dict` gives, or from proto JSON. Raises json_format.ParseError."""
    json_format.ParseDict(_proto_json(document, message.DESCRIPTOR), message)


def _proto_json(document: Any, descriptor: Any) -> Any:
    if not isinstance(document, Mapping):
        return document
    told = {}
    for key, value in document.items():
        field = descriptor.fields_by_name.get(key) or descriptor.fields_by_camelcase_name.get(key)
        told[key] = value if field is None else _proto_member(field, value)
    return told


def _proto_member(field: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_proto_member(field, each) for each in value]
    if field.enum_type is not None and isinstance(value, str):
        known = field.enum_type.values_by_name
        return value if value in known else names.prefix(field.enum_type) + value
    if field.message_type is None:
        return value
    if field.message_type.full_name == "google.protobuf.Duration":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return f"{value}s" if number else value
    if field.message_type.full_name.startswith("google.protobuf."):
        return value
    return _proto_json(value, field.message_type)
