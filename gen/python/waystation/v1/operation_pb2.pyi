from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Operation(_message.Message):
    __slots__ = ("path", "set", "remove", "increment", "append", "add_to_set", "maximum")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    ADD_TO_SET_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    path: str
    set: _struct_pb2.Value
    remove: RemoveOperation
    increment: float
    append: _struct_pb2.Value
    add_to_set: _struct_pb2.Value
    maximum: float
    def __init__(self, path: _Optional[str] = ..., set: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., remove: _Optional[_Union[RemoveOperation, _Mapping]] = ..., increment: _Optional[float] = ..., append: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., add_to_set: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., maximum: _Optional[float] = ...) -> None: ...

class RemoveOperation(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OperationList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Operation]
    def __init__(self, items: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ...) -> None: ...

class PathSet(_message.Message):
    __slots__ = ("paths",)
    PATHS_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, paths: _Optional[_Iterable[str]] = ...) -> None: ...
