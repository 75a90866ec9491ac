"""What a task function gets: the event, the context's data, and the ways to answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from waystation.v1 import (
    event_pb2,
    history_pb2,
    status_pb2,
    task_handler_service_pb2,
    workflow_pb2,
)
from waystation_worker.data import DataList, DataObject, Recorder
from waystation_worker.tasks import check_id, is_event_type
from waystation_worker.values import Json, Model, parse_pointer, plain, read_struct, write_struct

ModelT = TypeVar("ModelT")

MAX_EVENTS = 1000
COMPLETED = "workflow.completed"
FAILED = "workflow.failed"
_INPUT_EVENTS = ("user.input.provided", "user.input.timed_out")


class Event:
    """The event being handled. Nothing in it can be changed."""

    __slots__ = ("_message", "_payload")

    def __init__(self, message: event_pb2.WorkflowEvent) -> None:
        self._message = message
        self._payload: dict[str, Any] | None = None

    @property
    def event_id(self) -> str:
        """A UUIDv7 as text."""
        return self._message.event_id

    @property
    def event_type(self) -> str:
        """Such as `claim.processed`."""
        return self._message.event_type

    @property
    def workflow_instance_id(self) -> str:
        """The instance it was raised in."""
        return self._message.workflow_instance_id

    @property
    def payload(self) -> dict[str, Any]:
        """The event's own data, as a plain dict; changing it changes nothing elsewhere."""
        if self._payload is None:
            self._payload = read_struct(self._message.payload)
        return self._payload

    def payload_as(self, model: type[ModelT]) -> ModelT:
        """The payload as a pydantic model, or as another type that pydantic can read into.

        Needs `waystation-worker[pydantic]`. Raises Reject PAYLOAD_INVALID, naming the fields, for a
        payload that does not fit: the same payload would never fit, so the event is dead-lettered
        at once, and an operator can edit it.
        """
        return _typed(self.payload, model, "payload", "PAYLOAD_INVALID")

    @property
    def created_at(self) -> datetime | None:
        """When it was raised, in UTC."""
        return _time(self._message, "created_at")

    @property
    def correlation_id(self) -> str | None:
        """As given at the start of the workflow."""
        message = self._message
        return message.correlation_id if message.HasField("correlation_id") else None

    @property
    def priority(self) -> int:
        """0-255."""
        return self._message.priority if self._message.HasField("priority") else 100

    @property
    def causation_id(self) -> str | None:
        """The event whose handling raised this one; None for what a client raised."""
        return self._message.causation_id or None

    @property
    def raised_by(self) -> str:
        """A task_id, `client` or `system`."""
        return self._message.raised_by

    @property
    def schema_version(self) -> str:
        """The raiser's own name for the version of the payload's shape."""
        return self._message.schema_version

    @property
    def metadata(self) -> dict[str, str]:
        """Inherited by the events that this task raises."""
        return dict(self._message.metadata)

    def __repr__(self) -> str:
        return f"<Event {self.event_type} {self.event_id}>"


class TaskContext:
    """One attempt of one task at one event. What it notes takes effect all at once, when the
    function returns; nothing does when it raises."""

    __slots__ = (
        "_cancelled",
        "_completed",
        "_event",
        "_history",
        "_message",
        "_recorder",
        "_request",
        "_response",
    )

    def __init__(self, request: task_handler_service_pb2.HandleEventRequest) -> None:
        self._request = request
        self._message: workflow_pb2.WorkflowContext = request.context
        self._event = Event(request.event)
        self._recorder: Recorder | None = None
        self._history: tuple[history_pb2.ProcessedEvent, ...] | None = None
        self._response = task_handler_service_pb2.HandleEventResponse()
        self._completed = ""
        self._cancelled = False

    @property
    def event(self) -> Event:
        """The event to handle."""
        return self._event

    @property
    def data(self) -> DataObject:
        """The instance's data: read and change it as the nested dict that it looks like."""
        return self._recording().root

    def data_as(self, model: type[ModelT], at: str = "") -> ModelT:
        """The data, or what is at this JSON Pointer in it, as a pydantic model: a copy that changes
        nothing. Reads that place as a whole, so the narrower the better.

        Needs `waystation-worker[pydantic]`. Raises Reject DATA_INVALID, naming the fields, for data
        that does not fit.
        """
        return _typed(_value_at(self.data, at), model, f"data{at}", "DATA_INVALID")

    @property
    def workflow_instance_id(self) -> str:
        """The instance."""
        return self._message.workflow_instance_id

    @property
    def workflow_type(self) -> str:
        """The kind of workflow, chosen at its start."""
        return self._message.workflow_type

    @property
    def status(self) -> str:
        """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED or CANCELLED, when the call was made."""
        return status_name(self._message.status)

    @property
    def version(self) -> int:
        """The version of the instance that this call sees."""
        return self._message.version

    @property
    def correlation_id(self) -> str | None:
        """As given at the start of the workflow."""
        message = self._message
        return message.correlation_id if message.HasField("correlation_id") else None

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
        """The same on every attempt: give it to the services that you call."""
        return self._request.idempotency_key

    @property
    def deadline(self) -> datetime | None:
        """When the router gives this attempt up, by its clock, in UTC."""
        return _time(self._request, "deadline")

    @property
    def dry_run(self) -> bool:
        """Whether this is a replay: compute, but cause no effects elsewhere."""
        return self._request.dry_run

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this result any more. A plain function that works for long
        looks here; an `async` one is cancelled."""
        return self._cancelled

    @property
    def history(self) -> tuple[history_pb2.ProcessedEvent, ...]:
        """The instance's history, where the task was declared `with_history`. Looking at it counts
        as reading all data."""
        if self._history is None:
            self._recording().read_everything()
            self._history = tuple(self._message.event_history)
        return self._history

    def emit(
        self,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        schema_version: str = "",
    ) -> None:
        """Raises an event in this instance. The payload is a mapping or a pydantic model. Priority
        (0-255) and metadata are inherited.

        Raises ValueError or TypeError for a reserved or malformed type, a payload that JSON can't
        hold, and the 1,001st event.
        """
        if not is_event_type(event_type):
            raise ValueError(f"{event_type!r} is not 1-200 characters of [A-Za-z0-9._:-]")
        if (
            event_type.startswith("workflow.") and event_type not in (COMPLETED, FAILED)
        ) or event_type in _INPUT_EVENTS:
            raise ValueError(f"{event_type} is the system's; choose another name")
        if priority is not None and not 0 <= priority <= 255:
            raise ValueError(f"priority is 0-255, not {priority}")
        events = self._response.events
        if len(events) >= MAX_EVENTS:
            raise ValueError(f"one answer may raise {MAX_EVENTS} events; raise them in steps")
        event = event_pb2.NewEvent(
            event_type=event_type, priority=priority, schema_version=schema_version
        )
        if payload is not None:
            write_struct(payload, event.payload, "payload")
        if metadata:
            for key, value in metadata.items():
                event.metadata[key] = value
        events.append(event)

    def wait_for_input(
        self, message: str, schema: Mapping[str, Any] | None = None, wait_id: str | None = None
    ) -> None:
        """Asks a person: the instance is WAITING_FOR_INPUT until `provide_input` answers.

        `schema` is a JSON Schema for forms. Raises ValueError when this answer asks or ends already.
        """
        self._only_once("wait_for_input")
        if not message:
            raise ValueError("wait_for_input needs a message: what is asked?")
        wait = task_handler_service_pb2.WaitRequest(message=message)
        if wait_id is not None:
            check_id(wait_id, "wait_id")
            wait.wait_id = wait_id
        if schema is not None:
            write_struct(schema, wait.input_schema, "schema")
        self._response.wait.CopyFrom(wait)
        self._response.status = status_pb2.WORKFLOW_STATUS_WAITING_FOR_INPUT
        self._completed = "wait_for_input"

    def complete(self, output: Mapping[str, Any] | Model | None = None) -> None:
        """Ends the instance as COMPLETED. Raises ValueError when this answer asks or ends already."""
        self._only_once("complete")
        if output is not None:
            write_struct(output, self._response.output, "output")
        self._response.status = status_pb2.WORKFLOW_STATUS_COMPLETED
        self._completed = "complete"

    def fail(self, reason: str, message: str = "") -> None:
        """Ends the instance as FAILED: the task did its work, and the workflow can't go on.

        Raise Reject instead when this task could not do its work. Raises ValueError when this
        answer asks or ends already.
        """
        self._only_once("fail")
        self.emit(FAILED, {"reason": reason, "message": message or reason})
        self._response.status = status_pb2.WORKFLOW_STATUS_FAILED
        self._completed = "fail"

    def _only_once(self, what: str) -> None:
        if self._completed:
            raise ValueError(f"{what} after {self._completed}: one answer takes one of these")

    def _recording(self) -> Recorder:
        if self._recorder is None:
            self._recorder = Recorder(read_struct(self._message.data))
        return self._recorder

    def _answer(self) -> task_handler_service_pb2.HandleEventResponse:
        """The answer as the contract carries it."""
        response = self._response
        # Present though empty: this result depends on nothing else.
        response.reads.SetInParent()
        recorder = self._recorder
        if recorder is not None:
            response.reads.paths.extend(recorder.read_paths())
            if any(recorder.operations()):
                recorder.write_operations(response.operations)
        return response


def status_name(status: int) -> str:
    """The status as a word; `UNKNOWN_7` for one that this release does not know."""
    try:
        name = status_pb2.WorkflowStatus.Name(status)
    except ValueError:
        return f"UNKNOWN_{status}"
    return name.removeprefix("WORKFLOW_STATUS_")


def _typed(value: Json, model: type[ModelT], place: str, reason: str) -> ModelT:
    # Only who uses models needs what reads them.
    from waystation_worker.typed import read_as

    return read_as(value, model, place, reason)


def _value_at(data: DataObject, pointer: str) -> Json:
    """A plain copy of what is there; None where nothing is."""
    found: Any = data
    for token in parse_pointer(pointer):
        if isinstance(found, DataObject):
            found = found.get(token)
        elif isinstance(found, DataList) and token.isdecimal() and int(token) < len(found):
            found = found[int(token)]
        else:
            return None
    return plain(found, pointer)


def _time(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    result: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return result
