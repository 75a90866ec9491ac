"""The result of a pending delivery."""

from __future__ import annotations

from typing import Any

from waystation.v1 import operation_pb2, result_pb2
from waystation_worker.arguments import text
from waystation_worker.reply import Reply
from waystation_worker.tracked_changes import MAX_OPERATIONS, Operation, write_operation
from waystation_worker.values import as_number, escape, parse_pointer


class TaskResult(Reply):
    """The result of a task that answered `pending`, for `Client.complete_delivery`.

        result = TaskResult()
        result.set("/claim/price", 1200)
        result.emit("claim.priced")

    It has no data to read: it is applied to the current data and never conflicts. The argument
    `where` is a key of the data, or a JSON Pointer if it starts with a slash; missing parent
    objects are created. The other methods are those of `TaskContext`: `emit`, `fan_out`,
    `wait_for_input`, `complete`, `fail`.

    Changes raise TypeError or ValueError for values that are not valid JSON, and for more than
    10,000 changes.
    """

    __slots__ = ("_operations",)

    def __init__(self) -> None:
        super().__init__()
        self._operations = operation_pb2.OperationList()

    def set(self, where: str, value: Any) -> None:
        """Stores a value."""
        self._note("set", where, value)

    def remove(self, where: str) -> None:
        """Removes a value; no effect if there is none."""
        self._note("remove", where, None)

    def increment(self, where: str, by: float = 1) -> None:
        """Adds to the number; a missing number counts as 0."""
        self._note("increment", where, as_number(by, where))

    def maximum(self, where: str, value: float) -> None:
        """Stores the larger of the value and the current number, if there is one."""
        self._note("maximum", where, as_number(value, where))

    def append(self, where: str, value: Any) -> None:
        """Appends to the list; a missing list counts as empty."""
        self._note("append", where, value)

    def add_to_set(self, where: str, value: Any) -> None:
        """Appends to the list unless it contains an equal value; a missing list counts as empty."""
        self._note("add_to_set", where, value)

    def _note(self, kind: str, where: str, value: Any) -> None:
        operations = self._operations.items
        if len(operations) >= MAX_OPERATIONS:
            raise ValueError(
                f"a result may have at most {MAX_OPERATIONS} changes; set whole objects instead"
            )
        text(where, "the place")
        path = where if where[:1] == "/" else f"/{escape(where)}"
        parse_pointer(path)
        operation = operation_pb2.Operation()
        write_operation(Operation(kind, path, value), operation)
        operations.append(operation)

    def _message(self) -> result_pb2.TaskResult:
        """The result as a message of the contract."""
        result = result_pb2.TaskResult()
        result.CopyFrom(self._result)
        # Present but empty: nothing was read.
        result.reads.SetInParent()
        if self._operations.items:
            result.operations.CopyFrom(self._operations)
        return result

    def _only_changes(self) -> operation_pb2.OperationList:
        """Its changes. Raises ValueError if it has anything else."""
        if self._result.ByteSize():
            raise ValueError("edits may only contain changes: no events, waits or end")
        return self._operations
