from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class FailureReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_REASON_UNSPECIFIED: _ClassVar[FailureReason]
    FAILURE_REASON_CALL_TIMED_OUT: _ClassVar[FailureReason]
    FAILURE_REASON_CALL_CUT: _ClassVar[FailureReason]
    FAILURE_REASON_PENDING_TIMED_OUT: _ClassVar[FailureReason]
    FAILURE_REASON_TASK_FAILURE: _ClassVar[FailureReason]
    FAILURE_REASON_FAILED_BY_TASK: _ClassVar[FailureReason]
    FAILURE_REASON_WORKFLOW_DEADLINE_EXCEEDED: _ClassVar[FailureReason]
    FAILURE_REASON_CANCELLED: _ClassVar[FailureReason]
    FAILURE_REASON_DISCARDED: _ClassVar[FailureReason]
    FAILURE_REASON_UNHANDLED: _ClassVar[FailureReason]
    FAILURE_REASON_EXPIRED: _ClassVar[FailureReason]
FAILURE_REASON_UNSPECIFIED: FailureReason
FAILURE_REASON_CALL_TIMED_OUT: FailureReason
FAILURE_REASON_CALL_CUT: FailureReason
FAILURE_REASON_PENDING_TIMED_OUT: FailureReason
FAILURE_REASON_TASK_FAILURE: FailureReason
FAILURE_REASON_FAILED_BY_TASK: FailureReason
FAILURE_REASON_WORKFLOW_DEADLINE_EXCEEDED: FailureReason
FAILURE_REASON_CANCELLED: FailureReason
FAILURE_REASON_DISCARDED: FailureReason
FAILURE_REASON_UNHANDLED: FailureReason
FAILURE_REASON_EXPIRED: FailureReason
