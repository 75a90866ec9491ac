"""The contract's filters: a command that changes something never means everything by saying nothing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor

import waystation.v1

READS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS


def contract() -> list[FileDescriptor]:
    return [
        importlib.import_module(f"waystation.v1.{module.name}").DESCRIPTOR
        for module in pkgutil.iter_modules(waystation.v1.__path__)
        if module.name.endswith("_pb2")
    ]


def filters(message: Descriptor, seen: set[str] | None = None) -> Iterator[FieldDescriptor]:
    """The fields of a request that hold a filter, at any depth."""
    seen = seen if seen is not None else set()
    if message.full_name in seen or message.full_name.startswith("google."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        if field.message_type is None:
            continue
        if field.message_type.name.endswith("Filter"):
            yield field
        yield from filters(field.message_type, seen)


def changing(files: list[FileDescriptor]) -> list[tuple[MethodDescriptor, FieldDescriptor]]:
    """The filters of all RPCs that change something."""
    return [
        (method, field)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        if method.GetOptions().idempotency_level != READS
        for field in filters(method.input_type)
    ]


def says_all(field: FieldDescriptor) -> bool:
    """Whether everything is asked for beside the filter: by an arm `all` without content, so that no
    value of it is a riddle."""
    arms = field.containing_oneof.fields if field.containing_oneof is not None else ()
    return any(
        arm.name == "all" and arm.message_type is not None and not arm.message_type.fields
        for arm in arms
    )


def test_no_command_means_everything_by_an_empty_filter() -> None:
    found = changing(contract())
    assert {method.name for method, _ in found} == {"RetryDeadLetters", "DiscardDeadLetters"}
    for method, field in found:
        assert says_all(field), f"{method.name} means everything by an empty {field.name}"


def test_a_command_about_many_can_be_taken_up_again() -> None:
    for method, _ in changing(contract()):
        assert "request_id" in method.input_type.fields_by_name, method.name


MADE_UP = """
name: "made_up.proto" package: "made_up" syntax: "proto3"
message_type { name: "ThingFilter" }
message_type { name: "AllThings" }
message_type { name: "Full" field { name: "a" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL } }
message_type { name: "Inner" field { name: "which" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".made_up.ThingFilter" } }
message_type { name: "Request" oneof_decl { name: "target" } %s }
service { name: "S" method { name: "Change" input_type: ".made_up.Request"
    output_type: ".made_up.AllThings" %s } }
"""
FILTER = (
    'field { name: "filter" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL '
    'type_name: ".made_up.ThingFilter" %s }'
)
ALL = (
    'field { name: "all" number: 2 label: LABEL_OPTIONAL oneof_index: 0 '
    'type: TYPE_MESSAGE type_name: ".made_up.%s" }'
)
ARM = "oneof_index: 0"
INNER = (
    'field { name: "inner" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL oneof_index: 0 '
    'type_name: ".made_up.Inner" }'
)


@pytest.mark.parametrize(
    ("fields", "options", "right"),
    [
        (FILTER % ARM + ALL % "AllThings", "", [True]),
        (FILTER % ARM, "", [False]),
        (FILTER % "" + ALL % "AllThings", "", [False]),
        (FILTER % ARM + ALL % "Full", "", [False]),
        (INNER, "", [False]),
        (FILTER % ARM, "options { idempotency_level: NO_SIDE_EFFECTS }", []),
        (FILTER % ARM, "options { idempotency_level: IDEMPOTENT }", [False]),
    ],
    ids=["an arm", "none", "beside", "with content", "further inside", "a read", "idempotent"],
)
def test_a_contract_that_breaks_the_rule_is_seen(
    fields: str, options: str, right: list[bool]
) -> None:
    made = descriptor_pb2.FileDescriptorProto()
    text_format.Parse(MADE_UP % (fields, options), made)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(made.SerializeToString())
    assert [says_all(field) for _, field in changing([pool.FindFileByName("made_up.proto")])] == (
        right
    )
