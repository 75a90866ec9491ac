"""Outcomes of a call of `HandleEvent`, and what a gRPC status means for an attempt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_conversion.replies import readable
from waystation_conversion.statuses import CALL_TIMED_OUT, error_of_code
from waystation_conversion.times import retry_after_from_proto
from waystation_core.ports.store import Registration
from waystation_core.rpc.endpoint_channels import MAX_ANSWER_BYTES, MAX_METADATA_BYTES
from waystation_core.rpc.message_reader import SMALL_BYTES, MessageReader, parsed
from waystation_domain.errors import (
    CallerNotIdentified,
    NotBegun,
    ResponseInvalid,
    WaystationError,
)
from waystation_domain.limits import (
    MAX_MESSAGE_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_REASON,
    MAX_TEXT_BYTES,
)
from waystation_domain.outcomes import AttemptError, fault_of
from waystation_domain.units import duration

_SAY_NOT_BEGUN = frozenset({StatusCode.RESOURCE_EXHAUSTED.name, StatusCode.UNAVAILABLE.name})
SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 60.0
"""Bounds of the pause that an endpoint without room may ask for, in seconds."""
USUAL_PAUSE = 1.0

_LOST_CAUSE = "metadata size exceeds"
_LOST_CAUSE_MEANS = (
    f". Unless the handler itself returned this, its status had more than {MAX_METADATA_BYTES // 1024} KiB with "
    "its details, so its code and cause are lost: shorten its message."
)
"""Only a hint for people: a handler can send the same text."""

_SAY_TOO_LARGE = frozenset({StatusCode.RESOURCE_EXHAUSTED, StatusCode.OUT_OF_RANGE})
_TOO_LARGE_MEANS = (
    ". This is the size of the request, so it exceeds the receive limit of the endpoint's gRPC server: set the limit to "
    f"at least {MAX_MESSAGE_BYTES} bytes (4 MiB), the maximum size of a request, and retry."
)
"""A hint too: servers of all languages name the size that they refuse."""

_EARLY_SECONDS = 0.1
"""An endpoint's timer may fire so much earlier than ours."""

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Answered:
    """The task answered, perhaps with a `failure`. Nothing of it is checked yet."""

    response: pb.HandleEventResponse
    endpoint: Registration
    duration: float
    """Seconds from sending to the answer."""


async def read_answer(data: bytes, reader: MessageReader) -> pb.HandleEventResponse | AttemptError:
    """The answer from its bytes, or the failed attempt if they are invalid, too large, or have unknown
    fields."""
    if len(data) > MAX_ANSWER_BYTES:
        return answer_too_large()
    try:
        if len(data) <= SMALL_BYTES:
            return parsed(data, pb.HandleEventResponse, strict=True)
        return await reader.read(data, pb.HandleEventResponse, strict=True)
    except DecodeError:
        return invalid_answer("it is not a HandleEventResponse")
    except WaystationError as fault:
        return fault_of(fault)


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended with a status: an error of the task, or a time-out."""

    error: AttemptError
    endpoint: Registration
    duration: float


@dataclass(frozen=True, slots=True)
class NotSent:
    """No endpoint got the call: no attempt. `reason` says why, for people."""

    reason: str
    unannounced: bool = False
    """No endpoint declares the task for this event: only another registration can help."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of a call besides its status."""

    request_bytes: int
    timeout: float
    duration: float
    """Both in seconds."""


def error_of_status(
    code: StatusCode,
    message: str,
    trailing: Iterable[tuple[str, str | bytes]] = (),
    sent: Sent | None = None,
) -> AttemptError:
    """The failed attempt of a status other than OK and UNIMPLEMENTED. google.rpc.RetryInfo in the details
    sets the delay, ErrorInfo the reason."""
    reason, retry_after, metadata = "", None, None
    for key, value in trailing:
        if key == _DETAILS and isinstance(value, bytes):
            named, retry_after, metadata = _details(value)
            reason = named or reason
    if code is StatusCode.RESOURCE_EXHAUSTED and _LOST_CAUSE in message:
        message += _LOST_CAUSE_MEANS
    if sent is not None:
        if code in _SAY_TOO_LARGE and _names(sent.request_bytes, message):
            message += _TOO_LARGE_MEANS
        if code is StatusCode.DEADLINE_EXCEEDED and not reason and _is_over(sent):
            # Each language has its own text for it, such as "Stream removed".
            return late(sent.timeout)
    return error_of_code(code, message, reason=reason, retry_after=retry_after, metadata=metadata)


def _names(number: int, text: str) -> bool:
    return re.search(rf"(?<!\d){number}(?!\d)", text) is not None


def _is_over(sent: Sent) -> bool:
    return sent.duration >= sent.timeout - _EARLY_SECONDS


def pause_of_not_begun(error: AttemptError) -> float | None:
    """Seconds for which an endpoint wants no calls of a task that it could not begin; None for every other
    status. It was no attempt."""
    if error.reason != NotBegun.reason or error.code not in _SAY_NOT_BEGUN:
        return None
    pause = USUAL_PAUSE if error.retry_after is None else error.retry_after
    return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)


def refuses_caller(error: AttemptError) -> bool:
    """Whether an endpoint says that it does not know who called. It was no attempt."""
    return (error.code, error.reason) == (CallerNotIdentified.code, CallerNotIdentified.reason)


def late(seconds: float) -> AttemptError:
    """The failed attempt of a handler that did not answer in time."""
    return AttemptError(
        code=StatusCode.DEADLINE_EXCEEDED.name,
        reason=CALL_TIMED_OUT,
        message=f"No answer came within {duration(seconds)}.",
    )


def invalid_answer(problem: str) -> AttemptError:
    """The failed attempt of an answer that cannot be read; a retry cannot help."""
    return AttemptError(
        code=ResponseInvalid.code,
        reason=ResponseInvalid.reason,
        message=f"The handler's answer is invalid: {problem}. Correct the task.",
        permanent=True,
        metadata={"problem": problem},
    )


def answer_too_large() -> AttemptError:
    """The failed attempt of an answer that is larger than a message may be."""
    return invalid_answer("the answer is larger than 8 MiB, the limit of a message")


def _details(data: bytes) -> tuple[str, float | None, dict[str, str] | None]:
    """Reason, delay and metadata of a serialised google.rpc.Status; untrusted input."""
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    try:
        for detail in status_pb2.Status.FromString(data).details:
            # Unpack does not change the message if the detail has another type.
            if not detail.Unpack(retry):
                detail.Unpack(info)
    except DecodeError:
        return "", None, None
    retry_after = (
        retry_after_from_proto(retry.retry_delay) if retry.HasField("retry_delay") else None
    )
    return readable(info.reason, MAX_REASON), retry_after, metadata_of(info.metadata)


def metadata_of(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """A handler's details of its failure, cut to what may be stored; None if there are none."""
    return {
        readable(key, 200): readable(value, MAX_TEXT_BYTES)
        for key, value in list(metadata.items())[:MAX_METADATA_ENTRIES]
    } or None
