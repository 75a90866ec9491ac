import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import event_pb2 as _event_pb2
from waystation.v1 import history_pb2 as _history_pb2
from waystation.v1 import operation_pb2 as _operation_pb2
from waystation.v1 import status_pb2 as _status_pb2
from waystation.v1 import workflow_pb2 as _workflow_pb2
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

class EventState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_STATE_UNSPECIFIED: _ClassVar[EventState]
    EVENT_STATE_PENDING: _ClassVar[EventState]
    EVENT_STATE_SETTLED: _ClassVar[EventState]
    EVENT_STATE_UNHANDLED: _ClassVar[EventState]
    EVENT_STATE_SKIPPED: _ClassVar[EventState]

class BlockerKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLOCKER_KIND_UNSPECIFIED: _ClassVar[BlockerKind]
    BLOCKER_KIND_PENDING_EVENT: _ClassVar[BlockerKind]
    BLOCKER_KIND_RETRYING: _ClassVar[BlockerKind]
    BLOCKER_KIND_WAITING_FOR_INPUT: _ClassVar[BlockerKind]
    BLOCKER_KIND_DEAD_LETTER: _ClassVar[BlockerKind]
    BLOCKER_KIND_NO_LIVE_ENDPOINT: _ClassVar[BlockerKind]
    BLOCKER_KIND_IDLE: _ClassVar[BlockerKind]
    BLOCKER_KIND_HELD: _ClassVar[BlockerKind]
    BLOCKER_KIND_IN_CALL: _ClassVar[BlockerKind]
    BLOCKER_KIND_AT_CAPACITY: _ClassVar[BlockerKind]
    BLOCKER_KIND_TIMER: _ClassVar[BlockerKind]
    BLOCKER_KIND_FAN_OUT: _ClassVar[BlockerKind]
    BLOCKER_KIND_PENDING_COMPLETION: _ClassVar[BlockerKind]
    BLOCKER_KIND_NO_ROUTER: _ClassVar[BlockerKind]

class ReplayOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_OUTCOME_UNSPECIFIED: _ClassVar[ReplayOutcome]
    REPLAY_OUTCOME_SAME: _ClassVar[ReplayOutcome]
    REPLAY_OUTCOME_DIFFERS: _ClassVar[ReplayOutcome]
    REPLAY_OUTCOME_FAILED: _ClassVar[ReplayOutcome]
    REPLAY_OUTCOME_SKIPPED: _ClassVar[ReplayOutcome]

class ReplaySkipReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_SKIP_REASON_UNSPECIFIED: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_NOT_REPLAYABLE: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_NO_LIVE_ENDPOINT: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_FAILED_ATTEMPT: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_NO_EFFECT: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_EDITED_PAYLOAD: _ClassVar[ReplaySkipReason]
    REPLAY_SKIP_REASON_PENDING: _ClassVar[ReplaySkipReason]
WAIT_OUTCOME_UNSPECIFIED: WaitOutcome
WAIT_OUTCOME_DONE: WaitOutcome
WAIT_OUTCOME_WAITING_FOR_INPUT: WaitOutcome
WAIT_OUTCOME_IDLE: WaitOutcome
WAIT_OUTCOME_TIMED_OUT: WaitOutcome
EVENT_STATE_UNSPECIFIED: EventState
EVENT_STATE_PENDING: EventState
EVENT_STATE_SETTLED: EventState
EVENT_STATE_UNHANDLED: EventState
EVENT_STATE_SKIPPED: EventState
BLOCKER_KIND_UNSPECIFIED: BlockerKind
BLOCKER_KIND_PENDING_EVENT: BlockerKind
BLOCKER_KIND_RETRYING: BlockerKind
BLOCKER_KIND_WAITING_FOR_INPUT: BlockerKind
BLOCKER_KIND_DEAD_LETTER: BlockerKind
BLOCKER_KIND_NO_LIVE_ENDPOINT: BlockerKind
BLOCKER_KIND_IDLE: BlockerKind
BLOCKER_KIND_HELD: BlockerKind
BLOCKER_KIND_IN_CALL: BlockerKind
BLOCKER_KIND_AT_CAPACITY: BlockerKind
BLOCKER_KIND_TIMER: BlockerKind
BLOCKER_KIND_FAN_OUT: BlockerKind
BLOCKER_KIND_PENDING_COMPLETION: BlockerKind
BLOCKER_KIND_NO_ROUTER: BlockerKind
REPLAY_OUTCOME_UNSPECIFIED: ReplayOutcome
REPLAY_OUTCOME_SAME: ReplayOutcome
REPLAY_OUTCOME_DIFFERS: ReplayOutcome
REPLAY_OUTCOME_FAILED: ReplayOutcome
REPLAY_OUTCOME_SKIPPED: ReplayOutcome
REPLAY_SKIP_REASON_UNSPECIFIED: ReplaySkipReason
REPLAY_SKIP_REASON_NOT_REPLAYABLE: ReplaySkipReason
REPLAY_SKIP_REASON_NO_LIVE_ENDPOINT: ReplaySkipReason
REPLAY_SKIP_REASON_FAILED_ATTEMPT: ReplaySkipReason
REPLAY_SKIP_REASON_NO_EFFECT: ReplaySkipReason
REPLAY_SKIP_REASON_EDITED_PAYLOAD: ReplaySkipReason
REPLAY_SKIP_REASON_PENDING: ReplaySkipReason

class StartWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_type", "data", "payload", "workflow_instance_id", "correlation_id", "priority", "metadata", "deadline", "request_id")
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
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_type: str
    data: _struct_pb2.Struct
    payload: _struct_pb2.Struct
    workflow_instance_id: str
    correlation_id: str
    priority: int
    metadata: _containers.ScalarMap[str, str]
    deadline: _duration_pb2.Duration
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_type: _Optional[str] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., workflow_instance_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., priority: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("start", "timeout")
    START_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    start: StartWorkflowRequest
    timeout: _duration_pb2.Duration
    def __init__(self, start: _Optional[_Union[StartWorkflowRequest, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RunWorkflowResponse(_message.Message):
    __slots__ = ("context", "outcome", "created", "task_ids")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    outcome: WaitOutcome
    created: bool
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., outcome: _Optional[_Union[WaitOutcome, str]] = ..., created: bool = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

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
    outcome: WaitOutcome
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., outcome: _Optional[_Union[WaitOutcome, str]] = ...) -> None: ...

class GetWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "with_history", "at_sequence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_HISTORY_FIELD_NUMBER: _ClassVar[int]
    AT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    with_history: bool
    at_sequence: int
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., with_history: bool = ..., at_sequence: _Optional[int] = ...) -> None: ...

class GetWorkflowResponse(_message.Message):
    __slots__ = ("context",)
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ...) -> None: ...

class ListWorkflowsRequest(_message.Message):
    __slots__ = ("namespace", "workflow_type", "statuses", "idle", "created_after", "created_before", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_type: str
    statuses: _containers.RepeatedScalarFieldContainer[_status_pb2.WorkflowStatus]
    idle: bool
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_type: _Optional[str] = ..., statuses: _Optional[_Iterable[_Union[_status_pb2.WorkflowStatus, str]]] = ..., idle: bool = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkflowsResponse(_message.Message):
    __slots__ = ("workflows", "next_page_token")
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[_workflow_pb2.WorkflowContext]
    next_page_token: str
    def __init__(self, workflows: _Optional[_Iterable[_Union[_workflow_pb2.WorkflowContext, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EventEntry(_message.Message):
    __slots__ = ("event", "state")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.WorkflowEvent
    state: EventState
    def __init__(self, event: _Optional[_Union[_event_pb2.WorkflowEvent, _Mapping]] = ..., state: _Optional[_Union[EventState, str]] = ...) -> None: ...

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
    events: _containers.RepeatedCompositeFieldContainer[EventEntry]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[EventEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("processed_event", "heartbeat", "status")
    PROCESSED_EVENT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    processed_event: _history_pb2.ProcessedEvent
    heartbeat: WatchHeartbeat
    status: _status_pb2.WorkflowStatus
    def __init__(self, processed_event: _Optional[_Union[_history_pb2.ProcessedEvent, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchHeartbeat, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.WorkflowStatus, str]] = ...) -> None: ...

class WatchHeartbeat(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class ProvideInputRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "wait_id", "input", "expected_version", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    wait_id: str
    input: _struct_pb2.Struct
    expected_version: int
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., wait_id: _Optional[str] = ..., input: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., expected_version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

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

class Blocker(_message.Message):
    __slots__ = ("kind", "since", "message", "remedy", "event_id", "event_type", "task_id", "service_name", "wait_id", "dead_letter_id", "attempts", "due_at", "last_error", "group_id", "pool")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    kind: BlockerKind
    since: _timestamp_pb2.Timestamp
    message: str
    remedy: str
    event_id: str
    event_type: str
    task_id: str
    service_name: str
    wait_id: str
    dead_letter_id: str
    attempts: int
    due_at: _timestamp_pb2.Timestamp
    last_error: _history_pb2.AttemptError
    group_id: str
    pool: str
    def __init__(self, kind: _Optional[_Union[BlockerKind, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., task_id: _Optional[str] = ..., service_name: _Optional[str] = ..., wait_id: _Optional[str] = ..., dead_letter_id: _Optional[str] = ..., attempts: _Optional[int] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[_Union[_history_pb2.AttemptError, _Mapping]] = ..., group_id: _Optional[str] = ..., pool: _Optional[str] = ...) -> None: ...

class ExplainWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ...) -> None: ...

class ExplainWorkflowResponse(_message.Message):
    __slots__ = ("context", "summary", "blockers")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    BLOCKERS_FIELD_NUMBER: _ClassVar[int]
    context: _workflow_pb2.WorkflowContext
    summary: str
    blockers: _containers.RepeatedCompositeFieldContainer[Blocker]
    def __init__(self, context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ..., summary: _Optional[str] = ..., blockers: _Optional[_Iterable[_Union[Blocker, _Mapping]]] = ...) -> None: ...

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
    steps: _containers.RepeatedCompositeFieldContainer[ReplayStep]
    next_from_sequence: int
    def __init__(self, steps: _Optional[_Iterable[_Union[ReplayStep, _Mapping]]] = ..., next_from_sequence: _Optional[int] = ...) -> None: ...

class ReplayStep(_message.Message):
    __slots__ = ("sequence", "task_id", "differs", "differences", "recorded_event_types", "replayed_event_types", "error", "outcome", "skip_reason", "skip_message", "event_differences", "instance_differences", "differences_left_out", "event_id", "event_type", "attempt", "recorded_error", "recorded_service_version", "replayed_service_version")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    DIFFERS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    RECORDED_EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SKIP_REASON_FIELD_NUMBER: _ClassVar[int]
    SKIP_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EVENT_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_ERROR_FIELD_NUMBER: _ClassVar[int]
    RECORDED_SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    task_id: str
    differs: bool
    differences: _containers.RepeatedCompositeFieldContainer[ReplayDifference]
    recorded_event_types: _containers.RepeatedScalarFieldContainer[str]
    replayed_event_types: _containers.RepeatedScalarFieldContainer[str]
    error: _history_pb2.AttemptError
    outcome: ReplayOutcome
    skip_reason: ReplaySkipReason
    skip_message: str
    event_differences: _containers.RepeatedCompositeFieldContainer[ReplayEventDifference]
    instance_differences: _containers.RepeatedCompositeFieldContainer[ReplayDifference]
    differences_left_out: int
    event_id: str
    event_type: str
    attempt: int
    recorded_error: _history_pb2.AttemptError
    recorded_service_version: str
    replayed_service_version: str
    def __init__(self, sequence: _Optional[int] = ..., task_id: _Optional[str] = ..., differs: bool = ..., differences: _Optional[_Iterable[_Union[ReplayDifference, _Mapping]]] = ..., recorded_event_types: _Optional[_Iterable[str]] = ..., replayed_event_types: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[_history_pb2.AttemptError, _Mapping]] = ..., outcome: _Optional[_Union[ReplayOutcome, str]] = ..., skip_reason: _Optional[_Union[ReplaySkipReason, str]] = ..., skip_message: _Optional[str] = ..., event_differences: _Optional[_Iterable[_Union[ReplayEventDifference, _Mapping]]] = ..., instance_differences: _Optional[_Iterable[_Union[ReplayDifference, _Mapping]]] = ..., differences_left_out: _Optional[int] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., attempt: _Optional[int] = ..., recorded_error: _Optional[_Union[_history_pb2.AttemptError, _Mapping]] = ..., recorded_service_version: _Optional[str] = ..., replayed_service_version: _Optional[str] = ...) -> None: ...

class ReplayDifference(_message.Message):
    __slots__ = ("path", "recorded", "replayed")
    PATH_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    path: str
    recorded: _struct_pb2.Value
    replayed: _struct_pb2.Value
    def __init__(self, path: _Optional[str] = ..., recorded: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., replayed: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class ReplayEventDifference(_message.Message):
    __slots__ = ("event_type", "recorded_index", "replayed_index", "differences")
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_INDEX_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_INDEX_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    event_type: str
    recorded_index: int
    replayed_index: int
    differences: _containers.RepeatedCompositeFieldContainer[ReplayDifference]
    def __init__(self, event_type: _Optional[str] = ..., recorded_index: _Optional[int] = ..., replayed_index: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[ReplayDifference, _Mapping]]] = ...) -> None: ...

class ForkWorkflowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_instance_id", "at_sequence", "new_workflow_instance_id", "edits", "event", "request_id", "event_of_sequence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEW_WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_instance_id: str
    at_sequence: int
    new_workflow_instance_id: str
    edits: _operation_pb2.Operations
    event: _event_pb2.NewEvent
    request_id: str
    event_of_sequence: int
    def __init__(self, namespace: _Optional[str] = ..., workflow_instance_id: _Optional[str] = ..., at_sequence: _Optional[int] = ..., new_workflow_instance_id: _Optional[str] = ..., edits: _Optional[_Union[_operation_pb2.Operations, _Mapping]] = ..., event: _Optional[_Union[_event_pb2.NewEvent, _Mapping]] = ..., request_id: _Optional[str] = ..., event_of_sequence: _Optional[int] = ...) -> None: ...

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
