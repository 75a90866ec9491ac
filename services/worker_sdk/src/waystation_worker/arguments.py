"""Arguments of the wrong kind: refused where they are given, by name, instead of deep inside a library."""

from __future__ import annotations

import operator


def whole(value: object, what: str, least: int, most: int | None = None) -> int:
    """The whole number. Raises TypeError, or ValueError outside `least` to `most`."""
    try:
        # Integers of libraries, too.
        given = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        given = None
    if given is None or isinstance(value, bool):
        raise TypeError(f"{what} must be a whole number, not {_kind(value)}")
    if given < least or (most is not None and given > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{what} must be {allowed}, not {value}")
    return given


def number(value: object, what: str, least: float, most: float) -> float:
    """The number. Raises TypeError, or ValueError outside `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number, not {_kind(value)}")
    if not least <= value <= most:
        raise ValueError(f"{what} must be {least:g} to {most:g}, not {value}")
    return value


def text(value: object, what: str, most: int | None = None) -> str:
    """The text. Raises TypeError, or ValueError beyond `most` characters."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, not {_kind(value)}")
    if most is not None and len(value) > most:
        raise ValueError(f"{what} has {len(value)} characters, the limit is {most}")
    return value


def flag(value: object, what: str) -> bool:
    """True or False. Raises TypeError for anything else, such as "no"."""
    if not isinstance(value, bool):
        raise TypeError(f"{what} must be True or False, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
