"""The shape of what each command prints with --json, as JSON Schema: a promise to scripts.

What the server says is described by the contract's messages, as `render.message_json` writes them; what
the command line puts together itself is written out here. A message may get further members in a later
release, and an enum further values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from waystation.v1 import (
    dead_letter_service_pb2,
    handler_registry_service_pb2,
    namespace_service_pb2,
    system_service_pb2,
    token_service_pb2,
    workflow_service_pb2,
)
from waystation.v1.audit_service_pb2 import AuditEntry
from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.handler_pb2 import Handler
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.token_pb2 import Token
from waystation.v1.wait_pb2 import WorkflowWait
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render import names

Schema = dict[str, Any]

_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_YES_OR_NO: Schema = {"type": "boolean"}
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "number", "description": "seconds"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}


def of_command(command: str) -> Schema:
    """The schema of a command's document. Raises KeyError for one that prints none."""
    definitions: dict[str, Schema] = {}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"waystation {command} --json",
        **_SHAPES[command](definitions),
    }
    return {**schema, "$defs": dict(sorted(definitions.items()))} if definitions else schema


def commands() -> list[str]:
    """Those that print a document."""
    return sorted(_SHAPES)


def _message(type: Any) -> Any:
    return lambda definitions: _reference(type.DESCRIPTOR, definitions)


def _items(type: Any) -> Any:
    return lambda definitions: _object(
        items=_list(_reference(type.DESCRIPTOR, definitions)), more=_YES_OR_NO
    )


def _one_or_several(one: Any) -> Any:
    """Of a command that takes several ids: of one its document, of several a list."""

    def shape(definitions: dict[str, Schema]) -> Schema:
        of_one = one(definitions)
        return {"anyOf": [of_one, _object(items=_list(of_one), more=_YES_OR_NO)]}

    return shape


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _object(optional: Mapping[str, Schema] | None = None, /, **members: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**members, **(optional or {})},
        "required": sorted(members),
    }


def _reference(descriptor: Any, definitions: dict[str, Schema]) -> Schema:
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]
    if descriptor.name not in definitions:
        definitions[descriptor.name] = {}
        definitions[descriptor.name] = {
            "type": "object",
            "properties": {field.name: _member(field, definitions) for field in descriptor.fields},
            "required": sorted(field.name for field in descriptor.fields if not field.has_presence),
        }
    return {"$ref": f"#/$defs/{descriptor.name}"}


def _member(field: Any, definitions: dict[str, Schema]) -> Schema:
    if not field.is_repeated:
        return _single(field, definitions)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _single(value, definitions)}
    return _list(_single(field, definitions))


def _single(field: Any, definitions: dict[str, Schema]) -> Schema:
    if field.enum_type is not None:
        known = [names.of_enum(field.enum_type, each.number) for each in field.enum_type.values]
        # A number: a value that only later releases know.
        return {"anyOf": [{"enum": known}, _NUMBER]}
    if field.message_type is not None:
        return _reference(field.message_type, definitions)
    if field.cpp_type in _WHOLE:
        return _NUMBER
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _YES_OR_NO
    return {"type": "number"} if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else _TEXT


def _show(definitions: dict[str, Schema]) -> Schema:
    return _object(
        context=_reference(WorkflowContext.DESCRIPTOR, definitions),
        history=_list(_reference(HistoryEntry.DESCRIPTOR, definitions)),
        events=_list(_reference(EventWithState.DESCRIPTOR, definitions)),
        dead_letters=_list(_reference(DeadLetter.DESCRIPTOR, definitions)),
    )


def _top(definitions: dict[str, Schema]) -> Schema:
    return _object(
        status=_reference(system_service_pb2.GetSystemStatusResponse.DESCRIPTOR, definitions),
        handlers=_list(_reference(Handler.DESCRIPTOR, definitions)),
        dead_letters=_list(_reference(DeadLetter.DESCRIPTOR, definitions)),
    )


def _diff(definitions: dict[str, Schema]) -> Schema:
    place = _object({"before": {}, "after": {}}, path=_TEXT)
    return _object(data=_list(place), instance=_list(place))


def _lint(definitions: dict[str, Schema]) -> Schema:
    whole = system_service_pb2.GetFlowResponse.DESCRIPTOR
    return _object(
        **{
            field.name: _member(field, definitions)
            for field in whole.fields
            if field.name != "flows"
        }
    )


def _dev(definitions: dict[str, Schema]) -> Schema:
    return _object(
        {"token_file": _TEXT}, address=_TEXT, process_id=_NUMBER, data_dir=_TEXT, database_url=_TEXT
    )


def _signing_key(definitions: dict[str, Schema]) -> Schema:
    return _object(file=_TEXT, public_key=_TEXT)


def _key(definitions: dict[str, Schema]) -> Schema:
    return _object(name=_TEXT, file=_TEXT, key=_TEXT)


def _login(definitions: dict[str, Schema]) -> Schema:
    return _object(profile=_TEXT, address=_TEXT, file=_TEXT)


def _logout(definitions: dict[str, Schema]) -> Schema:
    return _object(profile=_TEXT)


def _init(definitions: dict[str, Schema]) -> Schema:
    return _object(folder=_TEXT, files=_list(_TEXT), next=_list(_TEXT), test=_TEXT)


def _dev_certs(definitions: dict[str, Schema]) -> Schema:
    return _object(folder=_TEXT, files=_list(_TEXT), ends_at=_TEXT, next=_list(_TEXT))


def _migrate(definitions: dict[str, Schema]) -> Schema:
    roles = _object(servers=_TEXT, readers=_TEXT)
    return _object(
        version_before={"anyOf": [_TEXT, {"type": "null"}]},
        version=_TEXT,
        roles={"anyOf": [roles, {"type": "null"}]},
    )


def _failure(definitions: dict[str, Schema]) -> Schema:
    return _object(
        error=_object(
            code=_TEXT,
            reason=_TEXT,
            message=_TEXT,
            hint=_TEXT,
            metadata={"type": "object", "additionalProperties": _TEXT},
        )
    )


def _inbox(definitions: dict[str, Schema]) -> Schema:
    question = _object(
        workflow_instance_id=_TEXT,
        workflow_type=_TEXT,
        wait=_reference(WorkflowWait.DESCRIPTOR, definitions),
    )
    return _object(items=_list(question), more=_YES_OR_NO)


def _many(definitions: dict[str, Schema]) -> Schema:
    return _object(done=_NUMBER, left=_NUMBER, request_id=_TEXT)


def _start_many(definitions: dict[str, Schema]) -> Schema:
    return _object(
        {
            "created": _YES_OR_NO,
            "error": _object(code=_TEXT, reason=_TEXT, message=_TEXT),
        },
        line=_NUMBER,
        workflow_instance_id=_TEXT,
    )


_workflows, _letters = workflow_service_pb2, dead_letter_service_pb2
_handlers, _system = handler_registry_service_pb2, system_service_pb2

_SHAPES = {
    "audit": _items(AuditEntry),
    "cancel": _one_or_several(_message(_workflows.CancelWorkflowResponse)),
    "dead-letters discard": _one_or_several(_message(_letters.DiscardDeadLetterResponse)),
    "namespaces create": _message(namespace_service_pb2.Namespace),
    "namespaces delete": _message(namespace_service_pb2.DeleteNamespaceResponse),
    "namespaces get": _message(namespace_service_pb2.GetNamespaceResponse),
    "namespaces list": _items(namespace_service_pb2.Namespace),
    "namespaces update": _message(namespace_service_pb2.Namespace),
    "dead-letters discard many": _many,
    "dead-letters dry-run": _message(_letters.CountDeadLettersResponse),
    "dead-letters edit": _message(_letters.RetryDeadLetterResponse),
    "dead-letters list": _items(DeadLetter),
    "dead-letters list grouped": _message(_letters.CountDeadLettersResponse),
    "dead-letters show": _message(DeadLetter),
    "dead-letters retry": _one_or_several(_message(_letters.RetryDeadLetterResponse)),
    "dead-letters retry many": _many,
    "dev": _dev,
    "diff": _diff,
    "explain": _one_or_several(_message(_workflows.ExplainWorkflowResponse)),
    "failure": _failure,
    "fork": _message(_workflows.ForkWorkflowResponse),
    "graph": _message(_system.GetFlowResponse),
    "handlers list": _items(Handler),
    "handlers register": _message(_handlers.RegisterHandlerResponse),
    "handlers retire": _message(_handlers.RetireTaskResponse),
    "handlers unregister": _one_or_several(_message(_handlers.UnregisterHandlerResponse)),
    "inbox": _inbox,
    "init": _init,
    "tls dev-certs": _dev_certs,
    "signing-key new": _signing_key,
    "signing-key show": _signing_key,
    "input": _one_or_several(_message(_workflows.ProvideInputResponse)),
    "keys new": _key,
    "lint": _lint,
    "list": _items(WorkflowContext),
    "login": _login,
    "logout": _logout,
    "migrate": _migrate,
    "publish": _message(_workflows.PublishEventResponse),
    "replay": _message(_workflows.ReplayWorkflowResponse),
    "run": _message(_workflows.RunWorkflowResponse),
    "show": _one_or_several(_show),
    "start": _message(_workflows.StartWorkflowResponse),
    "start many": _start_many,
    "status": _message(_system.GetSystemStatusResponse),
    "tokens create": _message(token_service_pb2.CreateTokenResponse),
    "tokens list": _items(Token),
    "tokens revoke": _message(token_service_pb2.RevokeTokenResponse),
    "top": _top,
    "wait": _one_or_several(_message(_workflows.WaitWorkflowResponse)),
    "watch": _message(HistoryEntry),
}
