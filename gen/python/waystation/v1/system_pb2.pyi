import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RouterStatus(_message.Message):
    __slots__ = ("router_id", "pool", "host", "started_at", "lease_remaining", "calls_in_flight", "results_committed", "events_announced", "events_continued")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    LEASE_REMAINING_FIELD_NUMBER: _ClassVar[int]
    CALLS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    EVENTS_ANNOUNCED_FIELD_NUMBER: _ClassVar[int]
    EVENTS_CONTINUED_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    pool: str
    host: str
    started_at: _timestamp_pb2.Timestamp
    lease_remaining: _duration_pb2.Duration
    calls_in_flight: int
    results_committed: int
    events_announced: int
    events_continued: int
    def __init__(self, router_id: _Optional[str] = ..., pool: _Optional[str] = ..., host: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lease_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., calls_in_flight: _Optional[int] = ..., results_committed: _Optional[int] = ..., events_announced: _Optional[int] = ..., events_continued: _Optional[int] = ...) -> None: ...

class CertificateStatus(_message.Message):
    __slots__ = ("setting", "ends_at", "trouble")
    SETTING_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    setting: str
    ends_at: _timestamp_pb2.Timestamp
    trouble: str
    def __init__(self, setting: _Optional[str] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trouble: _Optional[str] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("name", "messages_ready", "pool", "bindings", "routers", "no_router_since", "lapses_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_READY_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    NO_ROUTER_SINCE_FIELD_NUMBER: _ClassVar[int]
    LAPSES_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    messages_ready: int
    pool: str
    bindings: _containers.RepeatedScalarFieldContainer[str]
    routers: int
    no_router_since: _timestamp_pb2.Timestamp
    lapses_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., messages_ready: _Optional[int] = ..., pool: _Optional[str] = ..., bindings: _Optional[_Iterable[str]] = ..., routers: _Optional[int] = ..., no_router_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lapses_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
