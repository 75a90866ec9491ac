"""The comments of the contract, read from its sources, and what they say of errors."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).resolve().parents[2]

_MESSAGES, _ENUMS, _SERVICES, _MEMBERS = 4, 5, 6, 2


class Comments:
    """Of each thing of `waystation.v1`, in one line."""

    def __init__(self) -> None:
        built = subprocess.run(
            [".venv/bin/buf", "build", "proto", "-o", "-#format=binpb"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        self.files: list[FileDescriptorProto] = [
            file
            for file in FileDescriptorSet.FromString(built).file
            if file.package == "waystation.v1"
        ]
        self.methods: dict[str, str] = {}
        """Full paths of RPCs by their names."""
        self.messages: dict[str, DescriptorProto] = {}
        self._of: dict[str, str] = {}
        for file in self.files:
            said = {
                tuple(place.path): " ".join(place.leading_comments.split())
                for place in file.source_code_info.location
            }
            for at, service in enumerate(file.service):
                self._of[service.name] = said.get((_SERVICES, at), "")
                for rpc_at, rpc in enumerate(service.method):
                    self.methods[rpc.name] = f"/{file.package}.{service.name}/{rpc.name}"
                    self._of[rpc.name] = said.get((_SERVICES, at, _MEMBERS, rpc_at), "")
            for at, enum in enumerate(file.enum_type):
                self._of[enum.name] = said.get((_ENUMS, at), "")
                for value_at, value in enumerate(enum.value):
                    self._of[value.name] = said.get((_ENUMS, at, _MEMBERS, value_at), "")
            for at, message in enumerate(file.message_type):
                self.messages[message.name] = message
                self._of[message.name] = said.get((_MESSAGES, at), "")
                for field_at, field in enumerate(message.field):
                    name = f"{message.name}.{field.name}"
                    self._of[name] = said.get((_MESSAGES, at, _MEMBERS, field_at), "")

    def __getitem__(self, name: str) -> str:
        """Of a message, a service, an RPC, an enum or its value, or of `Message.field`."""
        return self._of[name]

    def fields(self) -> Iterator[tuple[str, FieldDescriptorProto]]:
        """All fields, as `Message.field`."""
        for message in self.messages.values():
            for field in message.field:
                yield f"{message.name}.{field.name}", field

    def values(self, enum: str) -> list[str]:
        """All but UNSPECIFIED."""
        return [
            value.name
            for file in self.files
            for each in file.enum_type
            if each.name == enum
            for value in each.value
            if value.number
        ]


def errors_of(comments: Comments, rpc: str) -> set[str]:
    """What an RPC lists, as `CODE / REASON`; what its service says of every RPC is among it."""
    service = comments.methods[rpc].split("/")[1].rpartition(".")[2]
    every = re.findall(r"Every RPC may also answer ([A-Z_]+ / [A-Z_]+)", comments[service])
    _, _, listed = comments[rpc].partition("Errors: ")
    if same := re.match(r"as (\w+)\.", listed):
        return errors_of(comments, same[1])
    found = set(every)
    for part in re.sub(r"\([^)]*\)", "", listed).rstrip(".").split(";"):
        code, _, reasons = part.partition(" / ")
        found |= {f"{code.strip()} / {reason.strip()}" for reason in reasons.split(",") if reason}
    return found


def examples_of(comments: Comments, enum: str = "ErrorReason") -> dict[str, dict[str, Any]]:
    """The example of each reason."""
    prefix = {"ErrorReason": "ERROR_REASON_", "FailureReason": "FAILURE_REASON_"}[enum]
    found = {}
    for value in comments.values(enum):
        _, _, example = comments[value].partition("Example: ")
        found[value.removeprefix(prefix)] = {"metadata": {}, **json.loads(example)}
    return found


def repeated_where(comments: Comments) -> set[str]:
    """The reasons whose errors tell by a google.rpc.RetryInfo that a call may be repeated."""
    said = re.search(
        r"exactly where a google\.rpc\.RetryInfo is attached, after its delay: ([A-Z_, ]+)\.",
        comments["ErrorReason"],
    )
    assert said is not None
    return set(said[1].split(", "))
