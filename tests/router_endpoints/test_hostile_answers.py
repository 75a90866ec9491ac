"""Answers as raw bytes: what is wrong with one of them is that call's affair alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from router_endpoints.handlers import registration, request, task

from fuzz_input.wire import field
from waystation.v1 import result_pb2
from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.rpc.attempts import Answered, Failed
from waystation_core.rpc.endpoint_channels import HANDLE_EVENTS
from waystation_router.endpoints import EndpointDirectory

WIDE = 700_000


def wide_answer() -> bytes:
    """A HandleEventResponse of 2.8 MB: one event with a list of nulls."""
    payload = field(1, field(1, b"a") + field(2, field(6, field(1, b"\x08\x00") * WIDE)))
    return field(1, field(1, field(1, b"a.b") + field(2, payload)))


def result_of(item: pb.HandleEventRequest, answer: bytes) -> bytes:
    """A HandleEventsResult."""
    named = field(1, item.idempotency_key.encode()) + bytes([2 << 3, item.attempt])
    return named + field(3, answer)


def answer_to(item: pb.HandleEventRequest) -> bytes:
    match item.task_id:
        case "wide":
            return wide_answer()
        case "broken":
            return b"\x0a\xff\xff\xff\xff"
        case "large":
            failure = result_pb2.TaskFailure(message="x" * 100_000)
            return pb.HandleEventResponse(failure=failure).SerializeToString()
        case "newer":
            # Field 1,000: an arm that only later releases know.
            return field(1_000, b"all that counts")
        case "newer and large":
            failure = result_pb2.TaskFailure(message="x" * 100_000)
            return pb.HandleEventResponse(failure=failure).SerializeToString() + field(
                2, b"\xf8\x3f\x01"
            )
    return pb.HandleEventResponse(result={"events": [{"event_type": "a.b"}]}).SerializeToString()


@asynccontextmanager
async def serving_raw(gathered: int) -> AsyncIterator[int]:
    """A handler that answers in bytes; over the stream so many results in one message."""

    async def one(data: bytes, context: Any) -> bytes:
        return answer_to(pb.HandleEventRequest.FromString(data))

    async def many(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        ready: list[bytes] = []
        async for message in messages:
            for item in pb.HandleEventsRequest.FromString(message).items:
                ready.append(result_of(item, answer_to(item)))
            if len(ready) >= gathered:
                yield b"".join(field(1, result) for result in ready)
                ready.clear()

    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                HANDLE_EVENTS.split("/")[1],
                {
                    "HandleEvent": grpc.unary_unary_rpc_method_handler(one),
                    "HandleEvents": grpc.stream_stream_rpc_method_handler(many),
                },
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


TASKS = ("echo", "wide", "broken", "large", "newer", "newer and large")


def reason_of(outcome: object) -> tuple[str, bool]:
    assert isinstance(outcome, Failed)
    return outcome.error.reason, outcome.error.permanent


async def outcomes(pool: EndpointDirectory, batching: bool, *names: str) -> list[Any]:
    async with serving_raw(len(names)) as port:
        pool.update([registration(port, *(task(name, batching=batching) for name in TASKS))])
        calls = [
            pool.call("claims", request(name, key=f"e{number}"), 60)
            for number, name in enumerate(names)
        ]
        return list(await asyncio.gather(*calls))


@pytest.mark.parametrize("batching", [False, True], ids=["unary", "stream"])
async def test_one_bad_answer_is_one_failed_attempt(
    pool: EndpointDirectory, batching: bool
) -> None:
    first, wide, broken, large, last = await outcomes(
        pool, batching, "echo", "wide", "broken", "large", "echo"
    )
    assert isinstance(first, Answered)
    assert reason_of(wide) == ("RESPONSE_INVALID", True)
    assert reason_of(broken) == ("RESPONSE_INVALID", True)
    assert isinstance(large, Answered)
    assert len(large.response.failure.message) == 100_000
    assert isinstance(last, Answered)


@pytest.mark.parametrize("batching", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(
    ("name", "place"), [("newer", ".1000"), ("newer and large", ".failure.1023")]
)
async def test_an_answer_that_is_not_understood_is_no_success(
    pool: EndpointDirectory, batching: bool, name: str, place: str
) -> None:
    """Without its unknown field it would say: done, nothing changed."""
    first, newer, last = await outcomes(pool, batching, "echo", name, "echo")
    assert isinstance(first, Answered)
    assert isinstance(last, Answered)
    feature = ("HandleEventsResult.response" if batching else "HandleEventResponse") + place
    assert reason_of(newer) == ("NOT_YET_AVAILABLE", True)
    assert newer.error.code == "UNIMPLEMENTED"
    assert newer.error.metadata == {"feature": feature}
    assert feature in newer.error.message


async def test_a_message_of_results_without_names_breaks_its_stream_only(
    pool: EndpointDirectory,
) -> None:
    """It cannot be said whose they are: the calls on it are cut."""

    async def many(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for _ in messages:
            yield b"\x0a\x00" * 1_000_000

    async def one(data: bytes, context: Any) -> bytes:
        return answer_to(pb.HandleEventRequest.FromString(data))

    server = grpc.aio.server()
    service = HANDLE_EVENTS.split("/")[1]
    handlers = {
        "HandleEvents": grpc.stream_stream_rpc_method_handler(many),
        "HandleEvent": grpc.unary_unary_rpc_method_handler(one),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        pool.update([registration(port, task("echo", batching=True))])
        await pool.call("claims", request("echo"), 60)
        again = await pool.call("claims", request("echo", key="e2"), 60, alone=True)
        assert isinstance(again, Answered)
    finally:
        await server.stop(None)
