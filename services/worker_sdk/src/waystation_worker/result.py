"""A result that follows: what a task would have answered, told by whoever completes it."""

from __future__ import annotations

from typing import Any

from waystation.v1 import operation_pb2, result_pb2
from waystation_worker.reply import Reply
from waystation_worker.tracking import MAX_OPERATIONS, Operation, write_operation
from waystation_worker.values import as_number, escape, parse_pointer


class TaskResult(Reply):
    """The result of a task that answered `pending`, for `Client.complete_delivery`.

        result = TaskResult()
        result.set("/claim/price", 1200)
        result.emit("claim.priced")

    It has no data to read: it is applied to the instance as it is then, and conflicts with nothing.
    Places are keys of the data, or JSON Pointers when they start with a slash; missing objects on
    the way are made. Beside its changes it says what `TaskContext` says: `emit`, `fan_out`,
    `wait_for_input`, `complete`, `fail`.

    Changes raise TypeError or ValueError for what JSON can't hold, and for more than 10,000 of them.
    """

    __slots__ = ("_operations",)

    def __init__(self) -> None:
        super().__init__()
        self._operations = operation_pb2.OperationList()

    def set(self, where: str, value: Any) -> None:
        """Stores a value there."""
        self._note("set", where, value)

    def remove(self, where: str) -> None:
        """Takes away what is there; nothing there is fine."""
        self._note("remove", where, None)

    def increment(self, where: str, by: float = 1) -> None:
        """Adds to the number there, which begins as 0."""
        self._note("increment", where, as_number(by, where))

    def maximum(self, where: str, value: float) -> None:
        """Keeps the larger of the value and the number there."""
        self._note("maximum", where, as_number(value, where))

    def append(self, where: str, value: Any) -> None:
        """Appends to the list there, which begins empty."""
        self._note("append", where, value)

    def add_to_set(self, where: str, value: Any) -> None:
        """Appends to the list there, which begins empty, unless an equal value is in it."""
        self._note("add_to_set", where, value)

    def _note(self, kind: str, where: str, value: Any) -> None:
        operations = self._operations.items
        if len(operations) >= MAX_OPERATIONS:
            raise ValueError(f"a result takes {MAX_OPERATIONS} changes; set whole objects instead")
        path = where if where[:1] == "/" else f"/{escape(where)}"
        parse_pointer(path)
        operation = operation_pb2.Operation()
        write_operation(Operation(kind, path, value), operation)
        operations.append(operation)

    def _message(self) -> result_pb2.TaskResult:
        """The result as the contract carries it."""
        result = result_pb2.TaskResult()
        result.CopyFrom(self._result)
        # Present though empty: nothing was read.
        result.reads.SetInParent()
        if self._operations.items:
            result.operations.CopyFrom(self._operations)
        return result

    def _only_changes(self) -> operation_pb2.OperationList:
        """Its changes. Raises ValueError when it says anything else."""
        if self._result.ByteSize():
            raise ValueError("only changes are taken here: no events, questions or ends")
        return self._operations
