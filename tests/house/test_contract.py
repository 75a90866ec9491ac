"""What the comments of the contract must say, read from its own descriptors."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).resolve().parents[2]
_ENUM_IN_FILE = 5


def _files() -> list[FileDescriptorProto]:
    """The contract with its comments."""
    built = subprocess.run(
        [".venv/bin/buf", "build", "proto", "-o", "-#format=binpb"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    files = FileDescriptorSet.FromString(built).file
    return [file for file in files if file.package == "waystation.v1"]


def _messages(files: list[FileDescriptorProto]) -> dict[str, DescriptorProto]:
    return {f".{file.package}.{one.name}": one for file in files for one in file.message_type}


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


def _comments_of_enums(files: list[FileDescriptorProto]) -> dict[str, str]:
    return {
        f".{file.package}.{file.enum_type[place.path[1]].name}": " ".join(
            place.leading_comments.split()
        )
        for file in files
        for place in file.source_code_info.location
        if len(place.path) == 2 and place.path[0] == _ENUM_IN_FILE
    }


def test_each_enum_that_somebody_reads_says_what_an_unknown_value_means() -> None:
    files = _files()
    messages, comments = _messages(files), _comments_of_enums(files)
    seen: set[str] = set()
    read = {".waystation.v1.ErrorReason"}
    for file in files:
        for service in file.service:
            for method in service.method:
                read |= set(_inside(method.output_type, messages, seen))
    # What a handler is sent is a request, and read by somebody else all the same.
    read |= set(_inside(".waystation.v1.HandleEventRequest", messages, set()))
    assert {"WorkflowStatus", "WaitOutcome", "BlockerKind", "HistoryResult"} <= {
        name.rpartition(".")[2] for name in read
    }
    for name in read:
        assert "May grow; an unknown value " in comments[name], name
