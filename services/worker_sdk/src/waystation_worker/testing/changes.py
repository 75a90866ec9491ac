"""Changes of data, by the engine's rules: how they apply, when two of them conflict, what is too large.

Small because the SDK's answers are: they never name a place inside a list. Only the answer to a question
may go there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from waystation.v1 import operation_pb2
from waystation_worker.values import (
    LARGEST_EXACT,
    MAX_DEPTH,
    Json,
    canonical,
    copied,
    equal,
    read_value,
)
from waystation_worker.values import parse_pointer as parse

MAX_BYTES = 1024 * 1024
MAX_NODES = 10_000
MAX_CHANGE_BYTES = 2 * MAX_BYTES
MAX_DETAILS_BYTES = 64 * 1024

_COMMUTING = ("increment", "append", "add_to_set", "maximum")


class Change(NamedTuple):
    """One change of the data. Equals the plain tuple, such as `("set", "/valid", True)`.

    `kind`: set, remove, increment, append, add_to_set, maximum. `path`: a JSON Pointer.
    """

    kind: str
    path: str
    value: Json = None


LIMITS = ("CONTEXT_TOO_LARGE", "PAYLOAD_TOO_LARGE", "TOO_MANY_EVENTS")


class Fault(Exception):
    """An answer that the engine refuses for good, and the reason that it gives."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def read_changes(operations: operation_pb2.OperationList) -> list[Change]:
    """The changes of an answer."""
    changes = []
    for operation in operations.items:
        kind = operation.WhichOneof("kind") or ""
        value: Json = None
        if kind in ("increment", "maximum"):
            value = canonical(getattr(operation, kind))
        elif kind != "remove":
            value = read_value(getattr(operation, kind))
        changes.append(Change(kind, operation.path, value))
    return changes


def apply(data: dict[str, Json], changes: Iterable[Change]) -> dict[str, Json]:
    """The data after the changes; the given one stays as it was. Raises Fault."""
    root: dict[str, Json] = copied(data)
    for change in changes:
        tokens = parse(change.path)
        if not tokens:
            root = copied(change.value)
            continue
        holder: Json = root
        for token in tokens[:-1]:
            if isinstance(holder, list):
                holder = holder[_index(holder, token, change)]
            elif change.kind == "remove" and token not in holder:
                break
            else:
                holder = holder.setdefault(token, {})
            if not isinstance(holder, (dict, list)):
                raise _mismatch(change, holder)
        else:
            if isinstance(holder, list):
                _set_item(holder, tokens[-1], change)
            else:
                _change_member(holder, tokens[-1], change)
    return root


def _index(holder: list[Json], token: str, change: Change) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,8}", token) and int(token) < len(holder):
        return int(token)
    raise _mismatch(change, holder)


def _set_item(holder: list[Json], token: str, change: Change) -> None:
    if change.kind != "set":
        raise _mismatch(change, holder)
    if token == "-":  # noqa: S105 - a token of a pointer, no secret
        holder.append(copied(change.value))
    else:
        holder[_index(holder, token, change)] = copied(change.value)


def _change_member(holder: dict[str, Json], key: str, change: Change) -> None:
    kind, value = change.kind, copied(change.value)
    if kind == "remove":
        holder.pop(key, None)
    elif kind == "set":
        holder[key] = value
    elif kind in ("increment", "maximum"):
        new = _limited(float(value), change)
        if key in holder:
            old = holder[key]
            if isinstance(old, bool) or not isinstance(old, (int, float)):
                raise _mismatch(change, old)
            new = _limited(
                float(old) + new if kind == "increment" else max(float(old), new), change
            )
        holder[key] = canonical(new)
    else:
        items = holder.setdefault(key, [])
        if not isinstance(items, list):
            raise _mismatch(change, items)
        if kind == "append" or not any(equal(value, item) for item in items):
            items.append(value)


def _limited(number: float, change: Change) -> float:
    if abs(number) > LARGEST_EXACT:
        raise Fault("RESPONSE_INVALID", f"{change.kind} at {change.path} reaches 2^53")
    return number


def _mismatch(change: Change, found: Json) -> Fault:
    return Fault(
        "PATH_TYPE_MISMATCH", f"{change.kind} at {change.path} met a {type(found).__name__}"
    )


def in_conflict(reads: Iterable[str], changes: Sequence[Change], since: Sequence[Change]) -> bool:
    """Whether an answer that read these places and makes these changes has to be computed again
    because of what was changed since. Two places touch when one is the other or lies inside it;
    commuting changes of one kind at one place do not."""
    return any(
        any(_touch(place, other.path) for place in reads)
        or any(
            _touch(change.path, other.path)
            and not (change[:2] == other[:2] and change.kind in _COMMUTING)
            for change in changes
        )
        for other in since
    )


def _touch(a: str, b: str) -> bool:
    # What makes a list longer changes all of it.
    a, b = a.removesuffix("/-"), b.removesuffix("/-")
    return a == b or a.startswith(b + "/") or b.startswith(a + "/")


def check_size(
    value: Json,
    too_large: str,
    what: str,
    most_bytes: int = MAX_BYTES,
    most_nodes: int = MAX_NODES,
) -> None:
    """Raises Fault, with this reason for what has too many bytes, for a payload or data that the
    engine would not store."""
    check_bytes(value, too_large, what, most_bytes)
    nodes, depth = _measure(value)
    if nodes > most_nodes or depth > MAX_DEPTH:
        raise Fault(
            "RESPONSE_INVALID",
            f"{what} has {nodes} values, {depth} levels deep; {most_nodes} and {MAX_DEPTH} are kept",
        )


def check_values(values: Sequence[Json], what: str) -> None:
    """Raises Fault for values that travel together and are too many."""
    nodes = sum(_measure(value)[0] for value in values)
    if nodes > MAX_NODES:
        raise Fault("CONTEXT_TOO_LARGE", f"{what} have {nodes} values; {MAX_NODES} are kept")


def check_change(changes: Sequence[Change]) -> None:
    """Raises Fault for changes that are too large as one entry of history."""
    size = sum(len(json_text([one.kind, one.path, one.value])) for one in changes)
    if size > MAX_CHANGE_BYTES:
        raise Fault(
            "CONTEXT_TOO_LARGE",
            f"the change has {size} bytes as JSON; at most {MAX_CHANGE_BYTES} are kept",
        )


def check_bytes(value: Json, too_large: str, what: str, most: int = MAX_BYTES) -> None:
    """Raises Fault, with this reason, for what has too many bytes."""
    size = len(json_text(value))
    if size > most:
        raise Fault(too_large, f"{what} has {size} bytes as JSON; at most {most} are kept")


def json_text(value: Json) -> bytes:
    """The value as the engine stores it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _measure(value: Json) -> tuple[int, int]:
    """How many values, and how deep containers lie in each other."""
    if not isinstance(value, (dict, list)):
        return 1, 0
    inner = [_measure(item) for item in (value.values() if isinstance(value, dict) else value)]
    return 1 + sum(nodes for nodes, _ in inner), 1 + max((depth for _, depth in inner), default=0)
