"""JSON values as the contract carries them: checked, copied, and walked to and from Struct.

The walkers are written by hand because every event passes them twice and `json_format` takes about
three times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from google.protobuf import struct_pb2

Json = Any
"""None, bool, int, float, str, list or dict with str keys, all the way down."""

LARGEST_EXACT = 2**53 - 1
RESERVED_MEMBER = "$waystation."
"""Prefixes of reserved member names."""
MAX_DEPTH = 16
_INSTEAD = {
    "date": "use .isoformat()",
    "datetime": "use .isoformat()",
    "time": "use .isoformat()",
    "timedelta": "use .total_seconds()",
    "Decimal": "use str(), or float() if it may be rounded",
    "UUID": "use str()",
    "set": "use sorted()",
    "frozenset": "use sorted()",
    "bytes": "use base64",
}


@runtime_checkable
class Copyable(Protocol):
    """A view of JSON that can make a plain copy of itself."""

    def _plain(self) -> Json: ...


@runtime_checkable
class Model(Protocol):
    """An object that can convert itself to JSON, such as a pydantic model."""

    def model_dump(self, *, mode: str, by_alias: bool) -> Any: ...


class _Unfit(Exception):
    """A value that is no JSON; collects the path to it while the walk unwinds."""

    def __init__(self, kind: type[Exception], problem: str) -> None:
        self.kind = kind
        self.problem = problem
        self.tokens: list[str] = []


def escape(token: str) -> str:
    """One token of a JSON Pointer (RFC 6901)."""
    if "~" in token or "/" in token:
        return token.replace("~", "~0").replace("/", "~1")
    return token


def parse_pointer(pointer: str) -> list[str]:
    """The tokens of a JSON Pointer. Raises ValueError for an invalid one."""
    if not pointer:
        return []
    if pointer[0] != "/":
        raise ValueError(f"{pointer!r} is not a JSON Pointer: it must start with a slash")
    tokens = pointer[1:].split("/")
    if "~" in pointer:
        tokens = [_unescape(token, pointer) for token in tokens]
    return tokens


def check_writable(pointer: str) -> None:
    """Raises ValueError for a reserved path."""
    if f"/{RESERVED_MEMBER}" in pointer:
        raise ValueError(f"at {pointer}: names that begin with {RESERVED_MEMBER!r} are reserved")


def _unescape(token: str, pointer: str) -> str:
    rest = token.replace("~0", "").replace("~1", "")
    if "~" in rest:
        raise ValueError(f"{pointer!r} is not a JSON Pointer: ~ must be followed by 0 or 1")
    return token.replace("~1", "/").replace("~0", "~")


def plain(value: object, path: str) -> Json:
    """A deep copy of the value made of dict, list, str, int, float, bool and None only.

    Raises TypeError or ValueError, naming the place below `path`, for what JSON or the contract
    can't hold: other types, keys that are no str or reserved, NaN, infinity, NUL, whole numbers at or
    beyond 2^53, nesting deeper than 16.
    """
    try:
        return _plain(value, 0)
    except _Unfit as unfit:
        raise _named(unfit, path) from None


def check_member(name: object, path: str) -> None:
    """Raises TypeError or ValueError for an invalid member name of the object at `path`."""
    try:
        _key(name)
    except _Unfit as unfit:
        raise _named(unfit, path) from None


def write_struct(value: object, into: struct_pb2.Struct, path: str) -> None:
    """Writes a mapping into an empty Struct. Raises as `plain` does."""
    if type(value) is not dict:
        if isinstance(value, (Copyable, Model)):
            value = _odd(value)
        if not isinstance(value, Mapping):
            raise TypeError(f"at {path}: expected an object, found {type(value).__name__}")
    try:
        _write_fields(value, into.fields, 1)
    except _Unfit as unfit:
        raise _named(unfit, path) from None


def write_value(value: object, into: struct_pb2.Value, path: str) -> None:
    """Writes any value into an empty Value. Raises as `plain` does."""
    try:
        _write(value, into, 0)
    except _Unfit as unfit:
        raise _named(unfit, path) from None


def read_struct(struct: struct_pb2.Struct) -> dict[str, Json]:
    """The Struct as a fresh dict. Whole numbers come as int."""
    fields = struct.fields
    result: dict[str, Json] = {}
    # Keys and a lookup are faster here than items(), which is written in Python; so is handling the usual
    # kinds without a call.
    for key in fields:
        value = fields[key]
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            result[key] = value.string_value
        elif kind == "number_value":
            result[key] = canonical(value.number_value)
        else:
            result[key] = read_value(value)
    return result


def read_value(value: struct_pb2.Value) -> Json:
    """The Value as a fresh plain value. Whole numbers come as int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return read_struct(value.struct_value)
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return canonical(value.number_value)
    if kind == "list_value":
        return [read_value(item) for item in value.list_value.values]
    return value.bool_value if kind == "bool_value" else None


def canonical(number: float) -> int | float:
    """A double as tasks see it: whole numbers as int."""
    return int(number) if number.is_integer() else number


def as_number(value: object, path: str) -> int | float:
    """Returns the value. Raises TypeError if it is no number, and as `plain` does."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"at {path}: {type(value).__name__}, not a number")
    number: int | float = plain(value, path)
    return number


def copied(value: Json) -> Json:
    """A deep copy of what is already plain."""
    kind = type(value)
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    return value


def equal(a: Json, b: Json) -> bool:
    """Equality of plain JSON values: 1 equals 1.0, and neither equals true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(equal(value, b[key]) for key, value in a.items())
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def _named(unfit: _Unfit, path: str) -> Exception:
    place = path + "".join("/" + escape(token) for token in reversed(unfit.tokens))
    return unfit.kind(f"at {place or 'the root'}: {unfit.problem}")


def _text(value: str) -> str:
    if "\0" in value:
        raise _Unfit(ValueError, "the text contains a NUL character, which cannot be stored")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Unfit(ValueError, "the text contains half a surrogate pair") from None
    return value


def _number(value: float) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Unfit(ValueError, f"{value} is not a JSON number")
        if not value.is_integer():
            return value
    if -LARGEST_EXACT <= value <= LARGEST_EXACT:
        return value
    raise _Unfit(ValueError, "integers of 2^53 or more lose digits as JSON numbers; store a str")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise _Unfit(TypeError, f"keys must be str, not {key!r}")
    name = _text(str.__str__(key))
    if name.startswith(RESERVED_MEMBER):
        raise _Unfit(
            ValueError, f"{name!r}: names that begin with {RESERVED_MEMBER!r} are reserved"
        )
    return name


def _odd(value: object) -> Json:
    """Everything else: views, models, subclasses, other mappings and sequences."""
    if isinstance(value, Copyable):
        return value._plain()
    if isinstance(value, Model) and not isinstance(value, type):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    raise _Unfit(
        TypeError,
        f"{type(value).__name__} is not a JSON value; {_instead_of(value)}",
    )


def _instead_of(value: object) -> str:
    """What to store for a value of a type that JSON does not have."""
    if isinstance(value, Enum):
        return "use its .value"
    if is_dataclass(value) and not isinstance(value, type):
        return "use dataclasses.asdict()"
    # By name, so that no module is imported for it.
    return _INSTEAD.get(type(value).__name__, "use str, int, float, bool, None, list or dict")


def _deep(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Unfit(ValueError, f"nested deeper than {MAX_DEPTH}")


def _plain(value: object, depth: int) -> Json:
    kind = type(value)
    if kind is str:
        return _text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return _number(value)  # type: ignore[arg-type]
    if kind is dict:
        _deep(depth + 1)
        result: dict[str, Json] = {}
        for key, item in value.items():  # type: ignore[attr-defined]
            name = _key(key)
            try:
                result[name] = _plain(item, depth + 1)
            except _Unfit as unfit:
                unfit.tokens.append(name)
                raise
        return result
    if kind is list:
        _deep(depth + 1)
        items: list[Json] = []
        for item in value:  # type: ignore[attr-defined]
            try:
                items.append(_plain(item, depth + 1))
            except _Unfit as unfit:
                unfit.tokens.append(str(len(items)))
                raise
        return items
    return _plain(_odd(value), depth)


def _write_fields(
    value: Mapping[Any, object], fields: MutableMapping[str, struct_pb2.Value], depth: int
) -> None:
    _deep(depth)
    for key, item in value.items():
        name = _key(key)
        try:
            _write(item, fields[name], depth)
        except _Unfit as unfit:
            unfit.tokens.append(name)
            raise


def _write(value: object, into: struct_pb2.Value, depth: int) -> None:
    kind = type(value)
    if kind is str:
        into.string_value = _text(value)  # type: ignore[arg-type]
    elif kind is bool:
        into.bool_value = value  # type: ignore[assignment]
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif kind is int or kind is float:
        into.number_value = _number(value)  # type: ignore[arg-type]
    elif kind is dict:
        struct = into.struct_value
        # An empty object is a value too.
        struct.SetInParent()
        _write_fields(value, struct.fields, depth + 1)  # type: ignore[arg-type]
    elif kind is list:
        _deep(depth + 1)
        items = into.list_value
        items.SetInParent()
        add = items.values.add
        for index, item in enumerate(value):  # type: ignore[arg-type, var-annotated]
            try:
                _write(item, add(), depth + 1)
            except _Unfit as unfit:
                unfit.tokens.append(str(index))
                raise
    else:
        _write(_odd(value), into, depth)
