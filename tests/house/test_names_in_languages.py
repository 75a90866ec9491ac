"""Names of the contract that the generators of some language would have to bend."""

from __future__ import annotations

import re

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.comments import Comments

# Java's generated classes have these of their own, or of java.lang.Object.
_JAVA = {"class", "serialized_size", "unknown_fields", "cached_size", "parser_for_type"}
# Types of a C# message, and what its enclosing class has.
_CSHARP = {
    "Types",
    "Descriptor",
    "Parser",
    "Equals",
    "Clone",
    "MergeFrom",
    "WriteTo",
    "CalculateSize",
}
# Go's messages have these methods.
_GO = {"Reset", "String", "ProtoMessage", "Descriptor", "ProtoReflect", "Marshal", "Unmarshal"}
# `r#type` in Rust. (`namespace` is one of C++ and Objective-C only, and stays.)
_RUST = {
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "unsafe", "use",
    "where", "while", "yield",
}  # fmt: skip


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _bent(files: list[FileDescriptorProto]) -> list[str]:
    bent = []
    for file in files:
        types = {one.name for one in (*file.message_type, *file.enum_type, *file.service)}
        if file.options.java_outer_classname in types:
            bent.append(f"Java: {file.name}: {file.options.java_outer_classname}")
        for message in file.message_type:
            names = {field.name: field for field in message.field}
            for name, field in names.items():
                where = f"{message.name}.{name}"
                repeated = field.label == field.LABEL_REPEATED
                if _camel(name) == message.name or _camel(name) in _CSHARP:
                    bent.append(f"C#: {where}")
                if name in _JAVA or (repeated and {f"{name}_count", f"{name}_list"} & set(names)):
                    bent.append(f"Java: {where}")
                if _camel(name) in _GO or f"get_{name}" in names:
                    bent.append(f"Go: {where}")
                if name in _RUST:
                    bent.append(f"Rust: {where}")
                if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name):
                    bent.append(f"all: {where}")
    return bent


def test_no_name_is_reserved_in_a_generated_language() -> None:
    files = Comments().files
    assert _bent(files) == []
    named = next(m for file in files for m in file.message_type if m.name == "OperationList")
    named.field[0].name = "operation_list"
    assert _bent(files) == ["C#: OperationList.operation_list"]
