"""Where two JSON values differ: places as JSON Pointers, with what stands there on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from waystation_domain import pointers
from waystation_domain.operations import Json, json_equal


class _Absent:
    """Nothing there, which null is not."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Any] = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place. ABSENT stands for a place that is not there on that side."""

    path: str
    before: Json
    after: Json


def differences(before: Json, after: Json, path: str = "") -> Iterator[Difference]:
    """Every innermost place where the two differ, in the order of keys and items.

    Objects are compared member by member and lists item by item; what is of different kinds, or
    there on one side only, is one difference with all that it holds.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(
                before.get(key, ABSENT), after.get(key, ABSENT), pointers.child(path, key)
            )
    elif isinstance(before, list) and isinstance(after, list):
        for at in range(max(len(before), len(after))):
            yield from differences(
                before[at] if at < len(before) else ABSENT,
                after[at] if at < len(after) else ABSENT,
                pointers.child(path, str(at)),
            )
    elif before is ABSENT or after is ABSENT or not json_equal(before, after):
        yield Difference(path, before, after)
