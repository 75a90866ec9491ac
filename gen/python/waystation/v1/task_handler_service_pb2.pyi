import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import event_pb2 as _event_pb2
from waystation.v1 import history_pb2 as _history_pb2
from waystation.v1 import result_pb2 as _result_pb2
from waystation.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HandleEventRequest(_message.Message):
    __slots__ = ("event", "context", "task_id", "attempt", "idempotency_key", "deadline", "dry_run", "completion_token", "history", "history_left_out", "traceparent")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    HISTORY_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.WorkflowEvent
    context: _workflow_pb2.WorkflowContext
    task_id: str
    attempt: int
    idempotency_key: str
    deadline: _timestamp_pb2.Timestamp
    dry_run: bool
    completion_token: str
    history: _containers.RepeatedCompositeFieldContainer[_history_pb2.HistoryEntry]
    history_left_out: int
    traceparent: str
    def __init__(self, event: _Optional[_Union[_event_pb2.WorkflowEvent, _Mapping]] = ..., context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., task_id: _Optional[str] = ..., attempt: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dry_run: bool = ..., completion_token: _Optional[str] = ..., history: _Optional[_Iterable[_Union[_history_pb2.HistoryEntry, _Mapping]]] = ..., history_left_out: _Optional[int] = ..., traceparent: _Optional[str] = ...) -> None: ...

class HandleEventResponse(_message.Message):
    __slots__ = ("result", "failure", "pending")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.TaskResult
    failure: _result_pb2.TaskFailure
    pending: _result_pb2.PendingCompletion
    def __init__(self, result: _Optional[_Union[_result_pb2.TaskResult, _Mapping]] = ..., failure: _Optional[_Union[_result_pb2.TaskFailure, _Mapping]] = ..., pending: _Optional[_Union[_result_pb2.PendingCompletion, _Mapping]] = ...) -> None: ...

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
    error: _result_pb2.CallStatus
    def __init__(self, idempotency_key: _Optional[str] = ..., attempt: _Optional[int] = ..., response: _Optional[_Union[HandleEventResponse, _Mapping]] = ..., error: _Optional[_Union[_result_pb2.CallStatus, _Mapping]] = ...) -> None: ...
