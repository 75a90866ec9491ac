"""Outcomes that only a router's calls have: a lost connection, a cancelled call, a failed item of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from grpc import StatusCode

from waystation.v1 import result_pb2
from waystation_conversion.replies import readable
from waystation_conversion.statuses import error_of_code
from waystation_conversion.times import retry_after_from_proto
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import (
    Answered,
    Failed,
    NotSent,
    invalid_answer,
    metadata_of,
)
from waystation_domain.limits import MAX_REASON
from waystation_domain.outcomes import AttemptError

# The statuses of a lost connection; a handler can answer each of them too.
PERHAPS_CUT = frozenset({StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.INTERNAL})

_FAULTS_OF_ENDPOINT = frozenset({StatusCode.UNAVAILABLE.name, StatusCode.DEADLINE_EXCEEDED.name})

_CODES: dict[int, StatusCode] = {code.value[0]: code for code in StatusCode}


@dataclass(frozen=True, slots=True)
class CallCut:
    """The call was sent, and its connection was lost before an answer."""

    message: str
    endpoint: Registration
    duration: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The router cancelled the call and notified its handler, if any."""


def is_fault_of_endpoint(outcome: Answered | Failed | CallCut) -> bool:
    """Whether the outcome counts against the endpoint; any other shows that it answers."""
    return isinstance(outcome, CallCut) or (
        isinstance(outcome, Failed) and outcome.error.code in _FAULTS_OF_ENDPOINT
    )


CallOutcome: TypeAlias = Answered | Failed | CallCut | NotSent | Cancelled


def status_code(number: int) -> StatusCode:
    """The canonical code; an unknown number counts as UNKNOWN, as in gRPC."""
    return _CODES.get(number, StatusCode.UNKNOWN)


def error_of_item(status: result_pb2.CallStatus) -> AttemptError:
    """As `error_of_status`, for one item of a stream."""
    code = status_code(status.code)
    if code is StatusCode.OK:
        return invalid_answer("an item of the stream failed with the status OK")
    return error_of_code(
        code,
        status.message,
        reason=readable(status.reason, MAX_REASON),
        retry_after=retry_after_from_proto(status.retry_after)
        if status.HasField("retry_after")
        else None,
        metadata=metadata_of(status.metadata),
    )
