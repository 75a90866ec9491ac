import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import operation_pb2 as _operation_pb2
from waystation.v1 import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_RESULT_UNSPECIFIED: _ClassVar[HistoryResult]
    HISTORY_RESULT_SUCCESS: _ClassVar[HistoryResult]
    HISTORY_RESULT_FAILED: _ClassVar[HistoryResult]
    HISTORY_RESULT_SKIPPED: _ClassVar[HistoryResult]
    HISTORY_RESULT_UNHANDLED: _ClassVar[HistoryResult]

class HistoryView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_VIEW_UNSPECIFIED: _ClassVar[HistoryView]
    HISTORY_VIEW_BASIC: _ClassVar[HistoryView]
    HISTORY_VIEW_FULL: _ClassVar[HistoryView]
HISTORY_RESULT_UNSPECIFIED: HistoryResult
HISTORY_RESULT_SUCCESS: HistoryResult
HISTORY_RESULT_FAILED: HistoryResult
HISTORY_RESULT_SKIPPED: HistoryResult
HISTORY_RESULT_UNHANDLED: HistoryResult
HISTORY_VIEW_UNSPECIFIED: HistoryView
HISTORY_VIEW_BASIC: HistoryView
HISTORY_VIEW_FULL: HistoryView

class HistoryEntry(_message.Message):
    __slots__ = ("sequence", "event_id", "event_type", "processed_at", "processed_by", "result", "attempt", "will_retry", "next_attempt_at", "duration", "error", "base_version", "version", "change", "raised_event_ids", "service_name", "service_version", "endpoint", "status", "action", "note", "wait_id", "answered_by", "opened_wait_ids", "principal")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_AT_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_BY_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WILL_RETRY_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BASE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    RAISED_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    OPENED_WAIT_IDS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    event_id: str
    event_type: str
    processed_at: _timestamp_pb2.Timestamp
    processed_by: str
    result: HistoryResult
    attempt: int
    will_retry: bool
    next_attempt_at: _timestamp_pb2.Timestamp
    duration: _duration_pb2.Duration
    error: AttemptError
    base_version: int
    version: int
    change: _containers.RepeatedCompositeFieldContainer[_operation_pb2.Operation]
    raised_event_ids: _containers.RepeatedScalarFieldContainer[str]
    service_name: str
    service_version: str
    endpoint: str
    status: _status_pb2.WorkflowStatus
    action: str
    note: str
    wait_id: str
    answered_by: str
    opened_wait_ids: _containers.RepeatedScalarFieldContainer[str]
    principal: str
    def __init__(self, sequence: _Optional[int] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., processed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., processed_by: _Optional[str] = ..., result: _Optional[_Union[HistoryResult, str]] = ..., attempt: _Optional[int] = ..., will_retry: bool = ..., next_attempt_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., error: _Optional[_Union[AttemptError, _Mapping]] = ..., base_version: _Optional[int] = ..., version: _Optional[int] = ..., change: _Optional[_Iterable[_Union[_operation_pb2.Operation, _Mapping]]] = ..., raised_event_ids: _Optional[_Iterable[str]] = ..., service_name: _Optional[str] = ..., service_version: _Optional[str] = ..., endpoint: _Optional[str] = ..., status: _Optional[_Union[_status_pb2.WorkflowStatus, str]] = ..., action: _Optional[str] = ..., note: _Optional[str] = ..., wait_id: _Optional[str] = ..., answered_by: _Optional[str] = ..., opened_wait_ids: _Optional[_Iterable[str]] = ..., principal: _Optional[str] = ...) -> None: ...

class HistoryFilter(_message.Message):
    __slots__ = ("from_sequence", "to_sequence", "task_ids", "event_types", "results", "actions")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TO_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    to_sequence: int
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    event_types: _containers.RepeatedScalarFieldContainer[str]
    results: _containers.RepeatedScalarFieldContainer[HistoryResult]
    actions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, from_sequence: _Optional[int] = ..., to_sequence: _Optional[int] = ..., task_ids: _Optional[_Iterable[str]] = ..., event_types: _Optional[_Iterable[str]] = ..., results: _Optional[_Iterable[_Union[HistoryResult, str]]] = ..., actions: _Optional[_Iterable[str]] = ...) -> None: ...

class AttemptError(_message.Message):
    __slots__ = ("code", "reason", "message", "permanent", "metadata")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    message: str
    permanent: bool
    metadata: _struct_pb2.Struct
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., permanent: bool = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
