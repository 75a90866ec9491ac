"""What a task answered, as values that compare and that a failing assertion shows well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any

from waystation.v1 import event_pb2, result_pb2, task_handler_service_pb2, wait_pb2
from waystation_worker.testing.changes import Change, Fault, apply, read_changes
from waystation_worker.timing import time_of
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
    """An event that a task raised. `priority` None and no metadata: inherited. `delay` is in
    seconds."""

    event_type: str
    payload: dict[str, Json] = field(default_factory=dict)
    priority: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    schema_version: str = ""
    delay: float | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, repr=False)
class FannedOut(_Shown):
    """A group of events, and what follows once. `need` 0: all of them; `timeout` is in seconds."""

    events: list[Raised]
    then: Raised
    need: int = 0
    timeout: float | None = None

    @property
    def raised(self) -> list[str]:
        """The types of its events."""
        return [event.event_type for event in self.events]


@dataclass(frozen=True, repr=False)
class Asked(_Shown):
    """A question to a person. `timeout` is in seconds."""

    message: str
    schema: dict[str, Json] | None = None
    wait_id: str = ""
    timeout: float | None = None
    answer_path: str | None = None


@dataclass(frozen=True, repr=False)
class Failing(_Shown):
    """Why a task ended its workflow as FAILED."""

    reason: str
    message: str = ""
    details: dict[str, Json] | None = None


@dataclass(frozen=True, repr=False)
class Pending(_Shown):
    """The result follows. `timeout` is in seconds; None: the task's own."""

    timeout: float | None = None


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
class Answer(_Shown):
    """What one call of one task answered.

    `data` is what the call was given with `changes` made; `status` is COMPLETED (with its `output`), FAILED
    (`failing` says why), WAITING_FOR_INPUT (`waits` are what is asked) or None for unchanged; `reads` are the places it looked at, as JSON Pointers.
    A failed call has nothing but its `failure`, one whose result follows nothing but `pending`.
    """

    data: dict[str, Json]
    changes: list[Change] = field(default_factory=list)
    events: list[Raised] = field(default_factory=list)
    fan_outs: list[FannedOut] = field(default_factory=list)
    waits: list[Asked] = field(default_factory=list)
    status: str | None = None
    output: dict[str, Json] | None = None
    failing: Failing | None = None
    failure: Failed | None = None
    pending: Pending | None = None
    reads: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def raised(self) -> list[str]:
        """The types of its events, without those of groups."""
        return [event.event_type for event in self.events]

    @property
    def number_of_events(self) -> int:
        """How many it raises, those of groups and what follows them included."""
        return len(self.events) + sum(len(one.events) + 1 for one in self.fan_outs)


def read_answer(
    response: task_handler_service_pb2.HandleEventResponse, data: dict[str, Json]
) -> Answer:
    """The answer as a value. Raises NotModelled for what the kit would have to ignore."""
    outcome = response.WhichOneof("outcome")
    if outcome == "failure":
        return Answer(data, failure=read_failure(response.failure))
    if outcome == "pending":
        return Answer(data, pending=Pending(_seconds(response.pending, "timeout")))
    if outcome is None:
        nothing = "the answer has none of result, failure and pending"
        return Answer(data, failure=Failed("RESPONSE_INVALID", nothing, permanent=True))
    return read_result(response.result, data)


def read_result(result: result_pb2.TaskResult, data: dict[str, Json]) -> Answer:
    """A result as a value. Raises NotModelled for what the kit would have to ignore."""
    _refuse_unknown(result)
    changes = read_changes(result.operations)
    try:
        after = apply(data, changes)
    except Fault as fault:
        return Answer(data, failure=Failed(fault.reason, fault.message, permanent=True))
    return Answer(
        data=after,
        changes=changes,
        events=[read_event(new) for new in result.events],
        fan_outs=[_fanned_out(fan_out) for fan_out in result.fan_outs],
        waits=[_asked(wait) for wait in result.waits],
        status=_status_of(result),
        output=read_struct(result.complete.output) if result.complete.HasField("output") else None,
        failing=_failing(result.fail) if result.HasField("fail") else None,
        reads=list(result.reads.paths),
    )


def _status_of(result: result_pb2.TaskResult) -> str | None:
    if result.waits:
        return "WAITING_FOR_INPUT"
    end = result.WhichOneof("end")
    return None if end is None else {"complete": "COMPLETED", "fail": "FAILED"}[end]


def _failing(fail: result_pb2.WorkflowFailing) -> Failing:
    return Failing(
        reason=fail.reason,
        message=fail.message,
        details=read_struct(fail.details) if fail.HasField("details") else None,
    )


def read_event(new: event_pb2.NewEvent) -> Raised:
    """The event as a value."""
    return Raised(
        event_type=new.event_type,
        payload=read_struct(new.payload),
        priority=new.priority if new.HasField("priority") else None,
        metadata=dict(new.metadata),
        schema_version=new.schema_version,
        delay=_seconds(new, "delay"),
        deliver_at=time_of(new, "deliver_at"),
        expires_at=time_of(new, "expires_at"),
    )


def _fanned_out(fan_out: result_pb2.FanOut) -> FannedOut:
    return FannedOut(
        events=[read_event(new) for new in fan_out.events],
        then=read_event(fan_out.then),
        need=fan_out.need,
        timeout=_seconds(fan_out, "timeout"),
    )


def _asked(wait: wait_pb2.WaitRequest) -> Asked:
    return Asked(
        message=wait.message,
        schema=read_struct(wait.input_schema) if wait.HasField("input_schema") else None,
        wait_id=wait.wait_id,
        timeout=_seconds(wait, "timeout"),
        answer_path=wait.answer_path or None,
    )


def read_failure(failure: result_pb2.TaskFailure) -> Failed:
    """The failure as a value."""
    return Failed(
        reason=failure.reason,
        message=failure.message,
        permanent=failure.permanent,
        retry_after=_seconds(failure, "retry_after"),
        metadata=read_struct(failure.metadata),
    )


def _seconds(message: Any, field_name: str) -> float | None:
    if not message.HasField(field_name):
        return None
    seconds: float = getattr(message, field_name).ToTimedelta().total_seconds()
    return seconds


_MODELLED: dict[str, set[str]] = {
    "TaskResult": {"events", "fan_outs", "operations", "complete", "fail", "waits", "reads"},
    "WorkflowCompletion": {"output"},
    "WorkflowFailing": {"reason", "message", "details"},
    "NewEvent": {
        *("event_type", "payload", "priority", "metadata", "schema_version"),
        *("delay", "deliver_at", "expires_at"),
    },
    "FanOut": {"events", "then", "need", "timeout"},
    "WaitRequest": {"message", "wait_id", "input_schema", "answer_path", "timeout"},
}


def _refuse_unknown(message: Any) -> None:
    kind = message.DESCRIPTOR.name
    for descriptor, value in message.ListFields():
        if descriptor.name not in _MODELLED[kind]:
            raise NotModelled(
                f"the answer has {kind}.{descriptor.name}, which the test kit does not imitate; "
                "test this against `waystation dev`"
            )
        inner: Iterable[Any] = [value]
        if descriptor.message_type is None or descriptor.message_type.name not in _MODELLED:
            continue
        if descriptor.is_repeated:
            inner = value
        for one in inner:
            _refuse_unknown(one)
