"""The changes of an object that commute with those of other tasks: increment, maximum, append, add_to_set.

They read nothing, so they never conflict with one another.
"""

from __future__ import annotations

import math
from typing import Any

from waystation_worker.arguments import text
from waystation_worker.tracked_changes import View
from waystation_worker.values import (
    Json,
    as_number,
    canonical,
    check_member,
    equal,
    escape,
    parse_pointer,
    plain,
)

MISSING: Any = object()


class CommutingChanges(View):
    """A JSON object of which members can be changed without reading them."""

    __slots__ = ()

    def _read(self, key: str) -> None:
        """Records a read of a member."""
        raise NotImplementedError

    def increment(self, where: str, by: float = 1) -> None:
        """Adds to the number; a missing number counts as 0."""
        amount = as_number(by, self._place(where))
        view, key = self._walk(where)
        old = view._number_at(key)
        total = amount if old is None else float(old) + float(amount)
        if not math.isfinite(total):
            raise ValueError(
                f"at {self._place(where)}: the sum is out of the range of JSON numbers"
            )
        view._raw[key] = canonical(float(total))
        view._note(key, "increment", amount)

    def maximum(self, where: str, value: float) -> None:
        """Stores the larger of the value and the current number, if there is one."""
        amount = as_number(value, self._place(where))
        view, key = self._walk(where)
        old = view._number_at(key)
        view._raw[key] = amount if old is None else max(old, amount)
        view._note(key, "maximum", amount)

    def append(self, where: str, value: Any) -> None:
        """Appends to the list; a missing list counts as empty."""
        item = plain(value, self._place(where))
        view, key = self._walk(where)
        view._list_at(key).append(item)
        view._note(key, "append", item)

    def add_to_set(self, where: str, value: Any) -> None:
        """Appends to the list unless it contains an equal value; a missing list counts as empty."""
        item = plain(value, self._place(where))
        view, key = self._walk(where)
        items = view._list_at(key)
        if not any(equal(item, other) for other in items):
            items.append(item)
        view._note(key, "add_to_set", item)

    def _place(self, where: str) -> str:
        if type(where) is not str:
            text(where, "the place")
        return self._path + (where if where[:1] == "/" else "/" + escape(where))

    def _walk(self, where: str) -> tuple[CommutingChanges, str]:
        """The object of the place, with missing parents created, and the place's key in it."""
        tokens = parse_pointer(where) if where[:1] == "/" else [where]
        for token in tokens:
            check_member(token, self._path)
        view: View = self
        for token in tokens[:-1]:
            view = view._step(token)
        if not isinstance(view, CommutingChanges):
            view._read_whole()
            raise TypeError(f"at {self._place(where)}: a list item cannot be changed this way")
        return view, tokens[-1]

    def _number_at(self, key: str) -> float | None:
        old = self._raw.get(key, MISSING)
        if old is MISSING:
            return None
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            self._read(key)
            raise TypeError(f"at {self._path}/{escape(key)}: {kind_of(old)}, not a number")
        return old

    def _list_at(self, key: str) -> list[Json]:
        old = self._raw.setdefault(key, [])
        if not isinstance(old, list):
            self._read(key)
            raise TypeError(f"at {self._path}/{escape(key)}: {kind_of(old)}, not a list")
        return old


def kind_of(value: Json) -> str:
    """What a value is called in errors."""
    names = {bool: "a bool", str: "a text", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
