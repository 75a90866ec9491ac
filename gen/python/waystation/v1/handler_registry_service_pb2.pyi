import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import handler_pb2 as _handler_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterHandlerRequest(_message.Message):
    __slots__ = ("namespace", "service_name", "service_version", "host", "port", "kind", "lease", "tasks", "request_id", "began_at")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    service_name: str
    service_version: str
    host: str
    port: int
    kind: _handler_pb2.RegistrationKind
    lease: _duration_pb2.Duration
    tasks: _containers.RepeatedCompositeFieldContainer[_handler_pb2.TaskSpec]
    request_id: str
    began_at: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., service_name: _Optional[str] = ..., service_version: _Optional[str] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., kind: _Optional[_Union[_handler_pb2.RegistrationKind, str]] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tasks: _Optional[_Iterable[_Union[_handler_pb2.TaskSpec, _Mapping]]] = ..., request_id: _Optional[str] = ..., began_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RegisterHandlerResponse(_message.Message):
    __slots__ = ("handler", "caught_up_events", "namespace")
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_EVENTS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    handler: _handler_pb2.Handler
    caught_up_events: int
    namespace: str
    def __init__(self, handler: _Optional[_Union[_handler_pb2.Handler, _Mapping]] = ..., caught_up_events: _Optional[int] = ..., namespace: _Optional[str] = ...) -> None: ...

class RenewHandlerRequest(_message.Message):
    __slots__ = ("namespace", "handler_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HANDLER_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    handler_id: str
    def __init__(self, namespace: _Optional[str] = ..., handler_id: _Optional[str] = ...) -> None: ...

class RenewHandlerResponse(_message.Message):
    __slots__ = ("lease_remaining",)
    LEASE_REMAINING_FIELD_NUMBER: _ClassVar[int]
    lease_remaining: _duration_pb2.Duration
    def __init__(self, lease_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class UnregisterHandlerRequest(_message.Message):
    __slots__ = ("namespace", "handler_id", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    HANDLER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    handler_id: str
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., handler_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UnregisterHandlerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RetireTaskRequest(_message.Message):
    __slots__ = ("namespace", "task_id", "request_id", "dry_run")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    task_id: str
    request_id: str
    dry_run: bool
    def __init__(self, namespace: _Optional[str] = ..., task_id: _Optional[str] = ..., request_id: _Optional[str] = ..., dry_run: bool = ...) -> None: ...

class RetireTaskResponse(_message.Message):
    __slots__ = ("retired_deliveries",)
    RETIRED_DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    retired_deliveries: int
    def __init__(self, retired_deliveries: _Optional[int] = ...) -> None: ...

class ListHandlersRequest(_message.Message):
    __slots__ = ("namespace", "service_name", "page_size", "page_token", "with_tasks")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WITH_TASKS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    service_name: str
    page_size: int
    page_token: str
    with_tasks: bool
    def __init__(self, namespace: _Optional[str] = ..., service_name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., with_tasks: bool = ...) -> None: ...

class ListHandlersResponse(_message.Message):
    __slots__ = ("handlers", "next_page_token")
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    handlers: _containers.RepeatedCompositeFieldContainer[_handler_pb2.Handler]
    next_page_token: str
    def __init__(self, handlers: _Optional[_Iterable[_Union[_handler_pb2.Handler, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
