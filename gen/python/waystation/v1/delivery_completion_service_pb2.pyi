import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waystation.v1 import result_pb2 as _result_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CompleteDeliveryRequest(_message.Message):
    __slots__ = ("namespace", "completion_token", "result", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    completion_token: str
    result: _result_pb2.TaskResult
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., completion_token: _Optional[str] = ..., result: _Optional[_Union[_result_pb2.TaskResult, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CompleteDeliveryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FailDeliveryRequest(_message.Message):
    __slots__ = ("namespace", "completion_token", "failure", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    completion_token: str
    failure: _result_pb2.TaskFailure
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., completion_token: _Optional[str] = ..., failure: _Optional[_Union[_result_pb2.TaskFailure, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class FailDeliveryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExtendDeliveryRequest(_message.Message):
    __slots__ = ("namespace", "completion_token", "extension", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    completion_token: str
    extension: _duration_pb2.Duration
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., completion_token: _Optional[str] = ..., extension: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExtendDeliveryResponse(_message.Message):
    __slots__ = ("deadline",)
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
