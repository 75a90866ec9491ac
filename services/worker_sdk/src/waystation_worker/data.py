"""`ctx.data`: a nested mapping that records reads and changes.

A result is sent with the operations that make its changes and with the paths that it was computed
from. Both decide whether it commits if the instance has changed in the meantime: a read that is not
recorded could lose an update, one too many only repeats a call.

What counts as a read or a change:
- reading a leaf or a missing key reads its path; iteration, `len`, truth, `==`, `repr` and copying
  read the container;
- walking through an object (`data["a"]["b"]`) reads only the end of the path; an object that is
  looked up and not used counts as read;
- a list is read as a whole, because positions move;
- setting stores the value as it is when the task ends, including later changes inside it;
- `append` on a list that is not read otherwise, and the methods `increment`, `append`,
  `add_to_set` and `maximum`, commute with those of other tasks; every other change of a list
  stores the whole list.

Values are copied when they are assigned: changing the original dict later has no effect, change
it through `ctx.data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, MutableSequence
from typing import Any, overload

from waystation_worker.commuting_changes import MISSING, CommutingChanges, kind_of
from waystation_worker.tracked_changes import Notes, View
from waystation_worker.values import (
    Json,
    check_member,
    escape,
    plain,
)


class Recorder(Notes):
    """The working copy of one instance's data and the notes about it.

    `root` is the mapping that the task works with. The given dict is changed in place.
    """

    def __init__(self, data: dict[str, Json]) -> None:
        super().__init__()
        self.root = DataObject(self, data, None, "", "", None)

    def read_everything(self) -> None:
        """Records a read of the root."""
        self.root._read_whole()


class DataObject(CommutingChanges, MutableMapping[str, Any]):
    """A JSON object of the context's data. Use it as a dict.

    Additional methods: `to_dict`, and `increment`, `append`, `add_to_set`, `maximum`, which commute
    with the same operations of other tasks. Their first argument is a key, or a JSON Pointer
    relative to this object if it starts with a slash; missing parent objects are created.
    """

    __slots__ = ()

    def _open(self, key: str, raw: Json) -> View:
        path = f"{self._path}/{escape(key)}"
        view: View
        if type(raw) is dict:
            view = DataObject(self._notes, raw, self, key, path, self._anchor)
        else:
            view = DataList(self._notes, raw, self, key, path, self._anchor)
        ops = self._ops.get(key)
        if ops and ops[-1].kind == "set" and ops[-1].value is raw:
            view._owned = view._touched = True
        if not view._touched:
            self._notes.views.append(view)
            # Whatever happens to the view, its path or one below it will be recorded.
            self._touched = True
        return view

    def _read(self, key: str) -> None:
        if self._anchor is not None:
            self._anchor._read_whole()
        elif not self._whole:
            self._notes.reads[f"{self._path}/{escape(key)}"] = None
            self._touched = True

    def __getitem__(self, key: str) -> Any:
        raw = self._raw.get(key, MISSING)
        kind = type(raw)
        if (kind is dict or kind is list) and self._anchor is None:
            return self._view(key, raw)
        if isinstance(key, str):
            self._read(key)
        if raw is MISSING:
            raise KeyError(key)
        return self._view(key, raw)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"at {self._path or 'the root'}: keys must be str, not {key!r}")
        # `data["a"] += [1]` ends with storing the list that it has just changed.
        if isinstance(value, View) and self._children.get(key) is value:
            return
        check_member(key, self._path)
        stored = plain(value, f"{self._path}/{escape(key)}")
        self._forget(key)
        self._raw[key] = stored
        self._note(key, "set", stored)

    def __delitem__(self, key: str) -> None:
        if isinstance(key, str):
            self._read(key)
        if key not in self._raw:
            raise KeyError(key)
        del self._raw[key]
        self._forget(key)
        self._note(key, "remove", None)

    def __iter__(self) -> Iterator[str]:
        self._read_whole()
        return iter(self._raw)

    def __reversed__(self) -> Iterator[str]:
        self._read_whole()
        return iter(reversed(self._raw))

    def __or__(self, other: Any) -> dict[str, Any]:
        return {**self.to_dict(), **other}

    def __ror__(self, other: Any) -> dict[str, Any]:
        return {**other, **self.to_dict()}

    def __ior__(self, other: Any) -> DataObject:
        self.update(other)
        return self

    def to_dict(self) -> dict[str, Any]:
        """A plain deep copy; reads the whole object."""
        result: dict[str, Any] = self._plain()
        return result

    copy = to_dict

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of the key; stores the default first if the key is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Removes a member and returns its plain value. Raises KeyError as dict does."""
        if isinstance(key, str):
            self._read(key)
        if key not in self._raw:
            if default:
                return default[0]
            raise KeyError(key)
        raw = self._raw[key]
        del self[key]
        return raw

    def popitem(self) -> tuple[str, Any]:
        """Removes one member. Raises KeyError if there is none."""
        self._read_whole()
        for key in reversed(self._raw):
            return key, self.pop(key)
        raise KeyError("the object is empty")

    def clear(self) -> None:
        """Removes all members, including those that other tasks add meanwhile."""
        for key in list(self._children):
            self._forget(key)
        self._raw.clear()
        self._store_whole()

    def _step(self, token: str) -> View:
        if token not in self._raw:
            # The operation at the end creates it in the store too.
            self._raw[token] = {}
        below = self._view(token, self._raw[token])
        if not isinstance(below, View):
            self._read(token)
            raise TypeError(f"at {self._path}/{escape(token)}: {kind_of(below)}, not an object")
        return below


class DataList(View, MutableSequence[Any]):
    """A JSON list of the context's data. Use it as a list. It is read and stored as a whole, but
    `append` and `extend` commute with those of other tasks."""

    __slots__ = ()

    def __init__(
        self,
        notes: Notes,
        raw: list[Json],
        parent: View,
        key: str,
        path: str,
        anchor: View | None,
    ) -> None:
        super().__init__(notes, raw, parent, key, path, anchor)
        if anchor is None:
            self._anchor = self

    def _open(self, key: int, raw: Json) -> View:
        kind = DataObject if type(raw) is dict else DataList
        return kind(self._notes, raw, self, "", self._path, self._anchor)

    def _step(self, token: str) -> View:
        self._read_whole()
        below = None
        if token.isdecimal() and int(token) < len(self._raw):
            below = self._item(self._raw[int(token)])
        if not isinstance(below, View):
            raise TypeError(f"at {self._path}/{token}: there is no object")
        return below

    def _item(self, raw: Json) -> Any:
        return self._view(id(raw), raw)

    def _changed(self) -> None:
        """Records a change that depends on the contents of the list."""
        self._read_whole()
        self._store_whole()
        # An id may be used again once the value that had it is gone.
        kept = {id(raw) for raw in self._raw}
        for key in [key for key in self._children if key not in kept]:
            self._forget(key)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        self._read_whole()
        if isinstance(index, slice):
            return [self._item(raw) for raw in self._raw[index]]
        return self._item(self._raw[index])

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._raw[index] = [plain(item, self._path) for item in value]
        elif isinstance(value, View) and self._item(self._raw[index]) is value:
            return
        else:
            self._raw[index] = plain(value, f"{self._path}/{index}")
        self._changed()

    def __delitem__(self, index: int | slice) -> None:
        self._read_whole()
        del self._raw[index]
        self._changed()

    def __iter__(self) -> Iterator[Any]:
        self._read_whole()
        return map(self._item, self._raw)

    def __contains__(self, value: object) -> bool:
        self._read_whole()
        return (value._raw if isinstance(value, View) else value) in self._raw

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self.to_list(), *other]

    def to_list(self) -> list[Any]:
        """A plain deep copy; reads the list."""
        result: list[Any] = self._plain()
        return result

    copy = to_list

    def append(self, value: Any) -> None:
        """Appends an item. Commutes with the appends of other tasks as long as this task does not
        read the list."""
        item = plain(value, f"{self._path}/-")
        self._raw.append(item)
        if self._anchor is self and isinstance(self._parent, DataObject):
            self._touched = True
            if not self._detached and not self._owned:
                self._parent._note(self._key, "append", item)
        else:
            self._changed()

    def extend(self, values: Iterable[Any]) -> None:
        """Appends the items in order."""
        for value in list(values):
            self.append(value)

    def insert(self, index: int, value: Any) -> None:
        """Inserts an item before the index."""
        self._raw.insert(index, plain(value, f"{self._path}/{index}"))
        self._changed()

    def pop(self, index: int = -1) -> Any:
        """Removes an item and returns its plain value. Raises IndexError as list does."""
        self._read_whole()
        raw = self._raw.pop(index)
        self._changed()
        return raw

    def remove(self, value: Any) -> None:
        """Removes the first equal item. Raises ValueError if there is none."""
        self._read_whole()
        self._raw.remove(value._raw if isinstance(value, View) else value)
        self._changed()

    def clear(self) -> None:
        """Removes all items, including those that other tasks append meanwhile."""
        self._raw.clear()
        self._changed()

    def reverse(self) -> None:
        """Reverses the order."""
        self._raw.reverse()
        self._changed()

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sorts in place; `key` gets plain values."""
        self._raw.sort(key=key, reverse=reverse)
        self._changed()
