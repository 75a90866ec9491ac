"""Whether a JSON value is what a JSON Schema describes, as far as forms for people need it.

Known: type, enum, const, properties, required, additionalProperties, items, anyOf, oneOf, allOf, $ref into
the schema itself, and the limits of numbers, texts and lists. Whatever else a schema says, or says in a wrong
way, is passed by: the command line warns of what is surely wrong, and the reader of the data judges the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
}

_LIMITS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value: value, lambda size, limit: size >= limit, "is below {}"),
    "maximum": (lambda value: value, lambda size, limit: size <= limit, "is above {}"),
    "exclusiveMinimum": (lambda value: value, lambda size, limit: size > limit, "is not above {}"),
    "exclusiveMaximum": (lambda value: value, lambda size, limit: size < limit, "is not below {}"),
    "minLength": (len, lambda size, limit: size >= limit, "is shorter than {} characters"),
    "maxLength": (len, lambda size, limit: size <= limit, "is longer than {} characters"),
    "minItems": (len, lambda size, limit: size >= limit, "has fewer than {} items"),
    "maxItems": (len, lambda size, limit: size <= limit, "has more than {} items"),
}

_DEEPEST = 50
"""A schema that refers to itself without end must not take the program with it."""


def faults(schema: Any, value: Any) -> list[str]:
    """What is wrong with the value, each with its place; empty: none that it knows."""
    return list(_faults(schema, value, "", schema, 0))


def types_of(schema: Any) -> list[str]:
    """The types that a schema names; empty: any."""
    named = schema.get("type") if isinstance(schema, Mapping) else None
    return [named] if isinstance(named, str) else [str(each) for each in _list(named)]


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members that a schema describes, by name."""
    described = schema.get("properties")
    return described if isinstance(described, Mapping) else {}


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """The members that a schema requires."""
    return [name for name in _list(schema.get("required")) if isinstance(name, str)]


def _faults(schema: Any, value: Any, place: str, root: Any, depth: int) -> Iterator[str]:
    if schema is False:
        yield f"{_named(place)} is not expected"
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _faults(_referred(reference, root), value, place, root, depth + 1)
    types = [each for each in types_of(schema) if each in _TYPES]
    if types and not any(_TYPES[each](value) for each in types):
        yield f"{_named(place)} must be {_either(types)}"
        return
    allowed = _list(schema.get("enum"))
    if allowed and not any(_same(value, each) for each in allowed):
        yield f"{_named(place)} must be {_either(map(repr, allowed))}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{_named(place)} must be {schema['const']!r}"
    yield from _beyond_limits(schema, value, place)
    for word in ("anyOf", "oneOf"):
        choices = _list(schema.get(word))
        if choices and all(list(_faults(each, value, place, root, depth + 1)) for each in choices):
            yield f"{_named(place)} is none of what is possible"
    for each in _list(schema.get("allOf")):
        yield from _faults(each, value, place, root, depth + 1)
    if isinstance(value, dict):
        yield from _of_members(schema, value, place, root, depth)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(
                schema.get("items", True), item, f"{place}/{number}", root, depth + 1
            )


def _of_members(
    schema: Mapping[str, Any], value: dict[str, Any], place: str, root: Any, depth: int
) -> Iterator[str]:
    properties = properties_of(schema)
    for name in required_of(schema):
        if name not in value:
            yield f"{_named(f'{place}/{name}')} is missing"
    for name, member in value.items():
        rule = properties.get(name, schema.get("additionalProperties", True))
        yield from _faults(rule, member, f"{place}/{name}", root, depth + 1)


def _beyond_limits(schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    for word, (measured, holds, says) in _LIMITS.items():
        if measured is len:
            applies = isinstance(value, list if word.endswith("Items") else str)
        else:
            applies = _is_number(value)
        limit = schema.get(word)
        if applies and _is_number(limit) and not holds(measured(value), limit):
            yield f"{_named(place)} {says.format(limit)}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and isinstance(value, str):
        try:
            matches = re.search(pattern, value) is not None
        except re.error:
            return
        if not matches:
            yield f"{_named(place)} does not match {pattern}"


def _referred(reference: str, root: Any) -> Any:
    found = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found.get(step, True) if isinstance(found, Mapping) else True
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _list(found: Any) -> list[Any]:
    """What a schema has where it should have a list; none where it has something else, such as the
    `required: true` of a single member."""
    return found if isinstance(found, list) else []


def _same(one: Any, other: Any) -> bool:
    """True is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _either(words: Any) -> str:
    return " or ".join(words)


def _named(place: str) -> str:
    return place or "it"
