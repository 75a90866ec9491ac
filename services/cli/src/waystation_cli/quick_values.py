"""Values of options and arguments without the library that Typer has for them: its import takes a third of the time
of a short command, which needs texts, whole numbers, flags and choices."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import typer

_Read = Callable[[Any], Any]


class _Quick:
    """In the place of what Typer calls a runtime parameter."""

    def __init__(self, read: _Read) -> None:
        self._read = read

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value that was typed, or the default."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        try:
            return [self._read(each) for each in value] if several else self._read(value)
        except ValueError as fault:
            raise typer.BadParameter(str(fault), ctx=ctx, param=param) from fault


def quicken(parameters: Iterable[Any]) -> None:
    """Lets the parameters of these kinds read their values here; the others keep Typer's way."""
    for parameter in parameters:
        described = parameter.type_descriptor
        read = _reader(described.annotation, described.parameter_info)
        if read:
            quick = _Quick(read)
            parameter.get_runtime_param = lambda quick=quick: quick
            parameter.metavar = parameter.metavar or _placeholder(described)
            if parameter.param_type_name == "argument":
                # It would have its type in words of Python behind its name.
                parameter.display_type_rich = lambda ctx: None


def _placeholder(described: Any) -> str | None:
    """What stands in help for a value, in capitals as everywhere; None: a flag has none."""
    if described.choices:
        return "|".join(str(each.value) for each in described.choices)
    kind = (get_args(described.annotation) or [described.annotation])[0]
    return {str: "TEXT", int: "NUMBER", Path: "PATH"}.get(kind)


def _reader(kind: Any, info: Any) -> _Read | None:
    if get_origin(kind) is list:
        return _reader(get_args(kind)[0], info)
    if not isinstance(kind, type) or info.parser is not None:
        return None
    if kind in (str, bool, Path):
        # A flag is never typed: what comes here is its default.
        return cast(_Read, kind)
    if kind is int:
        return lambda value: _whole(value, info.min, info.max)
    if issubclass(kind, enum.Enum):
        return lambda value: _choice(value, kind, info.case_sensitive)
    return None


def _whole(value: Any, least: int | None, most: int | None) -> int:
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number.") from None
    if (least is not None and number < least) or (most is not None and number > most):
        low = "" if least is None else f"{least} or more"
        high = "" if most is None else f"{most} or less"
        raise ValueError(f"{number} must be {' and '.join(filter(None, (low, high)))}.")
    return number


def _choice(value: Any, choices: type[enum.Enum], case_sensitive: bool) -> enum.Enum:
    if isinstance(value, choices):
        return value
    for choice in choices:
        named = str(choice.value)
        if named == value or (not case_sensitive and named.lower() == value.lower()):
            return choice
    known = ", ".join(repr(str(choice.value)) for choice in choices)
    raise ValueError(f"{value!r} is not one of {known}.")
