import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import status_pb2 as _status_pb2
from waystation.v1 import wait_pb2 as _wait_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WaitOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_OUTCOME_UNSPECIFIED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_DONE: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_WAITING_FOR_INPUT: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_IDLE: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_TIMED_OUT: _ClassVar[WaitOutcome]
WAIT_OUTCOME_UNSPECIFIED: WaitOutcome
WAIT_OUTCOME_DONE: WaitOutcome
WAIT_OUTCOME_WAITING_FOR_INPUT: WaitOutcome
WAIT_OUTCOME_IDLE: WaitOutcome
WAIT_OUTCOME_TIMED_OUT: WaitOutcome

class WorkflowContext(_message.Message):
    __slots__ = ("workflow_instance_id", "workflow_type", "status", "data", "created_at", "updated_at", "completed_at", "version", "correlation_id", "waits", "failure", "output", "idle", "namespace", "deadline")
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    workflow_instance_id: str
    workflow_type: str
    status: _status_pb2.WorkflowStatus
    data: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    completed_at: _timestamp_pb2.Timestamp
    version: int
    correlation_id: str
    waits: _containers.RepeatedCompositeFieldContainer[_wait_pb2.WorkflowWait]
    failure: WorkflowFailure
    output: _struct_pb2.Struct
    idle: WorkflowIdle
    namespace: str
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, workflow_instance_id: _Optional[str] = ..., workflow_type: _Optional[str] = ..., status: _Optional[_Union[_status_pb2.WorkflowStatus, str]] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., completed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., correlation_id: _Optional[str] = ..., waits: _Optional[_Iterable[_Union[_wait_pb2.WorkflowWait, _Mapping]]] = ..., failure: _Optional[_Union[WorkflowFailure, _Mapping]] = ..., output: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., idle: _Optional[_Union[WorkflowIdle, _Mapping]] = ..., namespace: _Optional[str] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkflowFailure(_message.Message):
    __slots__ = ("reason", "message", "task_id", "event_id", "details")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    task_id: str
    event_id: str
    details: _struct_pb2.Struct
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., task_id: _Optional[str] = ..., event_id: _Optional[str] = ..., details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class WorkflowIdle(_message.Message):
    __slots__ = ("since", "event_id", "event_type", "raised_by", "message")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    RAISED_BY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    event_id: str
    event_type: str
    raised_by: str
    message: str
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., raised_by: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class WorkflowFilter(_message.Message):
    __slots__ = ("workflow_types", "statuses", "idle", "created_after", "created_before", "correlation_ids", "id_prefix")
    WORKFLOW_TYPES_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_IDS_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    workflow_types: _containers.RepeatedScalarFieldContainer[str]
    statuses: _containers.RepeatedScalarFieldContainer[_status_pb2.WorkflowStatus]
    idle: bool
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    correlation_ids: _containers.RepeatedScalarFieldContainer[str]
    id_prefix: str
    def __init__(self, workflow_types: _Optional[_Iterable[str]] = ..., statuses: _Optional[_Iterable[_Union[_status_pb2.WorkflowStatus, str]]] = ..., idle: bool = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., correlation_ids: _Optional[_Iterable[str]] = ..., id_prefix: _Optional[str] = ...) -> None: ...
