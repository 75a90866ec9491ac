import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import flow_pb2 as _flow_pb2
from waystation.v1 import system_pb2 as _system_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSystemStatusRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetSystemStatusResponse(_message.Message):
    __slots__ = ("server_version", "routers", "queues", "outbox_size", "deliveries", "oldest_unsettled_event_age", "oldest_unsettled_event_id", "dead_letters", "workflows_by_status", "idle_workflows", "handlers", "unreachable_handlers", "broker_connected", "broker_blocked", "workflows_estimated", "oldest_unsettled_workflow_instance_id", "routers_left_out", "queues_left_out", "certificates")
    class WorkflowsByStatusEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    OUTBOX_SIZE_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNSETTLED_EVENT_AGE_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNSETTLED_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_BY_STATUS_FIELD_NUMBER: _ClassVar[int]
    IDLE_WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_HANDLERS_FIELD_NUMBER: _ClassVar[int]
    BROKER_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    BROKER_BLOCKED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNSETTLED_WORKFLOW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    QUEUES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    routers: _containers.RepeatedCompositeFieldContainer[_system_pb2.RouterStatus]
    queues: _containers.RepeatedCompositeFieldContainer[_system_pb2.QueueStatus]
    outbox_size: int
    deliveries: int
    oldest_unsettled_event_age: _duration_pb2.Duration
    oldest_unsettled_event_id: str
    dead_letters: int
    workflows_by_status: _containers.ScalarMap[str, int]
    idle_workflows: int
    handlers: int
    unreachable_handlers: int
    broker_connected: bool
    broker_blocked: bool
    workflows_estimated: bool
    oldest_unsettled_workflow_instance_id: str
    routers_left_out: int
    queues_left_out: int
    certificates: _containers.RepeatedCompositeFieldContainer[_system_pb2.CertificateStatus]
    def __init__(self, server_version: _Optional[str] = ..., routers: _Optional[_Iterable[_Union[_system_pb2.RouterStatus, _Mapping]]] = ..., queues: _Optional[_Iterable[_Union[_system_pb2.QueueStatus, _Mapping]]] = ..., outbox_size: _Optional[int] = ..., deliveries: _Optional[int] = ..., oldest_unsettled_event_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., oldest_unsettled_event_id: _Optional[str] = ..., dead_letters: _Optional[int] = ..., workflows_by_status: _Optional[_Mapping[str, int]] = ..., idle_workflows: _Optional[int] = ..., handlers: _Optional[int] = ..., unreachable_handlers: _Optional[int] = ..., broker_connected: bool = ..., broker_blocked: bool = ..., workflows_estimated: bool = ..., oldest_unsettled_workflow_instance_id: _Optional[str] = ..., routers_left_out: _Optional[int] = ..., queues_left_out: _Optional[int] = ..., certificates: _Optional[_Iterable[_Union[_system_pb2.CertificateStatus, _Mapping]]] = ...) -> None: ...

class GetFlowRequest(_message.Message):
    __slots__ = ("namespace", "workflow_type", "created_after", "max_instances")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    MAX_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workflow_type: str
    created_after: _timestamp_pb2.Timestamp
    max_instances: int
    def __init__(self, namespace: _Optional[str] = ..., workflow_type: _Optional[str] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_instances: _Optional[int] = ...) -> None: ...

class GetFlowResponse(_message.Message):
    __slots__ = ("flows", "findings", "instances", "looked_back_to", "cut_short", "left_out", "specs_left_out")
    FLOWS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    LOOKED_BACK_TO_FIELD_NUMBER: _ClassVar[int]
    CUT_SHORT_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SPECS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    flows: _containers.RepeatedCompositeFieldContainer[_flow_pb2.WorkflowFlow]
    findings: _containers.RepeatedCompositeFieldContainer[_flow_pb2.FlowFinding]
    instances: int
    looked_back_to: _timestamp_pb2.Timestamp
    cut_short: bool
    left_out: int
    specs_left_out: int
    def __init__(self, flows: _Optional[_Iterable[_Union[_flow_pb2.WorkflowFlow, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[_flow_pb2.FlowFinding, _Mapping]]] = ..., instances: _Optional[int] = ..., looked_back_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cut_short: bool = ..., left_out: _Optional[int] = ..., specs_left_out: _Optional[int] = ...) -> None: ...
