"""Every field that could grow without end says how far it goes.

A list or a map, a Struct or a Value, bytes: its comment says `at most`, or refers to a field that does; where all of a
message is cut together, the message's comment may say it. A text says so too, unless it is of a kind that is bounded
everywhere.
"""

from __future__ import annotations

import re

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from support.comments import Comments

COMMENTS = Comments()

BOUND = re.compile(
    r"\b[Aa]t most (\d[\d,]*|as many|one|some \d)|\b(Other )?[Ll]imits as (for|in) \w+|\bAs in [A-Z]\w+\b"
)

LARGE = {
    ".google.protobuf.Struct",
    ".google.protobuf.Value",
    ".google.protobuf.ListValue",
    ".google.protobuf.Any",
}

TEXTS: dict[str, tuple[str, ...]] = {
    "an id or a name, at most 200 characters (INVALID_ID, INVALID_EVENT_TYPE)": (
        r"(\w+_)?(id|type)",
        r"(\w+_)?service_version",
        "schema_version",
        "namespace",
        "service_name",
        "processed_by",
        "raised_by",
        "pool",
        "suggestion",
    ),
    "given out by a server, and read back by it alone": (
        "page_token",
        "next_page_token",
        "completion_token",
        "idempotency_key",
    ),
    "a place in data, no longer than what it was read from: data, or a task's answer": (
        r"(\w+_)?path",
    ),
    "one of a few words of Waystation's own": (
        "action",
        "operation",
        "code",
        "server_version",
        "name",
    ),
    "a DNS name or an address, with a port or a process id": ("host", "endpoint"),
    "one or two sentences about what has a bound itself": ("remedy", "summary", "skip_message"),
}
"""Kinds of texts, with the names of their fields."""


def bounded(name: str) -> bool:
    message = name.partition(".")[0]
    return bool(BOUND.search(COMMENTS[name]) or BOUND.search(COMMENTS[message]))


def is_known_text(field: str) -> bool:
    return any(re.fullmatch(name, field) for names in TEXTS.values() for name in names)


def could_grow(field: FieldDescriptorProto) -> bool:
    return (
        field.label == FieldDescriptorProto.LABEL_REPEATED
        or field.type == FieldDescriptorProto.TYPE_BYTES
        or field.type_name in LARGE
        or (field.type == FieldDescriptorProto.TYPE_STRING and not is_known_text(field.name))
    )


@pytest.mark.parametrize("name", [name for name, field in COMMENTS.fields() if could_grow(field)])
def test_what_could_grow_says_how_far(name: str) -> None:
    assert bounded(name), f"{name}: {COMMENTS[name]}"


def test_no_kind_of_text_is_left_over() -> None:
    fields = {
        field.name
        for _, field in COMMENTS.fields()
        if field.type == FieldDescriptorProto.TYPE_STRING
    }
    for names in TEXTS.values():
        for each in names:
            assert any(re.fullmatch(each, field) for field in fields), each


@pytest.mark.parametrize(
    ("comment", "says"),
    [
        ("Required, at least one, at most 1,000; none: all.", True),
        ("Optional. At most 64 KiB as JSON.", True),
        ("Optional. Its data. Limits as in WorkflowEvent.payload.", True),
        ("As in StartWorkflowResponse.", True),
        ("Everything it waits for, oldest first.", False),
        ("The most that there are.", False),
        ("At most.", False),
    ],
)
def test_what_counts_as_a_bound(comment: str, says: bool) -> None:
    assert bool(BOUND.search(comment)) is says
