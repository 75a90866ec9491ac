"""What a newer client asks for and this release does not know: refused by name where something would be
changed without it, at every depth; reads are carried out."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from support.running_api import Api, refusal

import waystation.v1
from fuzz_input.wire import field
from waystation.v1 import workflow_service_pb2 as pb
from waystation_core.rpc.reading import SMALL_BYTES
from waystation_core.rpc.unknown_fields import changes_something

NEWER = b"\xf8\x3f\x01"
"""Field 1,023, which nothing has, as a number."""


def _methods() -> Iterator[MethodDescriptor]:
    for module in pkgutil.iter_modules(waystation.v1.__path__):
        if module.name.endswith("_service_pb2") and "task_handler" not in module.name:
            found = importlib.import_module(f"waystation.v1.{module.name}").DESCRIPTOR
            for service in found.services_by_name.values():
                yield from service.methods


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


METHODS = {_path(method): method for method in _methods()}
CHANGES = sorted(path for path in METHODS if changes_something(path))
READS = sorted(set(METHODS) - set(CHANGES))


def _places(kind: Descriptor, before: str = "") -> Iterator[tuple[str, bytes]]:
    """Every message inside one of this kind that may have an unknown field, and bytes with one there."""
    yield f"{before}1023", NEWER
    for inner in kind.fields:
        if inner.message_type is None or inner.message_type.file.package == "google.protobuf":
            continue
        if inner.message_type.GetOptions().map_entry:
            continue
        for place, data in _places(inner.message_type, f"{before}{inner.name}."):
            yield place, field(inner.number, data)


def test_what_reads_and_what_changes() -> None:
    """The contract marks reads; two more are none of these, and change nothing."""
    assert {path.rpartition("/")[2] for path in READS} == {
        *("GetWorkflow", "ListWorkflows", "ListEvents", "WaitWorkflow", "WatchWorkflow"),
        *("ExplainWorkflow", "ReplayWorkflow", "ListHandlers", "ListDeadLetters"),
        *("GetSystemStatus", "GetFlow"),
    }
    marked = {
        path
        for path, method in METHODS.items()
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    }
    assert marked < set(READS)
    assert not changes_something("/grpc.health.v1.Health/Check")


@pytest.mark.parametrize("path", CHANGES)
async def test_a_change_is_refused_whatever_it_does_not_know(api: Api, path: str) -> None:
    kind = METHODS[path].input_type
    call: Any = api.channel.unary_unary(path)
    places = dict(_places(kind))
    for place, data in places.items():
        refused = await refusal(call(data))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "NOT_YET_AVAILABLE",
        )
        assert refused.metadata == {"feature": f"{kind.name}.{place}"}
        assert "Upgrade Waystation" in refused.message
    # A message too large to be parsed unseen is read in another way.
    large = field(1, b"x" * SMALL_BYTES) if kind.fields_by_number[1].message_type is None else b""
    large += field(1, field(2, b"x" * SMALL_BYTES)) if not large else b""
    place, data = list(places.items())[-1]
    refused = await refusal(call(large + data))
    assert refused.metadata == {"feature": f"{kind.name}.{place}"}


@pytest.mark.parametrize("path", READS)
async def test_a_read_leaves_out_what_it_does_not_know(api: Api, path: str) -> None:
    if METHODS[path].server_streaming:
        stream: Any = api.channel.unary_stream(path)
        call: Any = stream(NEWER).read()
    else:
        call = api.channel.unary_unary(path)(NEWER)
    code = None
    try:
        await call
    except grpc.aio.AioRpcError as error:
        code = error.code()
    assert code is not grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (field(3, field(9, b"x")), "data.9"),
        (field(3, field(1, field(1, b"a") + field(2, field(3, b"x") + field(9, b"x")))), "data.9"),
        (field(8, field(1, b"k") + field(2, b"v") + field(9, b"x")), "metadata.9"),
        (field(9, b"\x08\x05" + field(9, b"x")), "timeout.9"),
        (b"\xfb\x3f\xfc\x3f", "1023"),
        (b"\xfd\x3f\0\0\0\0", "1023"),
        (b"\xf9\x3f" + bytes(8), "1023"),
    ],
    ids=["struct", "value", "map", "duration", "group", "fixed32", "fixed64"],
)
async def test_no_form_of_it_is_overlooked(api: Api, data: bytes, place: str) -> None:
    call: Any = api.channel.unary_unary("/waystation.v1.WorkflowService/StartWorkflow")
    refused = await refusal(call(field(2, b"claim") + data))
    assert refused.metadata == {"feature": f"StartWorkflowRequest.{place}"}


@pytest.mark.parametrize("size", [1, SMALL_BYTES])
async def test_a_known_number_of_another_type_is_no_message(api: Api, size: int) -> None:
    call: Any = api.channel.unary_unary("/waystation.v1.WorkflowService/StartWorkflow")
    # workflow_type, as a number.
    refused = await refusal(call(b"\x10\x05" + field(5, b"x" * size)))
    assert (refused.reason, refused.metadata["field"]) == ("INVALID_FIELD", "request")
    found = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest())
    assert not found.workflows
