"""Proto JSON for scripts: one document on standard output.

Field names are those of the contract (snake_case). Fields at their default are there too, so that
a script need not know which ones are left out; only absent messages and `optional` fields are
absent. As everywhere in proto JSON, int64 values are strings.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from waystation_domain.limits import LARGEST_INTEGER


def as_dict(message: Message) -> dict[str, Any]:
    """The message as JSON members."""
    parsed: dict[str, Any] = _whole_numbers(
        json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
    return parsed


def as_value(message: Value) -> Any:
    """The JSON value that it holds."""
    return _whole_numbers(json_format.MessageToDict(message))


def print_message(message: Message) -> None:
    """Prints one message."""
    print_document(as_dict(message))


def print_messages(messages: Iterable[Message]) -> None:
    """Prints several messages as one array."""
    print_document([as_dict(message) for message in messages])


def print_line(message: Message) -> None:
    """Prints one message as one line, at once: what reads a stream must not wait for more."""
    print(_text(as_dict(message)), flush=True)


def print_document(document: Any) -> None:
    """Prints what json can print."""
    print(_text(document, indent=2))


def _text(document: Any, indent: int | None = None) -> str:
    """As JSON that means the same in every locale: escaped where characters might not be written."""
    try:
        in_utf8 = codecs.lookup(sys.stdout.encoding or "").name == "utf-8"
    except LookupError:
        in_utf8 = False
    return json.dumps(document, ensure_ascii=not in_utf8, indent=indent)


def _whole_numbers(value: Any) -> Any:
    """Doubles that are whole, written as they were given: 120, not 120.0."""
    if isinstance(value, dict):
        return {key: _whole_numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return int(value)
    return value
