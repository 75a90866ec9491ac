"""The errors of Waystation: one tree; each class is one (gRPC code, reason) pair.

    WaystationError
    ├── InvalidArgument          INVALID_ARGUMENT
    │   ├── InvalidId            INVALID_ID
    │   ├── InvalidEventType     INVALID_EVENT_TYPE
    │   ├── InvalidStruct        INVALID_STRUCT
    │   ├── InvalidPriority      INVALID_PRIORITY
    │   ├── InvalidPageToken     INVALID_PAGE_TOKEN
    │   ├── InvalidPath          INVALID_PATH
    │   ├── InvalidField         INVALID_FIELD
    │   ├── WorkflowTypesRequired
    │   └── ReservedEventType
    ├── NotFound                 NOT_FOUND
    │   └── WorkflowNotFound, TaskNotFound, DeliveryNotFound, HandlerNotFound,
    │       DeadLetterNotFound, NamespaceNotFound, TokenNotFound
    ├── AlreadyExists            ALREADY_EXISTS
    │   └── WorkflowAlreadyExists, RequestIdReused, TaskOwnedByOtherService,
    │       NamespaceAlreadyExists, TokenAlreadyExists
    ├── FailedPrecondition       FAILED_PRECONDITION
    │   └── WorkflowNotWaiting, WaitIdRequired, WorkflowEnded, DeadLetterResolved,
    │       NamespaceNotEmpty
    ├── VersionMismatch          ABORTED
    ├── ResourceExhausted        RESOURCE_EXHAUSTED
    │   └── PayloadTooLarge, ContextTooLarge, TooManyEvents, BacklogFull,
    │       TooManyHandlers, TooManyCalls, NotBegun, RateLimited, NamespaceLimitReached
    ├── EndpointNotAllowed       PERMISSION_DENIED
    ├── PermissionDenied         PERMISSION_DENIED
    ├── Unauthenticated          UNAUTHENTICATED
    ├── CallerNotIdentified      UNAUTHENTICATED
    ├── StoreUnavailable         UNAVAILABLE
    ├── DeliveryNotPending       UNAVAILABLE
    ├── NotYetAvailable          UNIMPLEMENTED
    └── TaskFault                a permanent fault in a task's answer
        └── PathTypeMismatch, ResponseInvalid, TaskRetired

The message says what is wrong and ends with what to do next; every dynamic part of it stands in
`metadata` too. `core.rpc` turns them into statuses; nothing else does.
"""

from __future__ import annotations

from typing import ClassVar


def shown(text: object) -> str:
    """Input as it may be echoed: escaped and at most 100 characters."""
    # Cut first: what is escaped may be megabytes.
    start = text[:101] if isinstance(text, str) else str(text)
    escaped = start.encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= 100 else escaped[:97] + "..."


class WaystationError(Exception):
    """Base of all errors that callers see; `code` is a canonical gRPC status code name."""

    code: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL"
    retry_seconds: ClassVar[float | None] = None
    """When the same request may be repeated, where that can help."""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidArgument(WaystationError):
    """The request itself is wrong; repeating it can't help. `field` in metadata names the field."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_FIELD"


class InvalidId(InvalidArgument):
    reason = "INVALID_ID"


class InvalidEventType(InvalidArgument):
    reason = "INVALID_EVENT_TYPE"


class InvalidStruct(InvalidArgument):
    reason = "INVALID_STRUCT"


class InvalidPriority(InvalidArgument):
    reason = "INVALID_PRIORITY"


class InvalidPageToken(InvalidArgument):
    reason = "INVALID_PAGE_TOKEN"


class InvalidPath(InvalidArgument):
    reason = "INVALID_PATH"


class InvalidField(InvalidArgument):
    reason = "INVALID_FIELD"


class WorkflowTypesRequired(InvalidArgument):
    reason = "WORKFLOW_TYPES_REQUIRED"


class ReservedEventType(InvalidArgument):
    reason = "RESERVED_EVENT_TYPE"


class NotFound(WaystationError):
    """What the request names is not there."""

    code = "NOT_FOUND"


class WorkflowNotFound(NotFound):
    reason = "WORKFLOW_NOT_FOUND"

    @classmethod
    def of(cls, workflow_instance_id: str) -> WorkflowNotFound:
        """No workflow has this id."""
        return cls(
            f"There is no workflow {workflow_instance_id}; check the id, or list workflows.",
            workflow_instance_id=workflow_instance_id,
        )


class TaskNotFound(NotFound):
    reason = "TASK_NOT_FOUND"

    @classmethod
    def of(cls, task_id: str) -> TaskNotFound:
        """No task of this name was ever there."""
        return cls(
            f"No task {task_id} was ever registered; `waystation handlers list` shows the registered tasks.",
            task_id=task_id,
        )


class DeliveryNotFound(NotFound):
    reason = "DELIVERY_NOT_FOUND"


class HandlerNotFound(NotFound):
    reason = "HANDLER_NOT_FOUND"


class DeadLetterNotFound(NotFound):
    reason = "DEAD_LETTER_NOT_FOUND"

    @classmethod
    def of(cls, dead_letter_id: str) -> DeadLetterNotFound:
        """No dead letter has this id."""
        return cls(
            f"There is no dead letter {shown(dead_letter_id)}; ListDeadLetters shows the existing ones.",
            dead_letter_id=shown(dead_letter_id),
        )


class NamespaceNotFound(NotFound):
    reason = "NAMESPACE_NOT_FOUND"

    @classmethod
    def of(cls, namespace: str) -> NamespaceNotFound:
        """The same whether it does not exist or the caller may not know that it does."""
        return cls(
            f"There is no namespace {shown(namespace)}, or you have no role in it; `waystation namespaces list` "
            "shows yours.",
            namespace=shown(namespace),
        )


class TokenNotFound(NotFound):
    reason = "TOKEN_NOT_FOUND"


class AlreadyExists(WaystationError):
    """What the request would create is there, with other content."""

    code = "ALREADY_EXISTS"


class WorkflowAlreadyExists(AlreadyExists):
    reason = "WORKFLOW_ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    reason = "REQUEST_ID_REUSED"

    @classmethod
    def of(cls, request_id: str) -> RequestIdReused:
        """This request_id came with another body before."""
        return cls(
            f"request_id {request_id} was used with another body; use a new one for a new call.",
            request_id=request_id,
        )


class TaskOwnedByOtherService(AlreadyExists):
    reason = "TASK_OWNED_BY_OTHER_SERVICE"


class NamespaceAlreadyExists(AlreadyExists):
    reason = "NAMESPACE_ALREADY_EXISTS"


class TokenAlreadyExists(AlreadyExists):
    reason = "TOKEN_ALREADY_EXISTS"


class FailedPrecondition(WaystationError):
    """The instance, or what else is named, is not in a state in which this can be done."""

    code = "FAILED_PRECONDITION"


class WorkflowNotWaiting(FailedPrecondition):
    reason = "WORKFLOW_NOT_WAITING"


class WaitIdRequired(FailedPrecondition):
    reason = "WAIT_ID_REQUIRED"


class WorkflowEnded(FailedPrecondition):
    reason = "WORKFLOW_ENDED"


class DeadLetterResolved(FailedPrecondition):
    """It is retried or discarded already; `state` in metadata says which."""

    reason = "DEAD_LETTER_RESOLVED"


class NamespaceNotEmpty(FailedPrecondition):
    reason = "NAMESPACE_NOT_EMPTY"


class VersionMismatch(WaystationError):
    """The caller decided on an older version: read again and decide again."""

    code = "ABORTED"
    reason = "VERSION_MISMATCH"


class ResourceExhausted(WaystationError):
    """A limit is reached."""

    code = "RESOURCE_EXHAUSTED"


class PayloadTooLarge(ResourceExhausted):
    reason = "PAYLOAD_TOO_LARGE"


class ContextTooLarge(ResourceExhausted):
    reason = "CONTEXT_TOO_LARGE"


class TooManyEvents(ResourceExhausted):
    reason = "TOO_MANY_EVENTS"


class BacklogFull(ResourceExhausted):
    reason = "BACKLOG_FULL"
    retry_seconds = 5.0


class TooManyHandlers(ResourceExhausted):
    reason = "TOO_MANY_HANDLERS"


class TooManyCalls(ResourceExhausted):
    reason = "TOO_MANY_CALLS"
    retry_seconds = 1.0


class NotBegun(ResourceExhausted):
    """A handler service's word, never a server's: nothing of the task was run. No attempt."""

    reason = "NOT_BEGUN"


class RateLimited(ResourceExhausted):
    reason = "RATE_LIMITED"
    retry_seconds = 1.0


class NamespaceLimitReached(ResourceExhausted):
    reason = "NAMESPACE_LIMIT_REACHED"
    retry_seconds = 5.0


class EndpointNotAllowed(WaystationError):
    """The endpoint is not one that the allowlist admits."""

    code = "PERMISSION_DENIED"
    reason = "ENDPOINT_NOT_ALLOWED"


class PermissionDenied(WaystationError):
    """The caller's roles do not allow the call."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class Unauthenticated(WaystationError):
    """No valid credential. The message does not tell which part of it was wrong."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class CallerNotIdentified(WaystationError):
    """A handler service's word, never a server's: it does not know who called, and began nothing. No attempt."""

    code = "UNAUTHENTICATED"
    reason = "CALLER_NOT_IDENTIFIED"


class StoreUnavailable(WaystationError):
    """Postgres can't be reached, or can't do its work; the same request may be repeated as is."""

    code = "UNAVAILABLE"
    reason = "STORE_UNAVAILABLE"
    retry_seconds = 1.0


class DeliveryNotPending(WaystationError):
    """The delivery is in call still; the same request may be repeated as is."""

    code = "UNAVAILABLE"
    reason = "DELIVERY_NOT_PENDING"
    retry_seconds = 1.0


class NotYetAvailable(WaystationError):
    """A part of the contract that this release does not know; `feature` names it."""

    code = "UNIMPLEMENTED"
    reason = "NOT_YET_AVAILABLE"

    def __init__(self, feature: str) -> None:
        super().__init__(
            f"This release of Waystation does not know the field {feature}, so nothing was done. "
            "Upgrade Waystation, or omit the field.",
            feature=feature,
        )


class TaskFault(WaystationError):
    """A task's answer that cannot take effect; the attempt fails permanently."""

    code = "FAILED_PRECONDITION"
    reason = "RESPONSE_INVALID"


class PathTypeMismatch(TaskFault):
    reason = "PATH_TYPE_MISMATCH"


class ResponseInvalid(TaskFault):
    reason = "RESPONSE_INVALID"


class TaskRetired(TaskFault):
    reason = "TASK_RETIRED"
