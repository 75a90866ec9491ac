"""What the comments of the contract must say, read from its own descriptors."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from support.comments import Comments


def _inside(name: str, messages: dict[str, DescriptorProto], seen: set[str]) -> Iterator[str]:
    """The enums that a message can hold."""
    if name in seen or name not in messages:
        return
    seen.add(name)
    for field in messages[name].field:
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            yield field.type_name
        elif field.type == FieldDescriptorProto.TYPE_MESSAGE:
            yield from _inside(field.type_name, messages, seen)


def test_each_enum_that_somebody_reads_says_what_an_unknown_value_means() -> None:
    comments = Comments()
    messages = {f".waystation.v1.{name}": one for name, one in comments.messages.items()}
    seen: set[str] = set()
    read = {".waystation.v1.ErrorReason"}
    for file in comments.files:
        for service in file.service:
            for method in service.method:
                read |= set(_inside(method.output_type, messages, seen))
    # What a handler is sent is a request, and read by somebody else all the same.
    read |= set(_inside(".waystation.v1.HandleEventRequest", messages, set()))
    assert {"WorkflowStatus", "WaitOutcome", "BlockerKind", "HistoryResult"} <= {
        name.rpartition(".")[2] for name in read
    }
    for name in read:
        assert "May grow; an unknown value " in comments[name.rpartition(".")[2]], name
