"""Everything this package raises, and the two exceptions that a task raises.

    Exception
    ├── Reject                      a task: never try this again
    ├── RetryAfter                  a task: try again, after this long
    └── WaystationError             .reason .message .metadata .code .retryable
        ├── SettingsError           settings are missing or contradict each other; all of them named
        ├── InvalidRequest          INVALID_ARGUMENT
        ├── NotFound                NOT_FOUND
        │   ├── WorkflowNotFound
        │   └── DeliveryNotFound
        ├── AlreadyExists           ALREADY_EXISTS
        │   ├── WorkflowAlreadyExists
        │   └── RequestIdReused
        ├── WrongState              FAILED_PRECONDITION
        │   ├── WorkflowEnded
        │   ├── WorkflowNotWaiting
        │   └── WaitIdRequired
        ├── VersionMismatch         ABORTED
        ├── LimitExceeded           RESOURCE_EXHAUSTED
        ├── NotAllowed              PERMISSION_DENIED, UNAUTHENTICATED
        ├── NotAvailable            UNIMPLEMENTED
        └── Unavailable             UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED: no answer in time

Any other refusal is a plain WaystationError. `reason` tells errors of one class apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


class Reject(Exception):
    """Raised by a task: this event can never be handled. It is dead-lettered at once.

    `reason` is a short stable name such as `POLICY_NOT_FOUND`, `message` is for a person,
    `metadata` (JSON) is kept with the attempt.
    """

    def __init__(
        self, reason: str, message: str = "", metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message or reason
        self.metadata = metadata


class RetryAfter(Exception):
    """Raised by a task: this attempt failed, try again after `seconds` (at most 24 h) instead of
    after the task's backoff. It spends an attempt."""

    def __init__(
        self,
        seconds: float,
        reason: str = "RETRY_AFTER",
        message: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 <= seconds <= 86_400:
            raise ValueError(f"seconds has to be between 0 and 86400, not {seconds}")
        super().__init__(message or reason)
        self.seconds = seconds
        self.reason = reason
        self.message = message or reason
        self.metadata = metadata


class WaystationError(Exception):
    """A call that Waystation refused or did not answer.

    `reason` is a name of ErrorReason without its prefix (empty where none came), `metadata` the
    dynamic parts of the message, `code` the name of the gRPC status code.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code: str = "UNKNOWN",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.code = code

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later as it is."""
        return isinstance(self, Unavailable) or self.reason == "BACKLOG_FULL"


class SettingsError(WaystationError):
    """Settings that can't work; the message names each of them and what to do."""


class InvalidRequest(WaystationError):
    """A field of the request breaks a rule."""


class NotFound(WaystationError):
    """What the call names is not there."""


class WorkflowNotFound(NotFound):
    """No such workflow instance."""


class DeliveryNotFound(NotFound):
    """No delivery with this idempotency key is pending."""


class AlreadyExists(WaystationError):
    """What the call creates is there already, and differs."""


class WorkflowAlreadyExists(AlreadyExists):
    """The instance id is in use by a start with other content."""


class RequestIdReused(AlreadyExists):
    """The request_id was used with another body."""


class WrongState(WaystationError):
    """What the call asks for is not possible in this state."""


class WorkflowEnded(WrongState):
    """The instance is COMPLETED, FAILED or CANCELLED."""


class WorkflowNotWaiting(WrongState):
    """The instance has no open wait, or not this one."""


class WaitIdRequired(WrongState):
    """Several waits are open; `metadata["wait_ids"]` names them."""


class VersionMismatch(WaystationError):
    """The instance has another version than expected: read again and decide anew."""


class LimitExceeded(WaystationError):
    """Something is too large, or there is too much of it."""


class NotAllowed(WaystationError):
    """The caller or the endpoint is not admitted."""


class NotAvailable(WaystationError):
    """The server does not carry this out, or is no Waystation server."""


class Unavailable(WaystationError):
    """The server was not reached or did not answer in time, after the retries of this client."""


_BY_REASON: dict[str, type[WaystationError]] = {
    "WORKFLOW_NOT_FOUND": WorkflowNotFound,
    "DELIVERY_NOT_FOUND": DeliveryNotFound,
    "WORKFLOW_ALREADY_EXISTS": WorkflowAlreadyExists,
    "REQUEST_ID_REUSED": RequestIdReused,
    "WORKFLOW_ENDED": WorkflowEnded,
    "WORKFLOW_NOT_WAITING": WorkflowNotWaiting,
    "WAIT_ID_REQUIRED": WaitIdRequired,
    "VERSION_MISMATCH": VersionMismatch,
}

_BY_CODE: dict[str, type[WaystationError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": WrongState,
    "RESOURCE_EXHAUSTED": LimitExceeded,
    "PERMISSION_DENIED": NotAllowed,
    "UNAUTHENTICATED": NotAllowed,
    "UNIMPLEMENTED": NotAvailable,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
    "CANCELLED": Unavailable,
}


def from_rpc_error(error: grpc.aio.AioRpcError) -> WaystationError:
    """The typed error for a failed call, by its ErrorInfo where it has one, else by its code."""
    code = error.code().name
    info = _error_info(error)
    return error_of(code, info.reason, error.details() or code, info.metadata)


def error_of(code: str, reason: str, message: str, metadata: Mapping[str, str]) -> WaystationError:
    """The typed error for a refusal with this code and reason."""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, WaystationError)
    return kind(message, reason=reason, metadata=metadata, code=code)


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """The call's ErrorInfo; an empty one where none came, or none that can be read."""
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS:
            continue
        try:
            status = status_pb2.Status.FromString(cast(bytes, value))
        except DecodeError:
            break
        for detail in status.details:
            if detail.Is(info.DESCRIPTOR):
                detail.Unpack(info)
                return info
    return info
