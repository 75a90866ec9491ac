"""Whether a JSON value is what a JSON Schema describes, as forms for people need it.

Schemas are written by handler teams, and the server does not check them. What is no valid part of a schema is passed
by: the command line warns of what is surely wrong, and the reader of the data judges the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def faults(schema: Any, value: Any) -> list[str]:
    """What is wrong with the value, each with its place in it; empty: nothing that is sure."""
    # Only here: few commands need them, and they take their time.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    found: list[ValidationError] = []
    try:
        # An empty registry: a reference to another place must not make this program ask the network.
        validator = Draft202012Validator(_valid_parts(schema), registry=Registry())
        found.extend(validator.iter_errors(value))
    except (Unresolvable, RecursionError):
        # A schema that refers to nothing, or to itself without end; what was found before it stands.
        pass
    return [_said(each.absolute_path, each.message) for each in found]


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


def _valid_parts(schema: Any) -> Any:
    """The schema without what the schema of schemas refuses, such as the `required: true` of a single member."""
    from jsonschema import Draft202012Validator

    if not isinstance(schema, (Mapping, bool)):
        return True
    checker = Draft202012Validator(
        Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    parts: Any = copy.deepcopy(schema)
    while fault := next(checker.iter_errors(parts), None):
        *path, last = fault.absolute_path
        holder = parts
        for step in path:
            holder = holder[step]
        del holder[last]
    return parts


def _list(found: Any) -> list[Any]:
    """What a schema has where it should have a list; none where it has something else."""
    return found if isinstance(found, list) else []


def _said(path: Iterable[str | int], message: str) -> str:
    place = "".join(f"/{step}" for step in path)
    return f"{place}: {message}" if place else message
