"""Durations and sizes in the units that people use: `366 days`, `2 min 30 s`, `1 MiB`."""

from __future__ import annotations

_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"))
_SMALL_SECONDS = 120
_FEW_HOURS = 48


def duration(seconds: float) -> str:
    """Exact: nothing is rounded away. Below two minutes in seconds, below two days without days."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    parts = []
    rest = seconds
    for length, name in _UNITS:
        if seconds >= _SMALL_SECONDS and (name != "days" or seconds >= _FEW_HOURS * 3_600):
            number, rest = divmod(rest, length)
            if number:
                parts.append(f"{number:.0f} {name}")
    if rest or not parts:
        parts.append(f"{rest:.15g} s")
    return " ".join(parts)


def size(number: int) -> str:
    """A number of bytes: in MiB or KiB if it is a multiple, otherwise in bytes."""
    for length, name in ((2**20, "MiB"), (2**10, "KiB")):
        if number and number % length == 0:
            return f"{number // length:,} {name}"
    return f"{number:,} byte{'' if number == 1 else 's'}"
