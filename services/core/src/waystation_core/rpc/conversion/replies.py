"""What a task answered, read as hostile input: a Reply, or the error that the attempt ends with.

An answer that breaks a rule is a permanent failure with a reason of its own; nothing of it takes
effect. What only the instance can tell (the path of an operation meets a string, the instance has
its 10,000 events) is left to the domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from waystation.v1 import event_pb2, operation_pb2, result_pb2, task_handler_service_pb2, wait_pb2
from waystation_core.domain import lifecycle, limits
from waystation_core.domain.errors import (
    InvalidField,
    InvalidStruct,
    ResourceExhausted,
    ResponseInvalid,
    WaystationError,
)
from waystation_core.domain.model import JsonObject, NewEvent, Status
from waystation_core.domain.operations import Operation, canonical
from waystation_core.domain.results import (
    AttemptError,
    Change,
    FanOut,
    Patch,
    Pending,
    Replacement,
    Reply,
    WaitRequest,
    fault_of,
)
from waystation_core.rpc.conversion.requests import new_event_from_proto, payload_from_proto
from waystation_core.rpc.conversion.times import seconds_from_proto, seconds_within
from waystation_core.rpc.conversion.unforeseen import refuses_unforeseen
from waystation_core.rpc.structs import from_value, to_dict

TASK_FAILURE = "TASK_FAILURE"

_log = structlog.get_logger(__name__)

_Response = task_handler_service_pb2.HandleEventResponse


def reply_from_proto(response: _Response) -> Reply | AttemptError | Pending:
    """The answer, checked against every limit; never raises, whatever a task sent."""
    try:
        return _read(response)
    except WaystationError as fault:
        return fault_of(fault)
    except Exception:
        # A gap in the checks: the attempt ends all the same, or the delivery would stay in call.
        _log.exception("answer_not_read")
        return fault_of(
            ResponseInvalid(
                "The answer can't be read; the router's log tells more. Correct the task.",
                problem="unreadable",
            )
        )


@refuses_unforeseen("response")
def completion_from_proto(response: _Response) -> Reply:
    """The result of a pending delivery. Raises what breaks a rule, as its caller can correct it."""
    for field in ("failure", "pending"):
        if response.HasField(field):  # type: ignore[arg-type, unused-ignore]
            raise InvalidField(
                f"response.{field} completes nothing; call FailDelivery or ExtendDelivery.",
                field=f"response.{field}",
            )
    reply = _read(response)
    assert isinstance(reply, Reply)
    return reply


def _read(response: _Response) -> Reply | AttemptError | Pending:
    if response.HasField("failure"):
        _check_alone(response, "failure")
        return failure_from_proto(response.failure)
    if response.HasField("pending"):
        _check_alone(response, "pending")
        return Pending(_timeout(response.pending, "pending.timeout", limits.MAX_PENDING_SECONDS))
    # Looked at before anything is converted: that is what costs.
    limits.check_events_of_answer(
        len(response.events) + sum(len(fan_out.events) or 1 for fan_out in response.fan_outs)
    )
    events = _events(response.events, "events")
    fan_outs = tuple(
        _fan_out(fan_out, f"fan_outs[{at}]") for at, fan_out in enumerate(response.fan_outs)
    )
    status = _status(response.status)
    wait = _wait(response.wait) if response.HasField("wait") else None
    output = payload_from_proto(response.output, "output") if response.HasField("output") else None
    _check_end(events, status, wait, output)
    return Reply(
        events=events,
        change=_change(response),
        status=status,
        wait=wait,
        output=output,
        reads=_paths(response.reads.paths) if response.HasField("reads") else None,
        fan_outs=fan_outs,
    )


def _events(messages: Iterable[event_pb2.NewEvent], field: str) -> tuple[NewEvent, ...]:
    events = tuple(
        new_event_from_proto(message, f"{field}[{at}]") for at, message in enumerate(messages)
    )
    for event in events:
        lifecycle.check_task_event(event.event_type)
    return events


def _fan_out(message: result_pb2.FanOut, field: str) -> FanOut:
    """A group to open; what only the whole of it can tell is left to the domain."""
    if not message.HasField("then"):
        raise ResponseInvalid(
            f"{field}.then is missing; say what follows when the group is settled.",
            problem="fan-out without then",
        )
    if message.need < 0:
        raise ResponseInvalid(
            f"{field}.need is {message.need}; it is a number of branches, or 0 for all.",
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


def _status(value: int) -> Status | None:
    if not value:
        return None
    try:
        return Status(value)
    except ValueError:
        raise ResponseInvalid(
            f"status {value} is none that this release knows; COMPLETED and FAILED end a workflow.",
            problem="unknown status",
            status=str(value),
        ) from None


def _check_end(
    events: Iterable[NewEvent],
    status: Status | None,
    wait: WaitRequest | None,
    output: JsonObject | None,
) -> None:
    """Refuses answers that want two ends at once, or an output without an end."""
    wanted = {lifecycle.STATUS_OF_EVENT.get(event.event_type) for event in events} - {None}
    if status is not None:
        wanted.add(status)
    if wait is not None:
        wanted.add(Status.WAITING_FOR_INPUT)
    if len(wanted) > 1:
        names = ", ".join(sorted(found.name for found in wanted if found is not None))
        raise ResponseInvalid(
            f"The answer asks for {names} at once; ask for one of them.",
            problem="contradicting statuses",
            statuses=names,
        )
    if output is not None and Status.COMPLETED not in wanted:
        raise ResponseInvalid(
            "output goes with status COMPLETED or a raised workflow.completed only; "
            "complete the workflow, or put the value into data.",
            problem="output without completion",
        )


def _wait(message: wait_pb2.WaitRequest) -> WaitRequest:
    if message.wait_id:
        limits.check_id(message.wait_id, "wait.wait_id")
    if not message.message:
        raise ResponseInvalid(
            "wait.message is empty; say what the person is asked.", problem="wait without message"
        )
    return WaitRequest(
        message=limits.check_text(message.message, "wait.message"),
        wait_id=message.wait_id,
        input_schema=payload_from_proto(message.input_schema, "wait.input_schema")
        if message.HasField("input_schema")
        else None,
        timeout=_timeout(message, "wait.timeout", limits.MAX_DELAY_SECONDS),
    )


def _change(response: _Response) -> Change:
    kind = response.WhichOneof("change")
    if kind is None:
        return ()
    if kind == "operations":
        return operations_from_proto(response.operations)
    if kind == "data_patch":
        return Patch(payload_from_proto(response.data_patch, "data_patch"))
    return Replacement(payload_from_proto(response.data, "data"))


@refuses_unforeseen("operations")
def operations_from_proto(message: operation_pb2.OperationList) -> tuple[Operation, ...]:
    """Operations with their values; whether they fit the data shows when they are applied."""
    if len(message.items) > limits.MAX_OPERATIONS:
        raise ResponseInvalid(
            f"An answer may hold {limits.MAX_OPERATIONS} operations, not "
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
            limits.check_double(number)
        except limits.Unstorable as found:
            raise found.refused(f"operations[{at}].{kind}") from None
        return Operation(path, kind, canonical(number))
    if kind == "append":
        return Operation(path, kind, from_value(message.append, f"operations[{at}].append"))
    if kind == "add_to_set":
        return Operation(path, kind, from_value(message.add_to_set, f"operations[{at}].add_to_set"))
    raise ResponseInvalid(
        f"operations[{at}] says not what to do; set one of its kinds.",
        problem="operation without kind",
        operation=str(at),
    )


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    if len(paths) > limits.MAX_OPERATIONS:
        raise ResponseInvalid(
            f"reads may name {limits.MAX_OPERATIONS} paths, not {len(paths)}; "
            "name the containers instead.",
            problem="too many reads",
            limit=str(limits.MAX_OPERATIONS),
        )
    for path in paths:
        if path:
            _check_path(path)
    return tuple(paths)


def _check_path(path: str) -> None:
    """Raises InvalidPath. Longer than data is deep, it would only cost."""
    if path[:1] != "/" or "~" in path or "\0" in path or path.count("/") > limits.MAX_PATH_TOKENS:
        limits.check_path(path)


def _check_alone(response: _Response, what: str) -> None:
    """Refuses a failure, or a `pending`, beside a result."""
    if (
        response.events
        or response.fan_outs
        or response.WhichOneof("change") is not None
        or response.status
        or response.HasField("wait")
        or response.HasField("output")
        or (response.HasField("failure") and response.HasField("pending"))
    ):
        raise ResponseInvalid(
            f"{what} stands together with a result; answer with one of the two.",
            problem=f"{what} and result",
        )


@refuses_unforeseen("failure")
def failure_from_proto(failure: result_pb2.TaskFailure) -> AttemptError:
    """The failed attempt that a task tells of."""
    retry_after = None
    if failure.HasField("retry_after"):
        # Whatever a failing task says of its delay, its failure counts: cut, not refused.
        retry_after = seconds_within(failure.retry_after, limits.MAX_RETRY_AFTER_SECONDS)
    metadata: JsonObject | None = None
    if failure.HasField("metadata"):
        try:
            metadata = to_dict(failure.metadata, "failure.metadata")
            limits.encoded(metadata, "failure.metadata")
        except (InvalidStruct, ResourceExhausted) as problem:
            metadata = {"left_out": problem.message}
    return AttemptError(
        code=TASK_FAILURE,
        reason=readable(failure.reason, 200) or TASK_FAILURE,
        message=readable(failure.message, limits.MAX_TEXT_BYTES),
        permanent=failure.permanent,
        retry_after=retry_after,
        metadata=metadata,
    )


def readable(text: str, limit: int) -> str:
    """Text of a failure as it may be stored: cut, and without NUL, which Postgres refuses."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}")
