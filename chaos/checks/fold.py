"""History folded into data, independently of the engine: what the operations' contract says."""

from typing import Any

Json = Any


class Unfoldable(Exception):
    """An operation cannot be applied where it stands."""


def fold(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The data after these entries, in JSON as the API writes it."""
    root: dict[str, Any] = {"": {}}
    for entry in history:
        for operation in entry.get("change", ()):
            _apply(root, operation)
    data: dict[str, Any] = root[""]
    return data


def _apply(root: dict[str, Any], operation: dict[str, Any]) -> None:
    path = operation.get("path", "")
    # The root is a member of an object too, so that it can be replaced like any other.
    tokens = ["", *(_unescape(token) for token in path.split("/")[1:])]
    parent: Json = root
    for token in tokens[:-1]:
        parent = _step(parent, token, path, make="remove" not in operation)
        if parent is None:
            return
    last = tokens[-1]
    if "set" in operation:
        _put(parent, last, operation["set"], path)
    elif "remove" in operation:
        _take(parent, last)
    elif "increment" in operation:
        _put(parent, last, (_get(parent, last) or 0) + operation["increment"], path)
    elif "maximum" in operation:
        there = _get(parent, last)
        _put(
            parent,
            last,
            operation["maximum"] if there is None else max(there, operation["maximum"]),
            path,
        )
    elif "append" in operation:
        _put(parent, last, [*(_get(parent, last) or []), operation["append"]], path)
    elif "add_to_set" in operation:
        there = _get(parent, last) or []
        value = operation["add_to_set"]
        _put(parent, last, there if value in there else [*there, value], path)
    else:
        raise Unfoldable(f"an operation of no known kind at {path!r}")


def _step(parent: Json, token: str, path: str, *, make: bool) -> Json:
    if isinstance(parent, dict):
        if token not in parent:
            if not make:
                return None
            parent[token] = {}
        return parent[token]
    if isinstance(parent, list) and token.isdecimal() and int(token) < len(parent):
        return parent[int(token)]
    raise Unfoldable(f"there is no {token!r} on the way to {path!r}")


def _get(parent: Json, token: str) -> Json:
    if isinstance(parent, dict):
        return parent.get(token)
    return parent[int(token)]


def _put(parent: Json, token: str, value: Json, path: str) -> None:
    if isinstance(parent, dict):
        parent[token] = value
    elif isinstance(parent, list) and token == "-":
        parent.append(value)
    elif isinstance(parent, list) and token.isdecimal() and int(token) < len(parent):
        parent[int(token)] = value
    else:
        raise Unfoldable(f"nothing can be put at {path!r}")


def _take(parent: Json, token: str) -> None:
    if isinstance(parent, dict):
        parent.pop(token, None)
    elif isinstance(parent, list) and token.isdecimal() and int(token) < len(parent):
        del parent[int(token)]


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")
