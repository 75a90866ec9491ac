from waystation.v1 import handler_pb2 as _handler_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FlowOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOW_ORIGIN_UNSPECIFIED: _ClassVar[FlowOrigin]
    FLOW_ORIGIN_DECLARED: _ClassVar[FlowOrigin]
    FLOW_ORIGIN_OBSERVED: _ClassVar[FlowOrigin]
    FLOW_ORIGIN_BOTH: _ClassVar[FlowOrigin]

class FlowSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOW_SEVERITY_UNSPECIFIED: _ClassVar[FlowSeverity]
    FLOW_SEVERITY_INFO: _ClassVar[FlowSeverity]
    FLOW_SEVERITY_WARNING: _ClassVar[FlowSeverity]
    FLOW_SEVERITY_ERROR: _ClassVar[FlowSeverity]

class FlowRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOW_RULE_UNSPECIFIED: _ClassVar[FlowRule]
    FLOW_RULE_EMITTED_UNHANDLED: _ClassVar[FlowRule]
    FLOW_RULE_AWAITED_NEVER_EMITTED: _ClassVar[FlowRule]
    FLOW_RULE_TWO_WRITERS: _ClassVar[FlowRule]
    FLOW_RULE_NO_ENDPOINT: _ClassVar[FlowRule]
    FLOW_RULE_START_UNHANDLED: _ClassVar[FlowRule]
    FLOW_RULE_NEVER_REACHED: _ClassVar[FlowRule]
    FLOW_RULE_UNDECLARED: _ClassVar[FlowRule]
    FLOW_RULE_CYCLE: _ClassVar[FlowRule]
FLOW_ORIGIN_UNSPECIFIED: FlowOrigin
FLOW_ORIGIN_DECLARED: FlowOrigin
FLOW_ORIGIN_OBSERVED: FlowOrigin
FLOW_ORIGIN_BOTH: FlowOrigin
FLOW_SEVERITY_UNSPECIFIED: FlowSeverity
FLOW_SEVERITY_INFO: FlowSeverity
FLOW_SEVERITY_WARNING: FlowSeverity
FLOW_SEVERITY_ERROR: FlowSeverity
FLOW_RULE_UNSPECIFIED: FlowRule
FLOW_RULE_EMITTED_UNHANDLED: FlowRule
FLOW_RULE_AWAITED_NEVER_EMITTED: FlowRule
FLOW_RULE_TWO_WRITERS: FlowRule
FLOW_RULE_NO_ENDPOINT: FlowRule
FLOW_RULE_START_UNHANDLED: FlowRule
FLOW_RULE_NEVER_REACHED: FlowRule
FLOW_RULE_UNDECLARED: FlowRule
FLOW_RULE_CYCLE: FlowRule

class WorkflowFlow(_message.Message):
    __slots__ = ("workflow_type", "instances", "tasks", "events", "raises", "handlings")
    WORKFLOW_TYPE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    RAISES_FIELD_NUMBER: _ClassVar[int]
    HANDLINGS_FIELD_NUMBER: _ClassVar[int]
    workflow_type: str
    instances: int
    tasks: _containers.RepeatedCompositeFieldContainer[FlowTask]
    events: _containers.RepeatedCompositeFieldContainer[FlowEvent]
    raises: _containers.RepeatedCompositeFieldContainer[FlowRaise]
    handlings: _containers.RepeatedCompositeFieldContainer[FlowHandling]
    def __init__(self, workflow_type: _Optional[str] = ..., instances: _Optional[int] = ..., tasks: _Optional[_Iterable[_Union[FlowTask, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[FlowEvent, _Mapping]]] = ..., raises: _Optional[_Iterable[_Union[FlowRaise, _Mapping]]] = ..., handlings: _Optional[_Iterable[_Union[FlowHandling, _Mapping]]] = ...) -> None: ...

class FlowTask(_message.Message):
    __slots__ = ("task_id", "spec", "service_name", "live", "succeeded", "writes")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    spec: _handler_pb2.TaskSpec
    service_name: str
    live: bool
    succeeded: int
    writes: _containers.RepeatedCompositeFieldContainer[FlowWrite]
    def __init__(self, task_id: _Optional[str] = ..., spec: _Optional[_Union[_handler_pb2.TaskSpec, _Mapping]] = ..., service_name: _Optional[str] = ..., live: bool = ..., succeeded: _Optional[int] = ..., writes: _Optional[_Iterable[_Union[FlowWrite, _Mapping]]] = ...) -> None: ...

class FlowWrite(_message.Message):
    __slots__ = ("path", "operation", "count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    path: str
    operation: str
    count: int
    def __init__(self, path: _Optional[str] = ..., operation: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class FlowEvent(_message.Message):
    __slots__ = ("event_type", "raised", "unhandled", "skipped")
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    RAISED_FIELD_NUMBER: _ClassVar[int]
    UNHANDLED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    event_type: str
    raised: int
    unhandled: int
    skipped: int
    def __init__(self, event_type: _Optional[str] = ..., raised: _Optional[int] = ..., unhandled: _Optional[int] = ..., skipped: _Optional[int] = ...) -> None: ...

class FlowRaise(_message.Message):
    __slots__ = ("raised_by", "event_type", "origin", "count")
    RAISED_BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    raised_by: str
    event_type: str
    origin: FlowOrigin
    count: int
    def __init__(self, raised_by: _Optional[str] = ..., event_type: _Optional[str] = ..., origin: _Optional[_Union[FlowOrigin, str]] = ..., count: _Optional[int] = ...) -> None: ...

class FlowHandling(_message.Message):
    __slots__ = ("event_type", "task_id", "origin", "succeeded", "failed_attempts", "dead_letters", "skipped")
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    event_type: str
    task_id: str
    origin: FlowOrigin
    succeeded: int
    failed_attempts: int
    dead_letters: int
    skipped: int
    def __init__(self, event_type: _Optional[str] = ..., task_id: _Optional[str] = ..., origin: _Optional[_Union[FlowOrigin, str]] = ..., succeeded: _Optional[int] = ..., failed_attempts: _Optional[int] = ..., dead_letters: _Optional[int] = ..., skipped: _Optional[int] = ...) -> None: ...

class FlowFinding(_message.Message):
    __slots__ = ("severity", "rule", "workflow_types", "subjects", "message", "remedy", "suggestion", "paths")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPES_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    severity: FlowSeverity
    rule: FlowRule
    workflow_types: _containers.RepeatedScalarFieldContainer[str]
    subjects: _containers.RepeatedScalarFieldContainer[str]
    message: str
    remedy: str
    suggestion: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, severity: _Optional[_Union[FlowSeverity, str]] = ..., rule: _Optional[_Union[FlowRule, str]] = ..., workflow_types: _Optional[_Iterable[str]] = ..., subjects: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., suggestion: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...
