import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import history_pb2 as _history_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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

class Blocker(_message.Message):
    __slots__ = ("kind", "since", "message", "remedy", "event_id", "event_type", "task_id", "service_name", "wait_id", "dead_letter_id", "attempts", "due_at", "last_error", "group_id", "pool", "endpoint")
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
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
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
    endpoint: str
    def __init__(self, kind: _Optional[_Union[BlockerKind, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., task_id: _Optional[str] = ..., service_name: _Optional[str] = ..., wait_id: _Optional[str] = ..., dead_letter_id: _Optional[str] = ..., attempts: _Optional[int] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[_Union[_history_pb2.AttemptError, _Mapping]] = ..., group_id: _Optional[str] = ..., pool: _Optional[str] = ..., endpoint: _Optional[str] = ...) -> None: ...
