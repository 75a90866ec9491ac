import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import event_pb2 as _event_pb2
from waystation.v1 import operation_pb2 as _operation_pb2
from waystation.v1 import status_pb2 as _status_pb2
from waystation.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HandleEventRequest(_message.Message):
    __slots__ = ("event", "context", "task_id", "attempt", "idempotency_key", "deadline", "dry_run")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.WorkflowEvent
    context: _workflow_pb2.WorkflowContext
    task_id: str
    attempt: int
    idempotency_key: str
    deadline: _timestamp_pb2.Timestamp
    dry_run: bool
    def __init__(self, event: _Optional[_Union[_event_pb2.WorkflowEvent, _Mapping]] = ..., context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., task_id: _Optional[str] = ..., attempt: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class HandleEventResponse(_message.Message):
    __slots__ = ("events", "operations", "data_patch", "data", "status", "wait", "output", "fan_outs", "reads", "failure", "pending")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DATA_PATCH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAN_OUTS_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.NewEvent]
    operations: _operation_pb2.Operations
    data_patch: _struct_pb2.Struct
    data: _struct_pb2.Struct
    status: _status_pb2.WorkflowStatus
    wait: WaitRequest
    output: _struct_pb2.Struct
    fan_outs: _containers.RepeatedCompositeFieldContainer[FanOut]
    reads: _operation_pb2.PathSet
    failure: TaskFailure
    pending: PendingCompletion
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.NewEvent, _Mapping]]] = ..., operations: _Optional[_Union[_operation_pb2.Operations, _Mapping]] = ..., data_patch: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.WorkflowStatus, str]] = ..., wait: _Optional[_Union[WaitRequest, _Mapping]] = ..., output: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., fan_outs: _Optional[_Iterable[_Union[FanOut, _Mapping]]] = ..., reads: _Optional[_Union[_operation_pb2.PathSet, _Mapping]] = ..., failure: _Optional[_Union[TaskFailure, _Mapping]] = ..., pending: _Optional[_Union[PendingCompletion, _Mapping]] = ...) -> None: ...

class WaitRequest(_message.Message):
    __slots__ = ("wait_id", "message", "input_schema", "timeout")
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    message: str
    input_schema: _struct_pb2.Struct
    timeout: _duration_pb2.Duration
    def __init__(self, wait_id: _Optional[str] = ..., message: _Optional[str] = ..., input_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FanOut(_message.Message):
    __slots__ = ("events", "then", "need", "timeout")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.NewEvent]
    then: _event_pb2.NewEvent
    need: int
    timeout: _duration_pb2.Duration
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.NewEvent, _Mapping]]] = ..., then: _Optional[_Union[_event_pb2.NewEvent, _Mapping]] = ..., need: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TaskFailure(_message.Message):
    __slots__ = ("reason", "message", "permanent", "retry_after", "metadata")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    permanent: bool
    retry_after: _duration_pb2.Duration
    metadata: _struct_pb2.Struct
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., permanent: bool = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class PendingCompletion(_message.Message):
    __slots__ = ("timeout",)
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    timeout: _duration_pb2.Duration
    def __init__(self, timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HandleEventsRequest(_message.Message):
    __slots__ = ("items", "cancels")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[HandleEventRequest]
    cancels: _containers.RepeatedCompositeFieldContainer[CancelItem]
    def __init__(self, items: _Optional[_Iterable[_Union[HandleEventRequest, _Mapping]]] = ..., cancels: _Optional[_Iterable[_Union[CancelItem, _Mapping]]] = ...) -> None: ...

class CancelItem(_message.Message):
    __slots__ = ("idempotency_key", "attempt")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    attempt: int
    def __init__(self, idempotency_key: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class HandleEventsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[HandleEventsResult]
    def __init__(self, results: _Optional[_Iterable[_Union[HandleEventsResult, _Mapping]]] = ...) -> None: ...

class HandleEventsResult(_message.Message):
    __slots__ = ("idempotency_key", "attempt", "response", "error")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    attempt: int
    response: HandleEventResponse
    error: ItemStatus
    def __init__(self, idempotency_key: _Optional[str] = ..., attempt: _Optional[int] = ..., response: _Optional[_Union[HandleEventResponse, _Mapping]] = ..., error: _Optional[_Union[ItemStatus, _Mapping]] = ...) -> None: ...

class ItemStatus(_message.Message):
    __slots__ = ("code", "message", "retry_after", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    retry_after: _duration_pb2.Duration
    reason: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...
