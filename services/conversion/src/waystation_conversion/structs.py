"""Between google.protobuf.Struct and plain dicts, with the limits enforced on the way in.

Written by hand because every event passes here several times: 13-18 us for a claim of 370 bytes,
where json_format takes 50-75. Scalars are handled in the loops of their containers, as a call for
each would double that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from waystation_domain.limits import LARGEST_INTEGER, MAX_DEPTH, MAX_NODES
from waystation_domain.storable import Unstorable, check_double, check_member


def to_dict(struct: Struct, field: str = "data") -> dict[str, Any]:
    """The Struct as a dict; whole numbers come as int, no negative zero.

    Raises InvalidStruct, naming `field` and the place, for NUL, NaN, infinity, whole numbers at or beyond
    2^53, reserved names of members, a value of no kind, and more depth or nodes than the limits.
    """
    try:
        return _Reader().object(struct.fields, MAX_DEPTH)
    except Unstorable as found:
        raise found.refused(field) from None


def from_value(value: Value, field: str = "data") -> Any:
    """One Value, as `to_dict` does it."""
    try:
        return _Reader().array((value,), MAX_DEPTH + 1)[0]
    except Unstorable as found:
        # The list was only borrowed for the walk.
        found.path.pop()
        raise found.refused(field) from None


class _Reader:
    """One walk; counts the nodes that may follow (the outermost is one)."""

    __slots__ = ("_nodes_left",)

    def __init__(self) -> None:
        self._nodes_left = MAX_NODES - 1

    def object(self, fields: Mapping[str, Value], depth_left: int) -> dict[str, Any]:
        self._enter(len(fields), depth_left)
        out: dict[str, Any] = {}
        key = ""
        try:
            for key, value in fields.items():
                if "\0" in key or "$" in key:
                    check_member(key)
                kind = value.WhichOneof("kind")
                if kind == "string_value":
                    text = value.string_value
                    if "\0" in text:
                        raise Unstorable("a NUL character")
                    out[key] = text
                elif kind == "number_value":
                    number = value.number_value
                    if number.is_integer() and -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
                        out[key] = int(number)
                    else:
                        check_double(number)
                        out[key] = number
                elif kind == "struct_value":
                    out[key] = self.object(value.struct_value.fields, depth_left - 1)
                elif kind == "bool_value":
                    out[key] = value.bool_value
                elif kind == "list_value":
                    out[key] = self.array(value.list_value.values, depth_left - 1)
                elif kind == "null_value":
                    out[key] = None
                else:
                    raise Unstorable("a Value without a kind")
        except Unstorable as found:
            found.path.append(key)
            raise
        return out

    def array(self, values: Sequence[Value], depth_left: int) -> list[Any]:
        self._enter(len(values), depth_left)
        out: list[Any] = []
        try:
            for value in values:
                kind = value.WhichOneof("kind")
                if kind == "string_value":
                    text = value.string_value
                    if "\0" in text:
                        raise Unstorable("a NUL character")
                    out.append(text)
                elif kind == "number_value":
                    number = value.number_value
                    if number.is_integer() and -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
                        out.append(int(number))
                    else:
                        check_double(number)
                        out.append(number)
                elif kind == "struct_value":
                    out.append(self.object(value.struct_value.fields, depth_left - 1))
                elif kind == "bool_value":
                    out.append(value.bool_value)
                elif kind == "list_value":
                    out.append(self.array(value.list_value.values, depth_left - 1))
                elif kind == "null_value":
                    out.append(None)
                else:
                    raise Unstorable("a Value without a kind")
        except Unstorable as found:
            found.path.append(str(len(out)))
            raise
        return out

    def _enter(self, size: int, depth_left: int) -> None:
        """Counts a container's members before any is read: a wide one costs nothing."""
        if depth_left <= 0:
            raise Unstorable(f"nesting deeper than {MAX_DEPTH}")
        self._nodes_left -= size
        if self._nodes_left < 0:
            raise Unstorable(f"more than {MAX_NODES} nodes")


def to_struct(data: Mapping[str, Any], into: Struct | None = None) -> Struct:
    """The dict as a Struct; `into`, when given, is cleared, filled and returned, so that a field of
    a message can be written in place. The data has passed the limits: nothing is checked again."""
    if into is None:
        struct = Struct()
    else:
        struct = into
        struct.Clear()
        # An empty object is an object, not an absent field.
        struct.SetInParent()
    _write_object(struct, data)
    return struct


def to_value(data: Any, into: Value | None = None) -> Value:
    """One Value, as `to_struct` does it."""
    value = Value() if into is None else into
    _write(value, data)
    return value


def _write_object(struct: Struct, data: Mapping[str, Any]) -> None:
    fields = struct.fields
    for key, value in data.items():
        if type(value) is str:
            fields[key].string_value = value
        else:
            _write(fields[key], value)


def _write_list(target: ListValue, data: Iterable[Any]) -> None:
    add = target.values.add
    for value in data:
        if type(value) is str:
            add().string_value = value
        else:
            _write(add(), value)


def _write(target: Value, value: Any) -> None:
    if value is None:
        target.null_value = 0  # type: ignore[assignment]  # the enum's only value, as an int
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise ValueError("NaN and infinity cannot be sent")
        target.number_value = value
    elif isinstance(value, dict):
        struct = target.struct_value
        struct.SetInParent()
        _write_object(struct, value)
    elif isinstance(value, (list, tuple)):
        items = target.list_value
        items.SetInParent()
        _write_list(items, value)
    else:
        raise TypeError(f"a {type(value).__name__} is not a JSON value")
