"""The part of a result besides changes, shared by TaskContext and TaskResult."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from waystation.v1 import result_pb2, wait_pb2
from waystation_worker.arguments import text, whole
from waystation_worker.events import NewEvent
from waystation_worker.tasks import check_name, is_reserved
from waystation_worker.times import Span, span
from waystation_worker.values import Model, check_writable, parse_pointer, write_struct

MAX_EVENTS = 1000
COMPLETED = "workflow.completed"
FAILED = "workflow.failed"


class Reply:
    """A result that is being built."""

    __slots__ = ("_ended_by", "_number_of_events", "_result")

    def __init__(self) -> None:
        self._result = result_pb2.TaskResult()
        self._number_of_events = 0
        self._ended_by = ""

    def emit(
        self,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        schema_version: str = "",
        delay: Span | None = None,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Raises an event in this instance. The arguments are those of `NewEvent`.

        Raises ValueError or TypeError as `NewEvent` does, and for a reserved type, a payload that is
        not valid JSON, and more than 1,000 events.
        """
        result = self._open_for("emit")
        new = NewEvent(
            event_type,
            payload,
            priority=priority,
            metadata=metadata,
            schema_version=schema_version,
            delay=delay,
            deliver_at=deliver_at,
            expires_at=expires_at,
        )
        if is_reserved(event_type) and event_type not in (COMPLETED, FAILED):
            raise ValueError(f"{event_type} is reserved for the system; choose another name")
        self._check_room(1)
        result.events.append(new._message())
        self._number_of_events += 1

    def fan_out(
        self,
        events: Iterable[NewEvent | str],
        then: NewEvent | str,
        *,
        need: int = 0,
        timeout: Span | None = None,
    ) -> None:
        """Raises a group of events, and `then` once when they are settled.

        Each event starts a branch: events, waits and groups that are raised or opened while it is
        handled belong to the branch. `then` is raised when every branch is settled, or with `need`,
        when that many branches have succeeded, or after `timeout` (at most 366 days). Its payload
        gets `failed_branches`, the list of failures, and after the timeout `timed_out` and
        `open_branches`. A group without events is settled immediately.

        Raises ValueError or TypeError as `emit` does, and for an event that ends the workflow, a
        `need` above the number of events, and a `then` with a delay, a delivery time or an expiry.
        """
        result = self._open_for("fan_out")
        if isinstance(events, str):
            raise TypeError(f"fan_out needs a list of events; write [{events!r}]")
        branches = [_as_event(event) for event in events]
        follows = _as_event(then)
        if whole(need, "need", 0, MAX_EVENTS) > len(branches):
            raise ValueError(
                f"need must be 0 (all) to {len(branches)} (the number of events), not {need}"
            )
        for new in (*branches, follows):
            if is_reserved(new.event_type):
                raise ValueError(
                    f"{new.event_type} in a fan_out: events that end the workflow, and names "
                    "reserved for the system, are not allowed"
                )
        if follows.is_timed:
            raise ValueError(
                "`then` is raised when its group is settled; it can't be delayed or expire"
            )
        # The `then` of an empty group is raised immediately.
        raised = len(branches) or 1
        self._check_room(raised)
        fan_out = result_pb2.FanOut(need=need)
        if timeout is not None:
            fan_out.timeout.FromTimedelta(span(timeout, "timeout"))
        fan_out.events.extend(new._message() for new in branches)
        fan_out.then.CopyFrom(follows._message())
        result.fan_outs.append(fan_out)
        self._number_of_events += raised

    def wait_for_input(
        self,
        message: str,
        schema: Mapping[str, Any] | None = None,
        wait_id: str | None = None,
        timeout: Span | None = None,
        *,
        answer_path: str | None = None,
    ) -> None:
        """Opens a wait for input from a person: the instance is WAITING_FOR_INPUT until
        `provide_input` answers, or until `timeout` (at most 366 days), when `user.input.timed_out`
        is raised.

        `schema` is a JSON Schema for forms (at most 64 KiB). The answer is merged into data at the
        top level; with `answer_path` (a JSON Pointer such as `/reviews/legal`) it is stored there
        as a whole, and nothing else changes. A result may open several waits. Raises ValueError if
        the result already ends the instance, and for an invalid path.
        """
        if self._ended_by:
            raise ValueError(
                f"wait_for_input after {self._ended_by}: a result that ends the workflow can't open a wait"
            )
        result = self._open_for("wait_for_input")
        if not text(message, "message"):
            raise ValueError("wait_for_input needs a message, the question to ask")
        wait = wait_pb2.WaitRequest(message=message)
        if wait_id is not None:
            check_name(wait_id, "wait_id")
            if any(other.wait_id == wait_id for other in result.waits):
                raise ValueError(f"wait_for_input: this result has a wait {wait_id!r} already")
            wait.wait_id = wait_id
        if isinstance(schema, type):
            raise TypeError(
                f"schema must be a JSON Schema, not a class; of a pydantic model it is "
                f"{schema.__name__}.model_json_schema()"
            )
        if schema is not None:
            write_struct(schema, wait.input_schema, "schema")
        if answer_path is not None:
            if not parse_pointer(answer_path):
                raise ValueError(
                    "answer_path must not be empty; give the path of a member, or omit it"
                )
            check_writable(answer_path)
            wait.answer_path = answer_path
        if timeout is not None:
            wait.timeout.FromTimedelta(span(timeout, "timeout"))
        result.waits.append(wait)

    def complete(self, output: Mapping[str, Any] | Model | None = None) -> None:
        """Ends the instance as COMPLETED. Raises ValueError if the result already ends the instance
        or opens a wait."""
        result = self._only_end("complete")
        result.complete.SetInParent()
        if output is not None:
            write_struct(output, result.complete.output, "output")
        self._ended_by = "complete"

    def fail(
        self, reason: str, message: str = "", details: Mapping[str, Any] | Model | None = None
    ) -> None:
        """Ends the instance as FAILED: the task succeeded, but the workflow cannot continue.
        `details` (JSON) are stored with the failure.

        If the task itself failed, raise Reject instead, or call `fail_delivery`. Raises ValueError
        without a reason, and if the result already ends the instance or opens a wait.
        """
        result = self._only_end("fail")
        text(message, "message")
        if not text(reason, "reason"):
            raise ValueError("fail needs a reason: a short stable name such as FRAUD_SUSPECTED")
        result.fail.reason = reason
        result.fail.message = message or reason
        if details is not None:
            write_struct(details, result.fail.details, "details")
        self._ended_by = "fail"

    def _only_end(self, what: str) -> result_pb2.TaskResult:
        result = self._open_for(what)
        if self._ended_by or result.waits:
            before = self._ended_by or "wait_for_input"
            raise ValueError(f"{what} after {before}: a result may have only one of them")
        return result

    def _open_for(self, what: str) -> result_pb2.TaskResult:
        """The message to write to."""
        return self._result

    def _check_room(self, more: int) -> None:
        if self._number_of_events + more > MAX_EVENTS:
            raise ValueError(
                f"a result may raise at most {MAX_EVENTS} events; raise them in several steps"
            )


def _as_event(event: NewEvent | str) -> NewEvent:
    if isinstance(event, str):
        return NewEvent(event)
    if not isinstance(event, NewEvent):
        raise TypeError(f"fan_out takes event types and NewEvent, not {type(event).__name__}")
    return event
