"""Which JSON may be stored: the values that a Struct can hold, up to a depth and a size. Each check raises a
typed error that names the place in the value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from waystation_domain import limits, pointers
from waystation_domain.errors import ContextTooLarge, InvalidStruct, shown


class Unstorable(Exception):
    """Found on the way through a value. `path` grows on the way out, innermost first, so that valid values
    cost nothing for paths."""

    def __init__(self, problem: str, advice: str = "Remove it.") -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.path: list[str] = []

    def refused(self, field: str) -> InvalidStruct:
        """The error for callers: it names the place and the problem."""
        place = shown(pointers.format(reversed(self.path)))
        return InvalidStruct(
            f'{field} contains {self.problem} at "{place}". {self.advice}',
            field=field,
            path=place,
            problem=self.problem,
        )


def check_json(value: Any, field: str, most_nodes: int = limits.MAX_NODES) -> None:
    """Raises InvalidStruct for what cannot be stored: NUL, NaN, infinity, whole numbers at or beyond 2^53,
    reserved member names, and more depth or nodes than allowed."""
    try:
        if _check(value, limits.MAX_DEPTH, limits.MAX_NODES) < limits.MAX_NODES - most_nodes:
            raise Unstorable(f"more than {most_nodes} nodes")
    except Unstorable as found:
        raise found.refused(field) from None


def _check(value: Any, depth_left: int, nodes_left: int) -> int:
    """Returns how many nodes may follow this value."""
    nodes_left -= 1
    if nodes_left < 0:
        raise Unstorable(f"more than {limits.MAX_NODES} nodes")
    if isinstance(value, str):
        check_string(value)
    elif isinstance(value, dict):
        if not depth_left:
            raise Unstorable(f"nesting deeper than {limits.MAX_DEPTH}")
        key = ""
        try:
            for key, inner in value.items():
                check_member(key)
                nodes_left = _check(inner, depth_left - 1, nodes_left)
        except Unstorable as found:
            found.path.append(str(key))
            raise
    elif isinstance(value, list):
        if not depth_left:
            raise Unstorable(f"nesting deeper than {limits.MAX_DEPTH}")
        at = 0
        try:
            for at, inner in enumerate(value):  # noqa: B007 - the handler below reads `at`
                nodes_left = _check(inner, depth_left - 1, nodes_left)
        except Unstorable as found:
            found.path.append(str(at))
            raise
    elif isinstance(value, (int, float)):
        check_double(value)
    elif value is not None:
        raise Unstorable(f"a {type(value).__name__}, which is not a JSON value,")
    return nodes_left


def check_double(number: float) -> None:
    """Raises Unstorable for NaN, infinity, and a whole number that a double may have rounded."""
    if isinstance(number, float):
        if not math.isfinite(number):
            raise Unstorable("NaN" if math.isnan(number) else "infinity")
        if not number.is_integer():
            return
    if abs(number) > limits.LARGEST_INTEGER:
        raise Unstorable("an integer of 2^53 or more", "Send it as a string.")


def check_member(name: object) -> None:
    """Raises Unstorable for a member name that cannot be stored or is reserved."""
    check_string(name)
    if isinstance(name, str) and name.startswith(pointers.RESERVED):
        raise Unstorable(
            f'a member name that begins with "{pointers.RESERVED}", which is reserved,',
            "Choose another name.",
        )


def check_string(text: object) -> None:
    """Raises Unstorable for a NUL, a lone surrogate, and a key that is not a string."""
    if not isinstance(text, str):
        raise Unstorable("a key that is not a string")
    if "\0" in text:
        raise Unstorable("a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unstorable("a lone surrogate") from None


def number_of_nodes(value: Any) -> int:
    """Of a value that has passed `check_json`."""
    return limits.MAX_NODES - _check(value, limits.MAX_DEPTH, limits.MAX_NODES)


def check_context(data: Any, size_of: Callable[[Any], int]) -> None:
    """Raises InvalidStruct or ContextTooLarge for a context that a change must not produce."""
    check_json(data, "data")
    limits.check_size(size_of(data), "data", error=ContextTooLarge)
