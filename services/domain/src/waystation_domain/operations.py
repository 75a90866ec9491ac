"""Operations: the one form in which changes of data are computed, stored and folded.

Every other form of a change (merge patch, replacement) is converted to operations first, so history has one
form, and folding it gives the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from waystation_domain import limits, pointers, storable, units
from waystation_domain.errors import (
    ContextTooLarge,
    InvalidPath,
    PathTypeMismatch,
    ResponseInvalid,
    shown,
)

Json = Any
"""None, bool, int, float, str, list or dict with str keys, all the way down."""

COMMUTING = frozenset({"increment", "append", "add_to_set", "maximum"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of one place. `value` is None for remove and a number for increment and maximum. The value
    is shared, not copied: do not change it."""

    path: str
    kind: str
    value: Json = None


def canonical(number: float) -> int | float:
    """A double as it is stored: whole numbers as int, without negative zero."""
    value = float(number)
    return int(value) if value.is_integer() else value


def json_equal(a: Json, b: Json) -> bool:
    """Equality of JSON values: 1 equals 1.0, and neither equals true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(json_equal(value, b[key]) for key, value in a.items())
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(json_equal, a, b))
    return bool(a == b)


def apply(data: dict[str, Json], operations: Sequence[Operation]) -> dict[str, Json]:
    """The data after the operations, in order. The input is not changed; unchanged parts are shared between
    both, so neither may be changed in place later.

    Raises PathTypeMismatch if a path meets a value of another type, InvalidPath if it is not a pointer or is
    reserved, ResponseInvalid if a number grows to 2^53 or beyond.
    """
    root: dict[str, Json] = data
    # Containers created by this call, by id: only these are changed in place. Kept here so that ids stay
    # unique.
    own: dict[int, Json] = {}
    for operation in operations:
        tokens = pointers.parse_for_writing(operation.path)
        if not tokens:
            root = _new_root(operation)
            continue
        if id(root) not in own:
            root = dict(root)
            own[id(root)] = root
        _change(root, tokens, operation, own)
    return root


def _new_root(operation: Operation) -> dict[str, Json]:
    if operation.kind == "set" and isinstance(operation.value, dict):
        return operation.value
    problem = "the root can only be set, and only to an object"
    raise InvalidPath(
        f'The path "" is not allowed here: {problem}. Give the path of a member.',
        path="",
        problem=problem,
    )


def _change(
    root: dict[str, Json], tokens: pointers.Tokens, operation: Operation, own: dict[int, Json]
) -> None:
    """Walks to the container of the place, copies what is shared on the way, and changes it there."""
    makes_parents = operation.kind != "remove"
    container: Json = root
    for token in tokens[:-1]:
        if isinstance(container, dict):
            key: str | int = token
            if token in container:
                inner = container[token]
            elif makes_parents:
                inner = container[token] = {}
                own[id(inner)] = inner
            else:
                return
        else:
            at = _index(token, operation)
            if at is None or at >= len(container):
                if makes_parents:
                    raise _mismatch(operation, "list without that index")
                return
            key = at
            inner = container[at]
        if not isinstance(inner, (dict, list)):
            raise _mismatch(operation, _kind_of(inner))
        if id(inner) not in own:
            inner = inner.copy()
            own[id(inner)] = inner
            container[key] = inner
        container = inner
    if isinstance(container, dict):
        _change_member(container, tokens[-1], operation, own)
    else:
        _change_item(container, tokens[-1], operation, own)


def _change_member(
    container: dict[str, Json], key: str, operation: Operation, own: dict[int, Json]
) -> None:
    if operation.kind == "remove":
        container.pop(key, None)
    elif operation.kind == "set":
        container[key] = operation.value
    else:
        container[key] = _combined(key in container, container.get(key), operation, own)


def _change_item(
    container: list[Json], token: str, operation: Operation, own: dict[int, Json]
) -> None:
    at = _index(token, operation)
    if operation.kind == "remove":
        if at is not None and at < len(container):
            del container[at]
        return
    if at is None and operation.kind == "set":
        container.append(operation.value)
        return
    if at is None or at >= len(container):
        raise _mismatch(operation, "list without that index")
    if operation.kind == "set":
        container[at] = operation.value
    else:
        container[at] = _combined(True, container[at], operation, own)


def _index(token: str, operation: Operation) -> int | None:
    """The index that a token names in a list; None for `-`, one past the end."""
    if token == "-":  # noqa: S105 - a token of a pointer, no secret
        return None
    at = pointers.index(token)
    if at is None:
        raise _mismatch(operation, "list")
    return at


def _combined(present: bool, old: Json, operation: Operation, own: dict[int, Json]) -> Json:
    """The value after a commuting operation."""
    kind, value = operation.kind, operation.value
    if kind in ("increment", "maximum"):
        # Checked first, on its own: max() would ignore a NaN.
        _number(value, operation)
        if not present:
            return _number(value, operation)
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            raise _mismatch(operation, _kind_of(old))
        if kind == "increment":
            return _number(float(old) + float(value), operation)
        return _number(max(float(old), float(value)), operation)
    if kind not in ("append", "add_to_set"):
        raise ValueError(f"no such kind of operation: {kind!r}")
    if not present:
        items: list[Json] = [value]
    elif not isinstance(old, list):
        raise _mismatch(operation, _kind_of(old))
    else:
        if kind == "add_to_set" and any(json_equal(value, item) for item in old):
            return old
        if id(old) in own:
            old.append(value)
            return old
        items = [*old, value]
    own[id(items)] = items
    return items


def _number(number: float, operation: Operation) -> int | float:
    try:
        storable.check_double(number)
    except storable.Unstorable as found:
        raise ResponseInvalid(
            f'"{operation.kind}" at "{shown(operation.path)}" would produce {found.problem}. Correct '
            "the task; store larger numbers as strings.",
            path=shown(operation.path),
            problem="number out of range",
        ) from None
    return canonical(number)


def _kind_of(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "object"


def _mismatch(operation: Operation, found: str) -> PathTypeMismatch:
    return PathTypeMismatch(
        f'"{operation.kind}" at "{shown(operation.path)}" found a {found}. '
        "Correct the task or the data.",
        path=shown(operation.path),
        found=found,
    )


def check_size(operations: Sequence[Operation], size_of: Callable[[Json], int]) -> None:
    """Refuses with ContextTooLarge what would be too large as one entry of history."""
    limits.check_size(
        size_of([to_json(operation) for operation in operations]),
        "the change",
        limits.MAX_CHANGE_BYTES,
        ContextTooLarge,
    )


def patch_to_operations(patch: dict[str, Json], data: dict[str, Json]) -> list[Operation]:
    """The operations with the effect of the merge patch (RFC 7396) on `data`. They name every place of the
    patch, also if nothing is removed there, so that the conflict rule knows what the answer depended on.
    Raises ContextTooLarge if these paths alone are larger than a change may be."""
    operations: list[Operation] = []
    _merge("", patch, data, operations, 0)
    return operations


def _merge(
    path: str,
    patch: dict[str, Json],
    data: dict[str, Json],
    operations: list[Operation],
    named: int,
) -> int:
    """Adds the operations; returns the number of characters of all paths so far."""
    for key, value in patch.items():
        place = pointers.child(path, key)
        named += len(place)
        if named > limits.MAX_CHANGE_BYTES:
            raise ContextTooLarge(
                f"data_patch has paths of more than {units.size(limits.MAX_CHANGE_BYTES)} in total. "
                "Set larger parts of the data at once.",
                field="data_patch",
                limit_bytes=str(limits.MAX_CHANGE_BYTES),
            )
        if value is None:
            operations.append(Operation(place, "remove"))
        elif not isinstance(value, dict):
            operations.append(Operation(place, "set", value))
        elif isinstance(data.get(key), dict):
            named = _merge(place, value, data[key], operations, named)
        else:
            operations.append(Operation(place, "set", _without_nulls(value)))
    return named


def _without_nulls(patch: dict[str, Json]) -> dict[str, Json]:
    """The patch applied to an empty object; nulls inside lists stay."""
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in patch.items()
        if value is not None
    }


def replacement_to_operations(new_root: dict[str, Json]) -> list[Operation]:
    """The one operation that replaces all data."""
    return [Operation("", "set", new_root)]


def to_json(operation: Operation) -> list[Json]:
    """The stored form, such as `["set", "/a", 1]`."""
    if operation.kind == "remove":
        return ["remove", operation.path]
    return [operation.kind, operation.path, operation.value]


def from_json(stored: Sequence[Json]) -> Operation:
    """What `to_json` stored."""
    return Operation(stored[1], stored[0], stored[2] if len(stored) > 2 else None)


def write_of(operation: Operation) -> tuple[str, str]:
    """The place and kind that the conflict rule records. Removing a list item moves its neighbours and
    setting `-` extends the list, so both write the whole container. Whether it is a list is not known here;
    an object with such keys only conflicts a little more often."""
    path, kind = operation.path, operation.kind
    if kind == "remove" or (kind == "set" and path.endswith("/-")):
        last = path[path.rfind("/") + 1 :]
        if last == "-" or pointers.index(last) is not None:
            return pointers.parent(path), kind
    return path, kind
