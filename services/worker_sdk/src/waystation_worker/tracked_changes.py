"""The records of `ctx.data`: the paths that a task read, and the operations of its changes. `data`
has the rules and the views; this module has their common part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from waystation.v1 import operation_pb2
from waystation_worker.values import Json, check_writable, copied, escape, write_value

MAX_OPERATIONS = 10_000


class Operation:
    """One change; `dead` if a later one replaces it."""

    __slots__ = ("dead", "kind", "path", "value")

    def __init__(self, kind: str, path: str, value: Json) -> None:
        self.kind = kind
        self.path = path
        # A container is the live one of the working copy: it is converted when the task ends.
        self.value = value
        self.dead = False


class Notes:
    """What one task read and changed, in order."""

    def __init__(self) -> None:
        self.ops: list[Operation] = []
        self.reads: dict[str, None] = {}
        # Containers on the way to a place: they count as read unless something inside them was.
        self.views: list[View] = []

    def operations(self) -> Iterator[Operation]:
        """The changes in order, as few as are needed."""
        return (op for op in self.ops if not op.dead)

    def read_paths(self) -> list[str]:
        """The paths that the result was computed from, as JSON Pointers."""
        reads = dict(self.reads)
        for view in self.views:
            if not view._touched:
                reads[view._path] = None
        return [""] if "" in reads else list(reads)

    def write_operations(self, into: operation_pb2.OperationList) -> None:
        """Writes the changes as messages. Raises ValueError if there are too many."""
        ops = list(self.operations())
        if len(ops) > MAX_OPERATIONS:
            raise ValueError(
                f"{len(ops)} separate changes, the limit is {MAX_OPERATIONS}; "
                "assign whole objects or lists instead"
            )
        for op in ops:
            write_operation(op, into.items.add())


def write_operation(op: Operation, into: operation_pb2.Operation) -> None:
    """Writes a change into an empty message. Raises as `write_value` does, and ValueError for a reserved
    path."""
    check_writable(op.path)
    into.path = op.path
    if op.kind == "remove":
        into.remove.SetInParent()
    elif op.kind == "increment":
        into.increment = op.value
    elif op.kind == "maximum":
        into.maximum = op.value
    else:
        write_value(op.value, getattr(into, op.kind), op.path)


class View:
    """The common part of objects and lists: their place, and how reads and changes are recorded."""

    __slots__ = (
        "_anchor",
        "_children",
        "_detached",
        "_key",
        "_notes",
        "_ops",
        "_owned",
        "_parent",
        "_path",
        "_raw",
        "_touched",
        "_whole",
    )

    def __init__(
        self,
        notes: Notes,
        raw: Any,
        parent: View | None,
        key: str,
        path: str,
        anchor: View | None,
    ) -> None:
        self._notes = notes
        self._raw = raw
        self._parent = parent
        self._key = key
        self._path = path
        # The outermost list around this place: it is read and stored as a whole.
        self._anchor = anchor
        # By key below an object, by id of the value below a list.
        self._children: dict[Any, View] = {}
        # The changes of members, by key; those of a list as a whole are noted by its parent.
        self._ops: dict[str, list[Operation]] = {}
        # Whether an operation of this task stores everything below, as it is at the end.
        self._owned = False
        # Whether this container is no longer part of the data.
        self._detached: bool = parent is not None and parent._detached
        self._whole: bool = parent is not None and parent._whole
        # Whether a recorded read or change proves that the container was there.
        self._touched = parent is None or anchor is not None or self._whole

    def _view(self, key: Any, raw: Json) -> Json:
        """What the task gets for a value below: scalars as they are, containers as views."""
        kind = type(raw)
        if kind is not dict and kind is not list:
            return raw
        view = self._children.get(key)
        if view is None:
            view = self._open(key, raw)
            self._children[key] = view
        return view

    def _open(self, key: Any, raw: Json) -> View:
        raise NotImplementedError

    def _step(self, token: str) -> View:
        raise NotImplementedError

    def _read_whole(self) -> None:
        if self._anchor is not None and self._anchor is not self:
            self._anchor._read_whole()
        elif not self._whole:
            self._whole = True
            self._touched = True
            self._notes.reads[self._path] = None

    def _is_owned(self) -> bool:
        view: View | None = self
        while view is not None:
            if view._owned:
                return True
            view = view._parent
        return False

    def _forget(self, key: Any) -> None:
        """Detaches the view of a value that is replaced, with its changes."""
        child = self._children.pop(key, None)
        if child is not None:
            child._detach()
        for op in self._ops.pop(key, ()):
            op.dead = True

    def _detach(self) -> None:
        self._detached = True
        for key in list(self._children):
            self._forget(key)
        for key in list(self._ops):
            self._forget(key)

    def _note(self, key: str, kind: str, value: Json) -> None:
        """Records a change of a member, unless a change above stores it anyway."""
        if self._detached or self._is_owned():
            return
        if self._anchor is not None:
            self._anchor._store_whole()
            return
        ops = self._ops.setdefault(key, [])
        if kind in ("append", "add_to_set") and ops and ops[-1].value is self._raw[key]:
            # The list was set by this task, and is stored as it is at the end.
            return
        op = Operation(kind, f"{self._path}/{escape(key)}", value)
        ops.append(op)
        self._notes.ops.append(op)
        self._touched = True

    def _store_whole(self) -> None:
        """From now on this container is stored as it is when the task ends."""
        if self._detached or self._is_owned():
            return
        if self._anchor is not None and self._anchor is not self:
            self._anchor._store_whole()
            return
        self._drop_changes_inside()
        op = Operation("set", self._path, self._raw)
        if self._parent is not None:
            for older in self._parent._ops.pop(self._key, ()):
                older.dead = True
            self._parent._ops[self._key] = [op]
        self._notes.ops.append(op)
        self._owned = True
        self._touched = True

    def _drop_changes_inside(self) -> None:
        for ops in self._ops.values():
            for op in ops:
                op.dead = True
        self._ops.clear()
        for child in self._children.values():
            child._drop_changes_inside()

    def _plain(self) -> Json:
        self._read_whole()
        return copied(self._raw)

    def __len__(self) -> int:
        self._read_whole()
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        self._read_whole()
        if isinstance(other, View):
            other._read_whole()
            return bool(self._raw == other._raw)
        return bool(self._raw == other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self._read_whole()
        return repr(self._raw)

    def __copy__(self) -> Json:
        return self._plain()

    def __deepcopy__(self, memo: dict[int, Any]) -> Json:
        return self._plain()

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled, as for another process, it is a plain copy.
        return copied, (self._plain(),)
