"""What the comments of the contract must say, read from its own descriptors."""

from __future__ import annotations

import re
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
_GIVES_A_REASON = re.compile(r"\breason=|^_?[A-Z_, ]*(REASON|TIMED_OUT|FAILURE|UNHANDLED) = ")


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


def test_every_reason_that_the_engine_gives_itself_is_in_the_contract() -> None:
    """Of failed attempts, branches and instances: whatever stands in its code as a reason."""
    from waystation.v1.error_reason_pb2 import ErrorReason
    from waystation.v1.failure_reason_pb2 import FailureReason

    known = {name.removeprefix("FAILURE_REASON_") for name in FailureReason.keys()}  # noqa: SIM118
    known |= {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    names: set[str] = set()
    for part in ("core", "router", "api"):
        for file in (ROOT / "services" / part).rglob("*.py"):
            for line in file.read_text(encoding="utf-8").splitlines():
                if _GIVES_A_REASON.search(line):
                    names |= set(re.findall(r'"([A-Z][A-Z_]+)"', line))
    assert {"CALL_CUT", "PENDING_TIMED_OUT", "WORKFLOW_DEADLINE_EXCEEDED", "EXPIRED"} <= names
    assert names <= known, names - known
