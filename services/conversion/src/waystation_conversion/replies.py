"""A task's answer, read as untrusted input: a Reply, or the error that the attempt ends with.

An answer that breaks a rule is a permanent failure with a reason of its own; nothing of it takes effect.
Rules that need the instance (the path of an operation meets a string, the instance has its 10,000 events) are
left to the domain.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from waystation.v1 import event_pb2, operation_pb2, result_pb2, task_handler_service_pb2, wait_pb2
from waystation_conversion.requests import new_event_from_proto, payload_from_proto
from waystation_conversion.sizes import json_size
from waystation_conversion.structs import from_value, to_dict
from waystation_conversion.times import retry_after_from_proto, seconds_from_proto
from waystation_conversion.unexpected import refuses_unexpected
from waystation_domain import lifecycle, limits, storable
from waystation_domain.errors import (
    InvalidStruct,
    ResourceExhausted,
    ResponseInvalid,
    WaystationError,
)
from waystation_domain.model import JsonObject, NewEvent
from waystation_domain.operations import Operation, canonical
from waystation_domain.outcomes import (
    AttemptError,
    Change,
    Completion,
    Failing,
    FanOut,
    Patch,
    Pending,
    Replacement,
    Reply,
    WaitRequest,
    fault_of,
)

TASK_FAILURE = "TASK_FAILURE"

_log = logging.getLogger(__name__)

_Response = task_handler_service_pb2.HandleEventResponse
_Result = result_pb2.TaskResult


def reply_from_proto(response: _Response) -> Reply | AttemptError | Pending:
    """The answer, checked against every limit; never raises, whatever a task sent."""
    try:
        return _read(response)
    except WaystationError as fault:
        return fault_of(fault)
    except Exception:
        # A missing check: the attempt must end anyway, or the delivery would stay in call.
        _log.exception("answer_not_read")
        return fault_of(
            ResponseInvalid(
                "The answer is not a valid message; see the router's log. Correct the task.",
                problem="unreadable",
            )
        )


@refuses_unexpected("result")
def result_from_proto(result: _Result) -> Reply:
    """The result of a task that succeeded. Raises the error of a broken rule, as its caller can correct it."""
    # Checked before anything is converted, which is expensive.
    limits.check_events_of_answer(
        len(result.events) + sum(len(fan_out.events) or 1 for fan_out in result.fan_outs)
    )
    events = _events(result.events, "events")
    reply = Reply(
        events=events,
        change=_change(result),
        end=_end(result),
        waits=tuple(_wait(wait, f"waits[{at}]") for at, wait in enumerate(result.waits)),
        reads=_paths(result.reads.paths) if result.HasField("reads") else None,
        fan_outs=tuple(
            _fan_out(fan_out, f"fan_outs[{at}]") for at, fan_out in enumerate(result.fan_outs)
        ),
    )
    reply.check_one_status()
    return reply


def _read(response: _Response) -> Reply | AttemptError | Pending:
    outcome = response.WhichOneof("outcome")
    if outcome == "result":
        return result_from_proto(response.result)
    if outcome == "failure":
        return failure_from_proto(response.failure)
    if outcome == "pending":
        return Pending(_timeout(response.pending, "pending.timeout", limits.MAX_PENDING_SECONDS))
    raise ResponseInvalid(
        "The answer has none of result, failure and pending, or an outcome that this release does not know; a task "
        'that succeeded and changes nothing answers {"result": {}}.',
        problem="no outcome",
    )


def _events(messages: Iterable[event_pb2.NewEvent], field: str) -> tuple[NewEvent, ...]:
    events = tuple(
        new_event_from_proto(message, f"{field}[{at}]") for at, message in enumerate(messages)
    )
    for event in events:
        lifecycle.check_task_event(event.event_type)
    return events


def _fan_out(message: result_pb2.FanOut, field: str) -> FanOut:
    """A group to open; the domain checks it as a whole."""
    if not message.HasField("then"):
        raise ResponseInvalid(
            f"{field}.then is missing; set the event to raise when the group is settled.",
            problem="fan-out without then",
        )
    if message.need < 0:
        raise ResponseInvalid(
            f"{field}.need is {message.need}; it must be a number of branches, or 0 for all.",
            problem="negative need",
        )
    return FanOut(
        events=_events(message.events, f"{field}.events"),
        then=new_event_from_proto(message.then, f"{field}.then"),
        need=message.need,
        timeout=_timeout(message, f"{field}.timeout", limits.MAX_DELAY_SECONDS),
    )


def _timeout(
    message: result_pb2.FanOut | wait_pb2.WaitRequest | result_pb2.PendingCompletion,
    field: str,
    most: float,
) -> float | None:
    if not message.HasField("timeout"):
        return None
    return seconds_from_proto(message.timeout, field, most=most)


def _end(result: _Result) -> Completion | Failing | None:
    end = result.WhichOneof("end")
    if end == "complete":
        complete = result.complete
        return Completion(
            payload_from_proto(complete.output, "complete.output")
            if complete.HasField("output")
            else None
        )
    if end == "fail":
        fail = result.fail
        details = None
        if fail.HasField("details"):
            details = payload_from_proto(fail.details, "fail.details")
            limits.check_size(json_size(details), "fail.details", limits.MAX_DETAILS_BYTES)
        if not fail.reason:
            raise ResponseInvalid(
                "fail.reason is empty; give a reason such as FRAUD_SUSPECTED.",
                problem="end without reason",
            )
        return Failing(
            reason=readable(fail.reason, limits.MAX_REASON),
            message=readable(fail.message, limits.MAX_TEXT_BYTES),
            details=details,
        )
    return None


def _wait(message: wait_pb2.WaitRequest, field: str) -> WaitRequest:
    if message.wait_id:
        limits.check_id(message.wait_id, f"{field}.wait_id")
    if not message.message:
        raise ResponseInvalid(
            f"{field}.message is empty; set the question for the person.",
            problem="wait without message",
        )
    return WaitRequest(
        message=limits.check_text(message.message, f"{field}.message"),
        wait_id=message.wait_id,
        input_schema=_schema(message, f"{field}.input_schema"),
        answer_path=_answer_path(message),
        timeout=_timeout(message, f"{field}.timeout", limits.MAX_DELAY_SECONDS),
    )


def _answer_path(message: wait_pb2.WaitRequest) -> str | None:
    if not message.answer_path:
        return None
    limits.check_answer_path(message.answer_path)
    return message.answer_path


def _schema(message: wait_pb2.WaitRequest, field: str) -> JsonObject | None:
    if not message.HasField("input_schema"):
        return None
    schema = payload_from_proto(message.input_schema, field)
    limits.check_size(json_size(schema), field, limits.MAX_SCHEMA_BYTES)
    return schema


def _change(result: _Result) -> Change:
    kind = result.WhichOneof("change")
    if kind is None:
        return ()
    if kind == "operations":
        return operations_from_proto(result.operations)
    if kind == "data_patch":
        return Patch(payload_from_proto(result.data_patch, "data_patch"))
    return Replacement(payload_from_proto(result.data, "data"))


@refuses_unexpected("operations")
def operations_from_proto(message: operation_pb2.OperationList) -> tuple[Operation, ...]:
    """Operations with their values; whether they fit the data shows when they are applied."""
    if len(message.items) > limits.MAX_OPERATIONS:
        raise ResponseInvalid(
            f"A result may have at most {limits.MAX_OPERATIONS} operations, not "
            f"{len(message.items)}; set a larger part of the data at once.",
            problem="too many operations",
            limit=str(limits.MAX_OPERATIONS),
        )
    return tuple(_operation(at, operation) for at, operation in enumerate(message.items))


def _operation(at: int, message: operation_pb2.Operation) -> Operation:
    kind = message.WhichOneof("kind")
    path = message.path
    _check_path(path)
    if kind == "set":
        return Operation(path, kind, from_value(message.set, f"operations[{at}].set"))
    if kind == "remove":
        return Operation(path, kind)
    if kind == "increment" or kind == "maximum":
        number = message.increment if kind == "increment" else message.maximum
        try:
            storable.check_double(number)
        except storable.Unstorable as found:
            raise found.refused(f"operations[{at}].{kind}") from None
        return Operation(path, kind, canonical(number))
    if kind == "append":
        return Operation(path, kind, from_value(message.append, f"operations[{at}].append"))
    if kind == "add_to_set":
        return Operation(path, kind, from_value(message.add_to_set, f"operations[{at}].add_to_set"))
    raise ResponseInvalid(
        f"operations[{at}] has no kind; set one of its kinds, such as `set` or `remove`.",
        problem="operation without kind",
        operation=str(at),
    )


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    if len(paths) > limits.MAX_OPERATIONS:
        raise ResponseInvalid(
            f"reads may have at most {limits.MAX_OPERATIONS} paths, not {len(paths)}; "
            "use the paths of containers instead.",
            problem="too many reads",
            limit=str(limits.MAX_OPERATIONS),
        )
    for path in paths:
        if path:
            _check_path(path)
    return tuple(paths)


def _check_path(path: str) -> None:
    """Raises InvalidPath. A path longer than data is deep would be useless."""
    if path[:1] != "/" or "~" in path or "\0" in path or path.count("/") > limits.MAX_PATH_TOKENS:
        limits.check_path(path)


@refuses_unexpected("failure")
def failure_from_proto(failure: result_pb2.TaskFailure) -> AttemptError:
    """The failed attempt that a task reports."""
    retry_after = None
    if failure.HasField("retry_after"):
        retry_after = retry_after_from_proto(failure.retry_after)
    metadata: JsonObject | None = None
    if failure.HasField("metadata"):
        try:
            metadata = to_dict(failure.metadata, "failure.metadata")
            limits.check_size(json_size(metadata), "failure.metadata", limits.MAX_DETAILS_BYTES)
        except (InvalidStruct, ResourceExhausted) as problem:
            metadata = {"left_out": problem.message}
    reason = readable(failure.reason, limits.MAX_REASON) or TASK_FAILURE
    return AttemptError(
        code=TASK_FAILURE,
        reason=reason,
        message=readable(failure.message, limits.MAX_TEXT_BYTES) or reason,
        permanent=failure.permanent,
        retry_after=retry_after,
        metadata=metadata,
    )


def readable(text: str, limit: int) -> str:
    """Text of a failure as it may be stored: at most `limit` characters, and without NUL, which Postgres refuses."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}")
