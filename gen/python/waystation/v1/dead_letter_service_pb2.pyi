from google.protobuf import struct_pb2 as _struct_pb2
from waystation.v1 import dead_letter_pb2 as _dead_letter_pb2
from waystation.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("namespace", "filter", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    filter: _dead_letter_pb2.DeadLetterFilter
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., filter: _Optional[_Union[_dead_letter_pb2.DeadLetterFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("dead_letters", "next_page_token")
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[_dead_letter_pb2.DeadLetter]
    next_page_token: str
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[_dead_letter_pb2.DeadLetter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CountDeadLettersRequest(_message.Message):
    __slots__ = ("namespace", "filter")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    filter: _dead_letter_pb2.DeadLetterFilter
    def __init__(self, namespace: _Optional[str] = ..., filter: _Optional[_Union[_dead_letter_pb2.DeadLetterFilter, _Mapping]] = ...) -> None: ...

class CountDeadLettersResponse(_message.Message):
    __slots__ = ("count", "retryable", "workflows", "groups", "groups_left_out", "more")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    count: int
    retryable: int
    workflows: int
    groups: _containers.RepeatedCompositeFieldContainer[_dead_letter_pb2.DeadLetterGroup]
    groups_left_out: int
    more: bool
    def __init__(self, count: _Optional[int] = ..., retryable: _Optional[int] = ..., workflows: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[_dead_letter_pb2.DeadLetterGroup, _Mapping]]] = ..., groups_left_out: _Optional[int] = ..., more: bool = ...) -> None: ...

class RetryDeadLetterRequest(_message.Message):
    __slots__ = ("namespace", "dead_letter_id", "payload", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    dead_letter_id: str
    payload: _struct_pb2.Struct
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., dead_letter_id: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryDeadLetterResponse(_message.Message):
    __slots__ = ("dead_letter", "context")
    DEAD_LETTER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    dead_letter: _dead_letter_pb2.DeadLetter
    context: _workflow_pb2.WorkflowContext
    def __init__(self, dead_letter: _Optional[_Union[_dead_letter_pb2.DeadLetter, _Mapping]] = ..., context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ...) -> None: ...

class DiscardDeadLetterRequest(_message.Message):
    __slots__ = ("namespace", "dead_letter_id", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    dead_letter_id: str
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., dead_letter_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DiscardDeadLetterResponse(_message.Message):
    __slots__ = ("dead_letter", "context")
    DEAD_LETTER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    dead_letter: _dead_letter_pb2.DeadLetter
    context: _workflow_pb2.WorkflowContext
    def __init__(self, dead_letter: _Optional[_Union[_dead_letter_pb2.DeadLetter, _Mapping]] = ..., context: _Optional[_Union[_workflow_pb2.WorkflowContext, _Mapping]] = ...) -> None: ...

class RetryDeadLettersRequest(_message.Message):
    __slots__ = ("namespace", "filter", "all", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    filter: _dead_letter_pb2.DeadLetterFilter
    all: _dead_letter_pb2.AllOpenDeadLetters
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., filter: _Optional[_Union[_dead_letter_pb2.DeadLetterFilter, _Mapping]] = ..., all: _Optional[_Union[_dead_letter_pb2.AllOpenDeadLetters, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryDeadLettersResponse(_message.Message):
    __slots__ = ("retried",)
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    retried: int
    def __init__(self, retried: _Optional[int] = ...) -> None: ...

class DiscardDeadLettersRequest(_message.Message):
    __slots__ = ("namespace", "filter", "all", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    filter: _dead_letter_pb2.DeadLetterFilter
    all: _dead_letter_pb2.AllOpenDeadLetters
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., filter: _Optional[_Union[_dead_letter_pb2.DeadLetterFilter, _Mapping]] = ..., all: _Optional[_Union[_dead_letter_pb2.AllOpenDeadLetters, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DiscardDeadLettersResponse(_message.Message):
    __slots__ = ("discarded",)
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    discarded: int
    def __init__(self, discarded: _Optional[int] = ...) -> None: ...
