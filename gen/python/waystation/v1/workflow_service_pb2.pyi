import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from waystation.v1 import blocker_pb2 as _blocker_pb2
from waystation.v1 import event_pb2 as _event_pb2
from waystation.v1 import history_pb2 as _history_pb2
from waystation.v1 import operation_pb2 as _operation_pb2
from waystation.v1 import replay_pb2 as _replay_pb2
from waystation.v1 import result_pb2 as _result_pb2
from waystation.v1 import status_pb2 as _status_pb2
from waystation.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_type", "data", "payload", "workflow_instance_id", "correlation_id", "priority", "metadata", "timeout", "request_id")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_type: str
    data: _struct_pb2.Struct
    payload: _struct_pb2.Struct
    workflow_instance_id: str
    correlation_id: str
    priority: int
    metadata: _containers.ScalarMap[str, str]
    timeout: _duration_pb2.Duration
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_type: _Optional[str] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., workflow_instance_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., priority: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StartWorkflowResponse(_message.Message):
    __slots__ = ("context", "created", "task_ids")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    created: bool
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., created: bool = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RunWorkflowRequest(_message.Message):
    __slots__ = ("start", "timeout", "early_id")
    START_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    EARLY_ID_FIELD_NUMBER: _ClassVar[int]
    start: StartWorkflowRequest
    timeout: _duration_pb2.Duration
    early_id: bool
    def __init__(self, start: _Optional[_Union[StartWorkflowRequest, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., early_id: bool = ...) -> None: ...

class RunWorkflowResponse(_message.Message):
    __slots__ = ("context", "outcome", "created", "task_ids")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    outcome: _workflow_pb2.WaitOutcome
    created: bool
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., outcome: _Optional[_Union[_workflow_pb2.WaitOutcome, str]] = ..., created: bool = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WaitWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "timeout")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    timeout: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitWorkflowResponse(_message.Message):
    __slots__ = ("context", "outcome")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    outcome: _workflow_pb2.WaitOutcome
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., outcome: _Optional[_Union[_workflow_pb2.WaitOutcome, str]] = ...) -> None: ...

class RunWorkflowsRequest(_message.Message):
    __slots__ = ("items", "cancels")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RunWorkflowsItem]
    cancels: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, items: _Optional[_Iterable[_Union[RunWorkflowsItem, _Mapping]]] = ..., cancels: _Optional[_Iterable[int]] = ...) -> None: ...

class RunWorkflowsItem(_message.Message):
    __slots__ = ("item_id", "start", "run", "wait", "deadline")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    item_id: int
    start: StartWorkflowRequest
    run: RunWorkflowRequest
    wait: WaitWorkflowRequest
    deadline: _duration_pb2.Duration
    def __init__(self, item_id: _Optional[int] = ..., start: _Optional[_Union[StartWorkflowRequest, _Mapping]] = ..., run: _Optional[_Union[RunWorkflowRequest, _Mapping]] = ..., wait: _Optional[_Union[WaitWorkflowRequest, _Mapping]] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RunWorkflowsResponse(_message.Message):
    __slots__ = ("results", "closing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RunWorkflowsResult]
    closing: bool
    def __init__(self, results: _Optional[_Iterable[_Union[RunWorkflowsResult, _Mapping]]] = ..., closing: bool = ...) -> None: ...

class RunWorkflowsResult(_message.Message):
    __slots__ = ("item_id", "start", "run", "wait", "error")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    item_id: int
    start: StartWorkflowResponse
    run: RunWorkflowResponse
    wait: WaitWorkflowResponse
    error: _result_pb2.CallStatus
    def __init__(self, item_id: _Optional[int] = ..., start: _Optional[_Union[StartWorkflowResponse, _Mapping]] = ..., run: _Optional[_Union[RunWorkflowResponse, _Mapping]] = ..., wait: _Optional[_Union[WaitWorkflowResponse, _Mapping]] = ..., error: _Optional[_Union[_result_pb2.CallStatus, _Mapping]] = ...) -> None: ...

class GetWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "at_sequence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    at_sequence: int
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., at_sequence: _Optional[int] = ...) -> None: ...

class GetWorkflowResponse(_message.Message):
    __slots__ = ("context",)
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ...) -> None: ...

class ListWorkflowsRequest(_message.Message):
    __slots__ = ("namespace", "filter", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    filter: _workflow_pb2.WorkflowFilter
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., filter: _Optional[_Union[_workflow_pb2.WorkflowFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkflowsResponse(_message.Message):
    __slots__ = ("workflows", "next_page_token")
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[_workflow_pb2.WorkflowContext]
    next_page_token: str
    def __init__(self, workflows: _Optional[_Iterable[_Union[_workflow_pb2.WorkflowContext, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FindWorkflowIdsRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class FindWorkflowIdsResponse(_message.Message):
    __slots__ = ("workflow_instance_ids", "more")
    WORKFLOW_INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    workflow_instance_ids: _containers.RepeatedScalarFieldContainer[str]
    more: bool
    def __init__(self, workflow_instance_ids: _Optional[_Iterable[str]] = ..., more: bool = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.EventWithState]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.EventWithState, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListHistoryRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "filter", "view", "newest_first", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    filter: _history_pb2.HistoryFilter
    view: _history_pb2.HistoryView
    newest_first: bool
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., filter: _Optional[_Union[_history_pb2.HistoryFilter, _Mapping]] = ..., view: _Optional[_Union[_history_pb2.HistoryView, str]] = ..., newest_first: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListHistoryResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_history_pb2.HistoryEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[_history_pb2.HistoryEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "from_sequence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    from_sequence: int
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., from_sequence: _Optional[int] = ...) -> None: ...

class WatchWorkflowResponse(_message.Message):
    __slots__ = ("history_entry", "heartbeat", "status")
    HISTORY_ENTRY_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    history_entry: _history_pb2.HistoryEntry
    heartbeat: WatchHeartbeat
    status: _status_pb2.WorkflowStatus
    def __init__(self, history_entry: _Optional[_Union[_history_pb2.HistoryEntry, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchHeartbeat, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.WorkflowStatus, str]] = ...) -> None: ...

class WatchHeartbeat(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class ProvideInputRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "wait_id", "input", "answered_by", "expected_version", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    wait_id: str
    input: _struct_pb2.Struct
    answered_by: str
    expected_version: int
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., wait_id: _Optional[str] = ..., input: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., answered_by: _Optional[str] = ..., expected_version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class ProvideInputResponse(_message.Message):
    __slots__ = ("context", "event_id")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    event_id: str
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., event_id: _Optional[str] = ...) -> None: ...

class PublishEventRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "event", "expected_version", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    event: _event_pb2.NewEvent
    expected_version: int
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., event: _Optional[_Union[_event_pb2.NewEvent, _Mapping]] = ..., expected_version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class PublishEventResponse(_message.Message):
    __slots__ = ("event_id", "task_ids")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "reason", "expected_version", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    reason: str
    expected_version: int
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., reason: _Optional[str] = ..., expected_version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelWorkflowResponse(_message.Message):
    __slots__ = ("context",)
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ...) -> None: ...

class ExplainWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ...) -> None: ...

class ExplainWorkflowResponse(_message.Message):
    __slots__ = ("context", "summary", "blockers", "blockers_left_out")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    BLOCKERS_FIELD_NUMBER: _ClassVar[int]
    BLOCKERS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    summary: str
    blockers: _containers.RepeatedCompositeFieldContainer[_blocker_pb2.Blocker]
    blockers_left_out: int
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., summary: _Optional[str] = ..., blockers: _Optional[_Iterable[_Union[_blocker_pb2.Blocker, _Mapping]]] = ..., blockers_left_out: _Optional[int] = ...) -> None: ...

class ReplayWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "from_sequence", "to_sequence", "task_ids", "failed_attempts")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TO_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    from_sequence: int
    to_sequence: int
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    failed_attempts: bool
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., from_sequence: _Optional[int] = ..., to_sequence: _Optional[int] = ..., task_ids: _Optional[_Iterable[str]] = ..., failed_attempts: bool = ...) -> None: ...

class ReplayWorkflowResponse(_message.Message):
    __slots__ = ("steps", "next_from_sequence")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[_replay_pb2.ReplayStep]
    next_from_sequence: int
    def __init__(self, steps: _Optional[_Iterable[_Union[_replay_pb2.ReplayStep, _Mapping]]] = ..., next_from_sequence: _Optional[int] = ...) -> None: ...

class ForkWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "at_sequence", "new_workflow_instance_id", "edits", "event", "event_of_sequence", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEW_WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    at_sequence: int
    new_workflow_instance_id: str
    edits: _operation_pb2.OperationList
    event: _event_pb2.NewEvent
    event_of_sequence: int
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., at_sequence: _Optional[int] = ..., new_workflow_instance_id: _Optional[str] = ..., edits: _Optional[_Union[_operation_pb2.OperationList, _Mapping]] = ..., event: _Optional[_Union[_event_pb2.NewEvent, _Mapping]] = ..., event_of_sequence: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class ForkWorkflowResponse(_message.Message):
    __slots__ = ("context", "created", "event_type", "task_ids")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    created: bool
    event_type: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., created: bool = ..., event_type: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...
