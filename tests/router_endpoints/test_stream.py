"""What goes out over a HandleEvents stream: messages of a bounded size, whatever waits to be sent."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.rpc.message_reader import MessageReader
from waystation_domain import limits
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_router.endpoints.stream import MAX_CANCELS, MAX_MESSAGE_BYTES, EventStream


class Rpc:
    """A stream to an endpoint that takes everything and says nothing."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = asyncio.Event()

    async def write(self, message: bytes) -> None:
        self.sent.put_nowait(message)

    async def read(self) -> Any:
        await self._ended.wait()
        return grpc.aio.EOF

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    async def details(self) -> str:
        return ""

    async def done_writing(self) -> None: ...

    def cancel(self) -> None:
        self._ended.set()


class Channel:
    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def stream_stream(self, _: str) -> Any:
        return lambda metadata: self._rpc


def call(number: int, payload: str = "") -> EndpointCall:
    request = pb.HandleEventRequest(task_id="score", idempotency_key=f"{number:0500}", attempt=1)
    request.event.payload.update({"text": payload})
    return EndpointCall(asyncio.get_running_loop(), "claims", request, 5, alone=False)


async def received(rpc: Rpc, items: int, cancels: int) -> list[pb.HandleEventsRequest]:
    """Messages until so many items and cancels were in them."""
    found: list[pb.HandleEventsRequest] = []
    async with asyncio.timeout(20):
        while items > 0 or cancels > 0:
            data = await rpc.sent.get()
            assert len(data) <= limits.MAX_MESSAGE_BYTES
            message = pb.HandleEventsRequest.FromString(data)
            items, cancels = items - len(message.items), cancels - len(message.cancels)
            found.append(message)
    return found


async def test_items_and_cancels_are_cut_into_several_messages() -> None:
    rpc = Rpc()
    stream = EventStream(
        cast(Any, Channel(rpc)),
        reader=MessageReader(),
        answered=lambda *_: None,
        ended=lambda *_: None,
    )
    large = [call(number, "x" * 400_000) for number in range(10)]
    for one in large:
        stream.send(one)
    messages = await received(rpc, items=10, cancels=0)
    assert [len(message.items) for message in messages] == [2] * 5
    assert all(message.ByteSize() <= MAX_MESSAGE_BYTES + 100 for message in messages)

    small = [call(number) for number in range(10, 2_510)]
    for one in small:
        stream.send(one)
    await received(rpc, items=2_500, cancels=0)
    for one in small:
        stream.abandon(one)
    messages = await received(rpc, items=0, cancels=2_500)
    assert [len(message.cancels) for message in messages] == [MAX_CANCELS, MAX_CANCELS, 500]
    named = {cancel.idempotency_key for message in messages for cancel in message.cancels}
    assert len(named) == 2_500
    await stream.close()


class Refusing(Rpc):
    """A stream that the endpoint ends: the first write notices it, the status comes a moment later."""

    def __init__(self) -> None:
        super().__init__()
        self._status = grpc.StatusCode.UNAUTHENTICATED

    async def write(self, message: bytes) -> None:
        asyncio.get_running_loop().call_later(0.02, self._ended.set)
        raise asyncio.InvalidStateError("the RPC is over")

    async def code(self) -> grpc.StatusCode:
        return self._status

    def cancel(self) -> None:
        if not self._ended.is_set():
            self._status = grpc.StatusCode.CANCELLED
            self._ended.set()


async def test_a_write_that_fails_leaves_the_endpoint_time_to_say_why() -> None:
    ended: asyncio.Future[grpc.StatusCode | None] = asyncio.get_running_loop().create_future()
    stream = EventStream(
        cast(Any, Channel(Refusing())),
        reader=MessageReader(),
        answered=lambda *_: None,
        ended=lambda stream, sent, unsent, status: ended.set_result(status),
    )
    stream.send(call(1))
    async with asyncio.timeout(5):
        assert await ended is grpc.StatusCode.UNAUTHENTICATED
    assert not stream.takes(call(2))
