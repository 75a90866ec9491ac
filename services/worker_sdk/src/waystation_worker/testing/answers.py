"""What a task answered, as values that compare and that a failing assertion shows well."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from waystation.v1 import task_handler_service_pb2
from waystation_worker.context import status_name
from waystation_worker.testing.changes import Change, Fault, apply, read_changes
from waystation_worker.values import Json, read_struct


class NotModelled(Exception):
    """The task used something that the kit does not imitate. Test it against `waystation dev`."""


class _Shown:
    """Shows only what was said: fields that differ from their defaults."""

    def __repr__(self) -> str:
        said = []
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if one.repr and (default is MISSING or value != default):
                said.append(f"{one.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class Raised(_Shown):
    """An event that a task raised. `priority` None and no metadata: inherited."""

    event_type: str
    payload: dict[str, Json] = field(default_factory=dict)
    priority: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    schema_version: str = ""


@dataclass(frozen=True, repr=False)
class Asked(_Shown):
    """A question to a person."""

    message: str
    schema: dict[str, Json] | None = None
    wait_id: str = ""


@dataclass(frozen=True, repr=False)
class Failed(_Shown):
    """A failed attempt. `retry_after` is in seconds; `code` is TASK_FAILURE, or a gRPC status."""

    reason: str
    message: str = ""
    permanent: bool = False
    retry_after: float | None = None
    metadata: dict[str, Json] = field(default_factory=dict)
    code: str = "TASK_FAILURE"


@dataclass(frozen=True, repr=False)
class TaskResult(_Shown):
    """What one call of one task answered.

    `data` is what the call was given with `changes` made; `status` is COMPLETED, FAILED,
    WAITING_FOR_INPUT or None for unchanged; `reads` are the places it looked at, as JSON Pointers.
    A failed call has nothing but its `failure`.
    """

    data: dict[str, Json]
    changes: list[Change] = field(default_factory=list)
    events: list[Raised] = field(default_factory=list)
    status: str | None = None
    wait: Asked | None = None
    output: dict[str, Json] | None = None
    failure: Failed | None = None
    reads: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def raised(self) -> list[str]:
        """The types of its events."""
        return [event.event_type for event in self.events]


def read_answer(
    response: task_handler_service_pb2.HandleEventResponse, data: dict[str, Json]
) -> TaskResult:
    """The answer as a value. Raises NotModelled for what the kit would have to ignore."""
    _refuse_unknown(response)
    if response.HasField("failure"):
        return TaskResult(data, failure=_failure(response.failure))
    changes = read_changes(response.operations)
    try:
        after = apply(data, changes)
    except Fault as fault:
        return TaskResult(data, failure=Failed(fault.reason, fault.message, permanent=True))
    return TaskResult(
        data=after,
        changes=changes,
        events=[
            Raised(
                event_type=new.event_type,
                payload=read_struct(new.payload),
                priority=new.priority if new.HasField("priority") else None,
                metadata=dict(new.metadata),
                schema_version=new.schema_version,
            )
            for new in response.events
        ],
        status=status_name(response.status) if response.status else None,
        wait=_asked(response.wait) if response.HasField("wait") else None,
        output=read_struct(response.output) if response.HasField("output") else None,
        reads=list(response.reads.paths),
    )


def _asked(wait: task_handler_service_pb2.WaitRequest) -> Asked:
    return Asked(
        message=wait.message,
        schema=read_struct(wait.input_schema) if wait.HasField("input_schema") else None,
        wait_id=wait.wait_id,
    )


def _failure(failure: task_handler_service_pb2.TaskFailure) -> Failed:
    after = failure.retry_after
    return Failed(
        reason=failure.reason,
        message=failure.message,
        permanent=failure.permanent,
        retry_after=after.ToTimedelta().total_seconds()
        if failure.HasField("retry_after")
        else None,
        metadata=read_struct(failure.metadata),
    )


_MODELLED: dict[str, set[str]] = {
    "HandleEventResponse": {
        *("events", "operations", "status", "wait", "output", "reads", "failure"),
    },
    "NewEvent": {"event_type", "payload", "priority", "metadata", "schema_version"},
    "WaitRequest": {"message", "wait_id", "input_schema"},
}


def _refuse_unknown(message: Any) -> None:
    for descriptor, value in message.ListFields():
        kind = message.DESCRIPTOR.name
        if descriptor.name not in _MODELLED[kind]:
            raise NotModelled(
                f"the answer has {kind}.{descriptor.name}, which the test kit does not imitate; "
                "test this against `waystation dev`"
            )
        if descriptor.name == "events":
            for event in value:
                _refuse_unknown(event)
        elif descriptor.name == "wait":
            _refuse_unknown(value)
