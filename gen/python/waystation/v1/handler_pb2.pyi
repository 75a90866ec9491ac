import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import operation_pb2 as _operation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnFailure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_FAILURE_UNSPECIFIED: _ClassVar[OnFailure]
    ON_FAILURE_FAIL_WORKFLOW: _ClassVar[OnFailure]
    ON_FAILURE_CONTINUE: _ClassVar[OnFailure]

class CatchUp(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CATCH_UP_UNSPECIFIED: _ClassVar[CatchUp]
    CATCH_UP_ON: _ClassVar[CatchUp]
    CATCH_UP_OFF: _ClassVar[CatchUp]

class RegistrationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGISTRATION_KIND_UNSPECIFIED: _ClassVar[RegistrationKind]
    REGISTRATION_KIND_LEASED: _ClassVar[RegistrationKind]
    REGISTRATION_KIND_STATIC: _ClassVar[RegistrationKind]
ON_FAILURE_UNSPECIFIED: OnFailure
ON_FAILURE_FAIL_WORKFLOW: OnFailure
ON_FAILURE_CONTINUE: OnFailure
CATCH_UP_UNSPECIFIED: CatchUp
CATCH_UP_ON: CatchUp
CATCH_UP_OFF: CatchUp
REGISTRATION_KIND_UNSPECIFIED: RegistrationKind
REGISTRATION_KIND_LEASED: RegistrationKind
REGISTRATION_KIND_STATIC: RegistrationKind

class TaskSpec(_message.Message):
    __slots__ = ("task_id", "event_types", "workflow_types", "timeout", "max_attempts", "initial_backoff", "backoff_multiplier", "max_backoff", "backoff_jitter", "max_in_flight", "on_failure", "catch_up", "history_entries", "batching", "replayable", "may_emit", "reads", "writes")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TYPES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_JITTER_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    REPLAYABLE_FIELD_NUMBER: _ClassVar[int]
    MAY_EMIT_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    event_types: _containers.RepeatedScalarFieldContainer[str]
    workflow_types: _containers.RepeatedScalarFieldContainer[str]
    timeout: _duration_pb2.Duration
    max_attempts: int
    initial_backoff: _duration_pb2.Duration
    backoff_multiplier: float
    max_backoff: _duration_pb2.Duration
    backoff_jitter: float
    max_in_flight: int
    on_failure: OnFailure
    catch_up: CatchUp
    history_entries: int
    batching: bool
    replayable: bool
    may_emit: _containers.RepeatedScalarFieldContainer[str]
    reads: _operation_pb2.PathSet
    writes: _operation_pb2.PathSet
    def __init__(self, task_id: _Optional[str] = ..., event_types: _Optional[_Iterable[str]] = ..., workflow_types: _Optional[_Iterable[str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_attempts: _Optional[int] = ..., initial_backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., backoff_multiplier: _Optional[float] = ..., max_backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., backoff_jitter: _Optional[float] = ..., max_in_flight: _Optional[int] = ..., on_failure: _Optional[_Union[OnFailure, str]] = ..., catch_up: _Optional[_Union[CatchUp, str]] = ..., history_entries: _Optional[int] = ..., batching: bool = ..., replayable: bool = ..., may_emit: _Optional[_Iterable[str]] = ..., reads: _Optional[_Union[_operation_pb2.PathSet, _Mapping]] = ..., writes: _Optional[_Union[_operation_pb2.PathSet, _Mapping]] = ...) -> None: ...

class Handler(_message.Message):
    __slots__ = ("handler_id", "service_name", "service_version", "host", "port", "kind", "tasks", "registered_at", "lease_remaining", "reachable", "last_error", "calls_in_flight", "retired_task_ids", "began_at")
    HANDLER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    LEASE_REMAINING_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CALLS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    RETIRED_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    handler_id: str
    service_name: str
    service_version: str
    host: str
    port: int
    kind: RegistrationKind
    tasks: _containers.RepeatedCompositeFieldContainer[TaskSpec]
    registered_at: _timestamp_pb2.Timestamp
    lease_remaining: _duration_pb2.Duration
    reachable: bool
    last_error: str
    calls_in_flight: int
    retired_task_ids: _containers.RepeatedScalarFieldContainer[str]
    began_at: _timestamp_pb2.Timestamp
    def __init__(self, handler_id: _Optional[str] = ..., service_name: _Optional[str] = ..., service_version: _Optional[str] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., kind: _Optional[_Union[RegistrationKind, str]] = ..., tasks: _Optional[_Iterable[_Union[TaskSpec, _Mapping]]] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lease_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reachable: bool = ..., last_error: _Optional[str] = ..., calls_in_flight: _Optional[int] = ..., retired_task_ids: _Optional[_Iterable[str]] = ..., began_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
