import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import event_pb2 as _event_pb2
from waystation.v1 import handler_pb2 as _handler_pb2
from waystation.v1 import history_pb2 as _history_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeadLetterState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEAD_LETTER_STATE_UNSPECIFIED: _ClassVar[DeadLetterState]
    DEAD_LETTER_STATE_OPEN: _ClassVar[DeadLetterState]
    DEAD_LETTER_STATE_RETRIED: _ClassVar[DeadLetterState]
    DEAD_LETTER_STATE_DISCARDED: _ClassVar[DeadLetterState]
DEAD_LETTER_STATE_UNSPECIFIED: DeadLetterState
DEAD_LETTER_STATE_OPEN: DeadLetterState
DEAD_LETTER_STATE_RETRIED: DeadLetterState
DEAD_LETTER_STATE_DISCARDED: DeadLetterState

class DeadLetter(_message.Message):
    __slots__ = ("dead_letter_id", "event", "task_id", "workflow_instance_id", "workflow_type", "attempts", "error", "on_failure", "state", "created_at", "resolved_at", "retryable")
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    dead_letter_id: str
    event: _event_pb2.WorkflowEvent
    task_id: str
    workflow_instance_id: str
    workflow_type: str
    attempts: int
    error: _history_pb2.AttemptError
    on_failure: _handler_pb2.OnFailure
    state: DeadLetterState
    created_at: _timestamp_pb2.Timestamp
    resolved_at: _timestamp_pb2.Timestamp
    retryable: bool
    def __init__(self, dead_letter_id: _Optional[str] = ..., event: _Optional[_Union[_event_pb2.WorkflowEvent, _Mapping]] = ..., task_id: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., workflow_type: _Optional[str] = ..., attempts: _Optional[int] = ..., error: _Optional[_Union[_history_pb2.AttemptError, _Mapping]] = ..., on_failure: _Optional[_Union[_handler_pb2.OnFailure, str]] = ..., state: _Optional[_Union[DeadLetterState, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retryable: bool = ...) -> None: ...

class DeadLetterGroup(_message.Message):
    __slots__ = ("task_id", "reason", "count", "retryable", "workflows", "first_created_at", "last_created_at")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    reason: str
    count: int
    retryable: int
    workflows: int
    first_created_at: _timestamp_pb2.Timestamp
    last_created_at: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ..., retryable: _Optional[int] = ..., workflows: _Optional[int] = ..., first_created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeadLetterFilter(_message.Message):
    __slots__ = ("workflow_instance_ids", "workflow_types", "task_ids", "event_types", "reasons", "created_after", "created_before", "states", "id_prefix")
    WORKFLOW_INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPES_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    workflow_instance_ids: _containers.RepeatedScalarFieldContainer[str]
    workflow_types: _containers.RepeatedScalarFieldContainer[str]
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    event_types: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    states: _containers.RepeatedScalarFieldContainer[DeadLetterState]
    id_prefix: str
    def __init__(self, workflow_instance_ids: _Optional[_Iterable[str]] = ..., workflow_types: _Optional[_Iterable[str]] = ..., task_ids: _Optional[_Iterable[str]] = ..., event_types: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[str]] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., states: _Optional[_Iterable[_Union[DeadLetterState, str]]] = ..., id_prefix: _Optional[str] = ...) -> None: ...

class AllOpenDeadLetters(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
