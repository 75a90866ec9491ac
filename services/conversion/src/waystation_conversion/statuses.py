"""What a gRPC status means for an attempt."""

from __future__ import annotations

from grpc import StatusCode

from waystation_conversion.replies import readable
from waystation_domain.limits import MAX_TEXT_BYTES
from waystation_domain.outcomes import AttemptError

CALL_TIMED_OUT = "CALL_TIMED_OUT"

_PERMANENT = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
        StatusCode.PERMISSION_DENIED,
        StatusCode.UNAUTHENTICATED,
        StatusCode.DATA_LOSS,
    }
)


def error_of_code(
    code: StatusCode,
    message: str,
    *,
    reason: str = "",
    retry_after: float | None = None,
    metadata: dict[str, str] | None = None,
) -> AttemptError:
    """The failed attempt of a code. Without a reason the code is the reason, except for a time-out."""
    in_its_place = CALL_TIMED_OUT if code is StatusCode.DEADLINE_EXCEEDED else code.name
    return AttemptError(
        code=code.name,
        reason=reason or in_its_place,
        message=readable(message, MAX_TEXT_BYTES) or f"The handler returned {code.name}.",
        permanent=code in _PERMANENT,
        retry_after=retry_after,
        metadata=metadata,
    )
