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
from support.running_api import Api, one_item, refusal, refusal_of

import waystation.v1
from fuzz_input.wire import field
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import DiscardDeadLettersRequest, RetryDeadLettersRequest
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.token_pb2 import RoleGrant
from waystation.v1.token_service_pb2 import CreateTokenRequest
from waystation_core.rpc.message_reader import SMALL_BYTES
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


def _enums(kind: Descriptor, before: str = "") -> Iterator[str]:
    """The fields with an enum, but for those of a task's answer."""
    for inner in kind.fields:
        if inner.enum_type is not None:
            yield before + inner.name
        elif (
            inner.message_type is not None and inner.message_type.file.package != "google.protobuf"
        ):
            yield from _enums(inner.message_type, f"{before}{inner.name}.")


UNKNOWN: Any = 99
TASK = {"task_id": "t", "event_types": ["a"], "workflow_types": ["w"]}
ENUMS: dict[str, Any] = {
    "RegisterHandlerRequest.kind": RegisterHandlerRequest(
        service_name="s", host="127.0.0.1", port=7500, kind=UNKNOWN
    ),
    "RegisterHandlerRequest.tasks.on_failure": RegisterHandlerRequest(
        service_name="s", host="127.0.0.1", port=7500, tasks=[TaskSpec(**TASK, on_failure=UNKNOWN)]
    ),
    "RegisterHandlerRequest.tasks.catch_up": RegisterHandlerRequest(
        service_name="s", host="127.0.0.1", port=7500, tasks=[TaskSpec(**TASK, catch_up=UNKNOWN)]
    ),
    "RetryDeadLettersRequest.filter.states": RetryDeadLettersRequest(
        filter=DeadLetterFilter(states=[UNKNOWN]), request_id="r-1"
    ),
    "DiscardDeadLettersRequest.filter.states": DiscardDeadLettersRequest(
        filter=DeadLetterFilter(states=[UNKNOWN]), request_id="r-1"
    ),
    "CreateTokenRequest.grants.roles": CreateTokenRequest(
        name="t", grants=[RoleGrant(namespace="default", roles=[UNKNOWN])]
    ),
}


def test_each_enum_of_a_change_is_tried() -> None:
    kinds = [METHODS[path].input_type for path in CHANGES if "DeliveryCompletion" not in path]
    assert {f"{kind.name}.{place}" for kind in kinds for place in _enums(kind)} == set(ENUMS)


@pytest.mark.parametrize("place", ENUMS)
async def test_an_unknown_value_in_a_change_is_refused(api: Api, place: str) -> None:
    request = ENUMS[place]
    path = next(p for p in CHANGES if METHODS[p].input_type.name == place.partition(".")[0])
    refused = await refusal(api.channel.unary_unary(path)(request.SerializeToString()))
    assert refused.reason == "INVALID_FIELD"
    assert refused.metadata["field"].rpartition(".")[2] == place.rpartition(".")[2]


@pytest.mark.parametrize("method", ["RetryDeadLetters", "DiscardDeadLetters"])
async def test_a_choice_that_is_not_made_is_refused(api: Api, method: str) -> None:
    call: Any = api.channel.unary_unary(f"/waystation.v1.DeadLetterService/{method}")
    # Their request_id and nothing else.
    assert (await refusal(call(field(4, b"r-1")))).reason == "INVALID_FIELD"


def test_what_reads_and_what_changes() -> None:
    """The contract marks reads; two more are none of these, and change nothing."""
    marked = {
        path
        for path, method in METHODS.items()
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    }
    assert {path.rpartition("/")[2] for path in set(READS) - marked} == {
        "WatchWorkflow",
        "ReplayWorkflow",
    }
    for path, method in METHODS.items():
        reads = method.name.startswith(
            ("Get", "List", "Find", "Count", "Wait", "Watch", "Explain", "Replay")
        )
        assert changes_something(path) is not reads, path
    assert not changes_something("/grpc.health.v1.Health/Check")


@pytest.mark.parametrize("path", [path for path in CHANGES if not METHODS[path].client_streaming])
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


async def test_an_item_of_a_stream_is_refused_whatever_it_does_not_know(api: Api) -> None:
    large = field(2, field(2, b"x" * SMALL_BYTES))
    places = dict(_places(pb.RunWorkflowsItem.DESCRIPTOR))
    for place, data in (*places.items(), ("1023", large + NEWER)):
        item = pb.RunWorkflowsItem.FromString(b"\x08\x01" + data)
        refused = refusal_of((await one_item(api, item)).error)
        assert refused.reason == "NOT_YET_AVAILABLE"
        assert refused.metadata == {"feature": f"RunWorkflowsItem.{place}"}


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
