"""How much a message may hold, decided before it is built. Work is counted, not timed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from fuzz_input.wire import field
from waystation.v1 import event_pb2, handler_registry_service_pb2, task_handler_service_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_core.rpc.message_reader import SMALL_BYTES, MessageReader, Walk, parsed
from waystation_domain.errors import (
    InvalidField,
    InvalidStruct,
    PayloadTooLarge,
    WaystationError,
)
from waystation_domain.limits import MAX_NODES, MAX_PARTS, MAX_REPEATED


def start(value: bytes) -> bytes:
    """A StartWorkflowRequest whose data has this Value, serialised, at "a"."""
    return field(2, b"claim") + field(3, field(1, field(1, b"a") + field(2, value)))


def list_of(value: bytes, number: int) -> bytes:
    return field(6, field(1, value) * number)


def walked(data: bytes, kind: Any) -> tuple[WaystationError | None, int]:
    """What a walk refuses a message with, and over how many parts it went."""
    walk = Walk(data, kind.DESCRIPTOR)
    try:
        assert walk.advance(10**9)
    except WaystationError as error:
        return error, walk.parts
    return None, walk.parts


def test_texts_are_counted_and_numbers_that_lie_packed_are_bounded() -> None:
    names = ["x" * 200] * MAX_REPEATED
    request = pb.ListWorkflowsRequest(filter={"workflow_types": names})
    assert walked(request.SerializeToString(), pb.ListWorkflowsRequest)[0] is None
    request.filter.workflow_types.append("x")
    refused, _ = walked(request.SerializeToString(), pb.ListWorkflowsRequest)
    assert isinstance(refused, InvalidField)
    packed = field(2, field(2, b"\1" * 10 * MAX_REPEATED))
    refused, _ = walked(packed, pb.ListWorkflowsRequest)
    assert isinstance(refused, InvalidField)
    assert refused.metadata["field"] == "filter.statuses"


WIDE = [
    (start(list_of(b"\x08\x00", 1_000_000)), pb.StartWorkflowRequest, InvalidStruct, "data"),
    (start(list_of(b"\x08\x00", 1_900_000)), pb.StartWorkflowRequest, InvalidStruct, "data"),
    (start(list_of(b"\x2a\x00", 700_000)), pb.StartWorkflowRequest, InvalidStruct, "data"),
    (start(list_of(b"", 3_900_000)), pb.StartWorkflowRequest, InvalidStruct, "data"),
    (
        pb.RunWorkflowRequest(start=pb.StartWorkflowRequest()).SerializeToString()
        + field(1, start(list_of(b"\x08\x00", 1_000_000))),
        pb.RunWorkflowRequest,
        InvalidStruct,
        "start.data",
    ),
    (
        field(
            1,
            field(
                1, field(1, b"a.b") + field(2, field(1, field(2, list_of(b"\x08\x00", 700_000))))
            ),
        ),
        task_handler_service_pb2.HandleEventResponse,
        InvalidStruct,
        "result.events.payload",
    ),
    (
        field(1, field(2, field(1, field(2, list_of(b"\x08\x00", 700_000))))),
        task_handler_service_pb2.HandleEventResponse,
        InvalidStruct,
        "result.operations.items.set",
    ),
    (
        field(1, b"\x0a\x00" * 4_000_000),
        task_handler_service_pb2.HandleEventResponse,
        InvalidField,
        "result.events",
    ),
    (
        field(2, field(2, b"\x01" * 100_001)),
        pb.ListWorkflowsRequest,
        InvalidField,
        "filter.statuses",
    ),
    (field(2, b"\x10\x01" * 100_000), pb.ListWorkflowsRequest, InvalidField, "filter.statuses"),
    (
        b"\x42\x00" * 4_000_000,
        handler_registry_service_pb2.RegisterHandlerRequest,
        InvalidField,
        "tasks",
    ),
    (
        field(8, field(2, b"a") * 100_000),
        handler_registry_service_pb2.RegisterHandlerRequest,
        InvalidField,
        "tasks.event_types",
    ),
    (b"\x98\x06\x01" * 2_500_000, pb.ListWorkflowsRequest, PayloadTooLarge, "request"),
]


@pytest.mark.parametrize(
    ("data", "kind", "error", "place"),
    WIDE,
    ids=[f"{error.__name__} {place} {len(data)}" for data, _, error, place in WIDE],
)
def test_what_is_too_wide_is_refused_after_what_a_message_may_hold(
    data: bytes, kind: Any, error: type[WaystationError], place: str
) -> None:
    refused, parts = walked(data, kind)
    assert type(refused) is error
    assert refused.metadata["field"] == place
    assert parts <= MAX_PARTS + 1
    if error is not PayloadTooLarge:
        assert parts <= 3 * max(MAX_NODES, MAX_REPEATED)


def test_many_structs_together_are_too_much_too() -> None:
    payload = field(1, field(1, b"k") + field(2, list_of(b"\x08\x00", 9_000)))
    event = field(1, b"a.b") + field(2, payload)
    refused, parts = walked(
        field(1, field(1, event) * 10), task_handler_service_pb2.HandleEventResponse
    )
    assert isinstance(refused, PayloadTooLarge)
    assert refused.metadata["field"] == "result.events.payload"
    assert parts < MAX_PARTS


def test_what_a_conversion_takes_is_walked_through() -> None:
    data = Struct()
    data.update({f"k{number}": {"a": [1, "x", None], "b": True} for number in range(1_400)})
    request = pb.StartWorkflowRequest(workflow_type="claim", data=data, payload=data)
    written = request.SerializeToString()
    assert len(written) > SMALL_BYTES
    assert walked(written, pb.StartWorkflowRequest)[0] is None
    assert asyncio.run(MessageReader().read(written, pb.StartWorkflowRequest)) == request


def test_what_is_too_deep_is_named_so_though_no_parser_reads_it() -> None:
    value = b"\x08\x00"
    for _ in range(60):
        value = field(6, field(1, value))
    with pytest.raises(InvalidStruct, match="deeper than 16"):
        parsed(start(value), pb.StartWorkflowRequest)


@given(st.binary(max_size=300))
def test_a_walk_ends_at_any_bytes(data: bytes) -> None:
    for kind in (pb.StartWorkflowRequest, task_handler_service_pb2.HandleEventsResponse):
        error, parts = walked(data, kind)
        assert error is None or isinstance(error, InvalidStruct)
        assert parts <= len(data)


def test_cut_bytes_are_left_to_the_parser() -> None:
    whole = start(list_of(b"\x08\x00", 40_000))
    with pytest.raises(DecodeError):
        asyncio.run(
            MessageReader().read(field(99, b"x" * SMALL_BYTES) + b"\x0a", event_pb2.NewEvent)
        )
    for cut in range(1, 60):
        assert walked(start(b"\x08\x00" * 20)[:-cut], pb.StartWorkflowRequest)[0] is None
    assert walked(whole, pb.StartWorkflowRequest)[0] is not None


async def test_a_long_walk_gives_way_to_others() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    reader = MessageReader()
    filler = b"\x98\x06\x01" * 200_000
    requests = [reader.read(filler, pb.ListWorkflowsRequest) for _ in range(3)]
    await asyncio.gather(*requests)
    running.cancel()
    # 3 times 200,000 parts in portions of 10,000: one after the other, a turn between each two.
    assert turns >= 55
