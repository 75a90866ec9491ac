"""Messages made from arguments of callers: what is of the wrong kind is named, which protobuf does not do."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from google.protobuf.descriptor import FieldDescriptor

from waystation_worker.arguments import flag, text, whole

P = ParamSpec("P")
M = TypeVar("M")

_MOST = 2**31 - 1


def message_of(kind: Callable[P, M], /, *args: P.args, **fields: P.kwargs) -> M:
    """The message with these fields. Raises TypeError or ValueError, naming the field, for a wrong one."""
    try:
        return kind(*args, **fields)
    except (TypeError, ValueError):
        # Only now, because this takes longer than making the message.
        descriptors = kind.DESCRIPTOR.fields_by_name  # type: ignore[attr-defined]
        for name, value in fields.items():
            if value is not None and name in descriptors:
                _check(descriptors[name], value)
        raise


def texts(values: Iterable[str], what: str) -> list[str]:
    """The texts. Raises TypeError for a single text, of which each character would count, and for other values."""
    if isinstance(values, str):
        raise TypeError(f"{what} must be a list; write [{values!r}]")
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a list, not {type(values).__name__}")
    return [text(one, f"{what}: an entry") for one in values]


def _check(field: FieldDescriptor, value: Any) -> None:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a mapping, not {type(value).__name__}")
        for key, entry in value.items():
            text(key, f"{name}: a key")
            text(entry, f"{name} {key!r}")
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if isinstance(value, (list, tuple)):
            texts(value, name)
        else:
            text(value, name)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        flag(value, name)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        whole(value, name, -_MOST, _MOST)


def request_id_of(given: str | None) -> str:
    """The caller's request id; else a new one, which makes a repetition of this call take effect once."""
    return given or str(uuid.uuid4())
