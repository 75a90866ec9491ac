"""The errors of this package, and the two exceptions that a task may raise.

    Exception
    ├── Reject                      raised by a task: do not retry
    ├── RetryAfter                  raised by a task: retry after this time
    └── WaystationError             .reason .message .metadata .code .retryable
        ├── SettingsError           invalid settings; the message names all of them
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
        │   ├── Unauthenticated     there is no valid token
        │   └── PermissionDenied    the token does not give the role
        ├── NotAvailable            UNIMPLEMENTED
        └── Unavailable             UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED: no answer in time
            └── TlsFailed           no connection because of TLS: `reason` says what is wrong

Any other error is a plain WaystationError. `reason` distinguishes errors of one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from waystation_worker import times
from waystation_worker.times import Span
from waystation_worker.values import Model

_DETAILS = "grpc-status-details-bin"


class Reject(Exception):
    """Raised by a task: a retry cannot help. The delivery becomes a dead letter immediately.

    `reason` is a short stable name such as `POLICY_NOT_FOUND`, `message` is for people, `metadata`
    (JSON) is stored with the attempt.
    """

    def __init__(
        self, reason: str, message: str = "", metadata: Mapping[str, Any] | Model | None = None
    ) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message or reason
        self.metadata = metadata


class RetryAfter(Exception):
    """Raised by a task: retry after `seconds` (or a timedelta, at most 24 h) instead of the task's
    backoff. This counts as an attempt."""

    def __init__(
        self,
        seconds: Span,
        reason: str = "RETRY_AFTER",
        message: str = "",
        metadata: Mapping[str, Any] | Model | None = None,
    ) -> None:
        self.seconds = times.seconds_of(seconds, "RetryAfter", times.DAY)
        super().__init__(message or reason)
        self.reason = reason
        self.message = message or reason
        self.metadata = metadata


class WaystationError(Exception):
    """A call that failed: Waystation refused it or did not answer.

    `reason` is a name of ErrorReason without its prefix (empty if there is none), `metadata` has
    the dynamic parts of the message, `code` is the name of the gRPC status code.
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
        """Whether the same call may succeed later."""
        if isinstance(self, TlsFailed):
            return False
        return isinstance(self, Unavailable) or self.reason in _PASSING


class SettingsError(WaystationError):
    """Invalid settings; the message names each of them and what to do."""


class InvalidRequest(WaystationError):
    """A field of the request is invalid."""


class NotFound(WaystationError):
    """The object that the call names does not exist."""


class WorkflowNotFound(NotFound):
    """No such workflow instance."""


class DeliveryNotFound(NotFound):
    """No delivery with this completion token is pending."""


class AlreadyExists(WaystationError):
    """The object to create exists already with other content."""


class WorkflowAlreadyExists(AlreadyExists):
    """The instance id is in use by a start with other content."""


class RequestIdReused(AlreadyExists):
    """The request_id was used with another body."""


class WrongState(WaystationError):
    """The call is not possible in the current state."""


class WorkflowEnded(WrongState):
    """The instance is COMPLETED, FAILED or CANCELLED."""


class WorkflowNotWaiting(WrongState):
    """The instance has no open wait, or not this one."""


class WaitIdRequired(WrongState):
    """Several waits are open; `metadata["wait_ids"]` names them."""


class VersionMismatch(WaystationError):
    """The instance does not have the expected version: read it again before you decide."""


class LimitExceeded(WaystationError):
    """A limit of size or number is exceeded."""


class NotAllowed(WaystationError):
    """The caller or the endpoint is not allowed."""


class Unauthenticated(NotAllowed):
    """The call had no valid token: none, an unknown, revoked or expired one. The server's log says which."""


class PermissionDenied(NotAllowed):
    """The token does not give a role that may make this call; the message names those that may."""


class NotAvailable(WaystationError):
    """The server does not implement this, or is not a Waystation server."""


class Unavailable(WaystationError):
    """The server could not be reached or did not answer in time, after all retries of the
    client."""


class TlsFailed(Unavailable):
    """There is no connection because of TLS; the message says what to change.

    `reason` is TLS_NOT_SPOKEN or TLS_REQUIRED (only one side speaks it), TLS_AUTHORITY_UNKNOWN,
    TLS_NAME_MISMATCH, TLS_CERTIFICATE_EXPIRED, TLS_CERTIFICATE_NOT_YET_VALID,
    TLS_CLIENT_CERTIFICATE_REQUIRED, TLS_CLIENT_CERTIFICATE_REFUSED or TLS_HANDSHAKE_FAILED.
    """


_PASSING = frozenset({"BACKLOG_FULL", "RATE_LIMITED", "NAMESPACE_LIMIT_REACHED"})
"""Limits that are not reached for ever."""

_BY_REASON: dict[str, type[WaystationError]] = {
    "WORKFLOW_NOT_FOUND": WorkflowNotFound,
    "DELIVERY_NOT_FOUND": DeliveryNotFound,
    "WORKFLOW_ALREADY_EXISTS": WorkflowAlreadyExists,
    "REQUEST_ID_REUSED": RequestIdReused,
    "WORKFLOW_ENDED": WorkflowEnded,
    "WORKFLOW_NOT_WAITING": WorkflowNotWaiting,
    "WAIT_ID_REQUIRED": WaitIdRequired,
    "VERSION_MISMATCH": VersionMismatch,
    "PERMISSION_DENIED": PermissionDenied,
}

_BY_CODE: dict[str, type[WaystationError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": WrongState,
    "RESOURCE_EXHAUSTED": LimitExceeded,
    "PERMISSION_DENIED": NotAllowed,
    "UNAUTHENTICATED": Unauthenticated,
    "UNIMPLEMENTED": NotAvailable,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
    "CANCELLED": Unavailable,
}


def from_rpc_error(error: grpc.aio.AioRpcError) -> WaystationError:
    """The typed error for a failed call, by its ErrorInfo if it has one, otherwise by its code."""
    code = error.code().name
    info = _error_info(error)
    return error_of(code, info.reason, error.details() or code, info.metadata)


def error_of(code: str, reason: str, message: str, metadata: Mapping[str, str]) -> WaystationError:
    """The typed error for this code and reason."""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, WaystationError)
    return kind(message, reason=reason, metadata=metadata, code=code)


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """The call's ErrorInfo; an empty one if there is none or it is unreadable."""
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
