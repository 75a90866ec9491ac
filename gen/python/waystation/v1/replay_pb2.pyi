from google.protobuf import struct_pb2 as _struct_pb2
from waystation.v1 import history_pb2 as _history_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
