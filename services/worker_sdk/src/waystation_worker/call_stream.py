"""Starts, runs and waits of one client over one stream: many in a message, both ways.

A unary call costs client and server some 300 microseconds each, however small it is; a message of a stream
costs the same and has as many items as there are at that moment. So a client sends all of them this way,
automatically.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import grpc

from waystation.v1 import result_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.errors import from_rpc_error

Request: TypeAlias = "pb.StartWorkflowRequest | pb.RunWorkflowRequest | pb.WaitWorkflowRequest"

MOST_ITEMS = 5_000
"""Items of one stream without a result: half of what a server accepts. Then another stream is opened."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""Bytes of the items in one message, unless a single one is larger."""
_ITEM_BYTES = 40
"""The largest overhead of an item besides its request: number, deadline, lengths."""
MOST_ITEM_BYTES = 4 * 1024 * 1024
"""Larger requests are unary calls."""
ASK_AGAIN_SECONDS = 60.0
"""Seconds after which a server without this stream is tried again: it may have been upgraded."""

_KINDS: dict[type[Any], str] = {
    pb.StartWorkflowRequest: "start",
    pb.RunWorkflowRequest: "run",
    pb.WaitWorkflowRequest: "wait",
}
_PERHAPS_CUT = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallFailed(Exception):
    """A call that was refused or not answered, with the status that its unary form would have."""

    def __init__(self, error: result_pb2.CallStatus) -> None:
        super().__init__(error.message)
        self.code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
        self.message = error.message
        self.reason = error.reason
        self.metadata = dict(error.metadata)


class CallStreams:
    """The streams of one client: one, unless it is full or about to end."""

    def __init__(self, open_stream: Callable[[], Any]) -> None:
        """`open_stream` makes a RunWorkflows call."""
        self._open_stream = open_stream
        self._current: _CallStream | None = None
        self._all: set[_CallStream] = set()
        self._not_before = 0.0

    def takes(self, size_bytes: int) -> bool:
        """Whether the server probably serves this stream, and a request of this size fits: a request that the
        server refuses for its size would end the stream for all others."""
        return size_bytes <= MOST_ITEM_BYTES and time.monotonic() >= self._not_before

    def not_there(self) -> None:
        """The server does not serve it."""
        self._not_before = time.monotonic() + ASK_AGAIN_SECONDS

    async def call(self, request: Request, size_bytes: int, seconds: float) -> Any:
        """The response to a request of this size. Raises CallFailed; grpc.aio.AioRpcError if the stream
        broke: then the same request may be sent again."""
        stream = self._current
        if stream is None or not stream.takes_more:
            stream = next((one for one in self._all if one.takes_more), None)
            if stream is None:
                stream = _CallStream(self._open_stream(), self._ended)
                self._all.add(stream)
            self._current = stream
        return await stream.call(request, size_bytes, seconds)

    def retire(self) -> None:
        """Later calls go over new streams; what is under way is answered on the old ones."""
        for stream in self._all:
            stream.retire()
        self._current = None

    def close(self) -> None:
        """Cancels every call."""
        for stream in list(self._all):
            stream.close()

    def _ended(self, stream: _CallStream) -> None:
        self._all.discard(stream)
        if self._current is stream:
            self._current = None


@dataclass(slots=True)
class _Call:
    request: Request
    size_bytes: int
    seconds: float
    future: asyncio.Future[Any]

    @property
    def kind(self) -> str:
        return _KINDS[type(self.request)]


class _CallStream:
    """One stream. Calls of one turn of the loop go out in one message; while a message is being
    written the next ones gather."""

    def __init__(self, rpc: Any, ended: Callable[[_CallStream], None]) -> None:
        self._rpc = rpc
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._unsent: deque[int] = deque()
        self._cancels: list[int] = []
        self._retiring = False
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name="results of a call stream")
        self._writer = asyncio.create_task(self._write(), name="items of a call stream")

    @property
    def takes_more(self) -> bool:
        return not self._retiring and len(self._calls) < MOST_ITEMS

    async def call(self, request: Request, size_bytes: int, seconds: float) -> Any:
        item_id = next(self._ids)
        call = _Call(request, size_bytes, seconds, self._loop.create_future())
        self._calls[item_id] = call
        self._unsent.append(item_id)
        self._news.set()
        over = self._loop.call_later(seconds, self._expire, item_id)
        try:
            return await call.future
        finally:
            over.cancel()
            if self._calls.pop(item_id, None) is not None:
                # The caller was cancelled.
                self._cancels.append(item_id)
                self._news.set()

    def retire(self) -> None:
        """Takes no more calls, and ends when those on it are answered."""
        self._retiring = True
        self._news.set()

    def close(self) -> None:
        """Cancels every call on it."""
        for call in self._take_all():
            call.future.cancel()
        self._end()

    def _take_all(self) -> list[_Call]:
        calls = list(self._calls.values())
        self._calls.clear()
        return calls

    def _end(self) -> None:
        self._retiring = True
        self._rpc.cancel()
        self._writer.cancel()
        self._ended(self)

    def _expire(self, item_id: int) -> None:
        call = self._calls.pop(item_id, None)
        if call is not None and not call.future.done():
            late = result_pb2.CallStatus(
                code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="no answer in time"
            )
            call.future.set_exception(CallFailed(late))
            self._cancels.append(item_id)
            self._news.set()

    async def _write(self) -> None:
        try:
            while True:
                if self._unsent or self._cancels:
                    await self._rpc.write(self._message())
                elif self._retiring:
                    await self._rpc.done_writing()
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            # It is over: the reader reports how.
            self._rpc.cancel()

    def _message(self) -> pb.RunWorkflowsRequest:
        message = pb.RunWorkflowsRequest()
        size = 0
        while self._unsent:
            item_id = self._unsent[0]
            call = self._calls.get(item_id)
            if call is not None:
                size += call.size_bytes + _ITEM_BYTES
                if message.items and size > MAX_MESSAGE_BYTES:
                    break
                item = message.items.add(item_id=item_id, deadline=timedelta(seconds=call.seconds))
                getattr(item, call.kind).CopyFrom(call.request)
            self._unsent.popleft()
        message.cancels.extend(self._cancels)
        self._cancels.clear()
        return message

    async def _read(self) -> None:
        broken: BaseException | None = None
        try:
            while (message := await self._rpc.read()) is not grpc.aio.EOF:
                for result in message.results:
                    self._take(result)
                if message.closing:
                    self._retiring = True
                    self._news.set()
        except grpc.aio.AioRpcError as error:
            # The status of a connection that is lost in the middle of a stream depends on where it broke.
            if error.code() not in _PERHAPS_CUT or from_rpc_error(error).reason:
                broken = error
        except asyncio.CancelledError:
            for call in self._take_all():
                call.future.cancel()
            raise
        finally:
            self._end()
            for call in self._take_all():
                if not call.future.done():
                    call.future.set_exception(broken or CallFailed(_CUT))

    def _take(self, result: pb.RunWorkflowsResult) -> None:
        call = self._calls.pop(result.item_id, None)
        if call is None or call.future.done():
            return
        if result.WhichOneof("result") == call.kind:
            # A message of its own, so that a kept result does not keep the others.
            answer = getattr(result, call.kind)
            own = type(answer)()
            own.CopyFrom(answer)
            call.future.set_result(own)
        else:
            call.future.set_exception(CallFailed(result.error))


_CUT = result_pb2.CallStatus(
    code=grpc.StatusCode.UNAVAILABLE.value[0], message="the stream ended before the answer"
)
