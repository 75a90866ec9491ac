"""The argument of a task function: the event, the data, and the methods to answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from waystation.v1 import (
    history_pb2,
    result_pb2,
    status_pb2,
    task_handler_service_pb2,
    workflow_pb2,
)
from waystation_worker.data import DataList, DataObject, Recorder
from waystation_worker.events import Event, typed
from waystation_worker.reply import Reply
from waystation_worker.times import DAY, Span, span, time_of
from waystation_worker.tracing import traceparent_of
from waystation_worker.values import Json, parse_pointer, plain, read_struct

ModelT = TypeVar("ModelT")

_STANDS_ALONE = (
    "excludes everything else: changes, events, waits and the end belong in the result that follows"
)


class TaskContext(Reply):
    """One attempt of one task for one event. All changes take effect in one transaction when the
    function returns; if it raises, nothing takes effect."""

    __slots__ = (
        "_cancelled",
        "_event",
        "_history",
        "_message",
        "_pending",
        "_recorder",
        "_request",
    )

    def __init__(self, request: task_handler_service_pb2.HandleEventRequest) -> None:
        super().__init__()
        self._request = request
        self._message: workflow_pb2.WorkflowContext = request.context
        self._event = Event(request.event)
        self._recorder: Recorder | None = None
        self._history: tuple[history_pb2.HistoryEntry, ...] | None = None
        self._cancelled = False
        self._pending: result_pb2.PendingCompletion | None = None

    @property
    def event(self) -> Event:
        """The event to handle."""
        return self._event

    @property
    def data(self) -> DataObject:
        """The data of the instance: read and change it like a nested dict."""
        return self._recording().root

    def data_as(self, model: type[ModelT], at: str = "") -> ModelT:
        """The data, or the value at this JSON Pointer, as a pydantic model. It is a copy: changing
        it does not change the data. Counts as a read of the whole value, so choose a narrow path.

        Needs `waystation-worker[pydantic]`. Raises Reject DATA_INVALID, naming the fields, if the
        data does not fit the model.
        """
        return typed(_value_at(self.data, at), model, f"data{at}", "DATA_INVALID")

    @property
    def workflow_instance_id(self) -> str:
        """The instance. `workflow_id` is the same."""
        return self._message.workflow_instance_id

    workflow_id = workflow_instance_id

    @property
    def workflow_type(self) -> str:
        """The workflow type, chosen at the start."""
        return self._message.workflow_type

    @property
    def status(self) -> str:
        """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED or CANCELLED, at the time of the call."""
        return status_name(self._message.status)

    @property
    def version(self) -> int:
        """The version of the instance that this call sees."""
        return self._message.version

    @property
    def correlation_id(self) -> str | None:
        """Set at the start of the workflow."""
        message = self._message
        return message.correlation_id or None

    @property
    def task_id(self) -> str:
        """The task that is called."""
        return self._request.task_id

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._request.attempt

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt: pass it to the services that you call."""
        return self._request.idempotency_key

    @property
    def completion_token(self) -> str:
        """Grants the right to complete this delivery after `pending`: give it only to the process
        that does the work. Different for each attempt; empty in a replay."""
        return self._request.completion_token

    @property
    def traceparent(self) -> str:
        """The span to which this call belongs, as a W3C traceparent; empty outside of traces. With
        OpenTelemetry (`waystation-worker[traces]`) the current span is below it already."""
        return traceparent_of(self._request)

    @property
    def deadline(self) -> datetime | None:
        """When this attempt times out, by the router's clock, in UTC."""
        return time_of(self._request, "deadline")

    @property
    def dry_run(self) -> bool:
        """Whether this is a replay: compute the result, but cause no side effects."""
        return self._request.dry_run

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed. A long-running plain function should check this;
        an `async` function is cancelled."""
        return self._cancelled

    @property
    def history(self) -> tuple[history_pb2.HistoryEntry, ...]:
        """The newest entries of the instance's history, oldest first: at most `history_entries` of
        them, fewer if they are large. Counts as a read of all data."""
        if self._history is None:
            self._recording().read_everything()
            self._history = tuple(self._request.history)
        return self._history

    @property
    def history_left_out(self) -> int:
        """How many entries are older than those in `history`; `Client.history` reads them. 0 if the
        task has no `history_entries`. Counts as a read of all data."""
        self._recording().read_everything()
        return self._request.history_left_out

    def pending(self, timeout: Span | None = None) -> None:
        """Announces that the result follows, by `Client.complete_delivery` or `fail_delivery`, from
        any process that has the completion token.

        If the delivery is neither completed nor extended within `timeout` (at most 24 h; default:
        the task's timeout), the attempt fails and is retried by the task's policy. The answer must
        not contain anything else: raises ValueError if it does.
        """
        recorder = self._recorder
        changed = recorder is not None and any(recorder.operations())
        if self._open_for("pending").ByteSize() or changed:
            raise ValueError(f"pending {_STANDS_ALONE}")
        pending = result_pb2.PendingCompletion()
        if timeout is not None:
            pending.timeout.FromTimedelta(span(timeout, "timeout", DAY))
        self._pending = pending

    def _open_for(self, what: str) -> result_pb2.TaskResult:
        if self._pending is not None:
            raise ValueError(f"{what} after pending: it belongs in the result that follows")
        return super()._open_for(what)

    def _recording(self) -> Recorder:
        if self._recorder is None:
            self._recorder = Recorder(read_struct(self._message.data))
        return self._recorder

    def _answer(self) -> task_handler_service_pb2.HandleEventResponse:
        """The answer as a message of the contract."""
        recorder = self._recorder
        if self._pending is not None:
            if recorder is not None and any(recorder.operations()):
                raise ValueError(f"pending {_STANDS_ALONE}")
            return task_handler_service_pb2.HandleEventResponse(pending=self._pending)
        response = task_handler_service_pb2.HandleEventResponse()
        result = response.result
        result.MergeFrom(self._result)
        # Present although empty: this result depends on nothing else.
        result.reads.SetInParent()
        if recorder is not None:
            result.reads.paths.extend(recorder.read_paths())
            if any(recorder.operations()):
                recorder.write_operations(result.operations)
        return response


def status_name(status: int) -> str:
    """The name of the status; `UNKNOWN_7` for one that this release does not know."""
    try:
        name = status_pb2.WorkflowStatus.Name(status)
    except ValueError:
        return f"UNKNOWN_{status}"
    return name.removeprefix("WORKFLOW_STATUS_")


def _value_at(data: DataObject, pointer: str) -> Json:
    """A plain copy of the value there; None if there is none."""
    found: Any = data
    for token in parse_pointer(pointer):
        if isinstance(found, DataObject):
            found = found.get(token)
        elif isinstance(found, DataList) and token.isdecimal() and int(token) < len(found):
            found = found[int(token)]
        else:
            return None
    return plain(found, pointer)
