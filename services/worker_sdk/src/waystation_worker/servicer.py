"""The gRPC face of the tasks: HandleEvent, and HandleEvents for many events over one stream."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import task_handler_service_pb2_grpc
from waystation_worker.failure_log import label
from waystation_worker.invocation import MAX_ANSWER_BYTES, CallRefused, Invoker
from waystation_worker.status_texts import short_enough

logger = logging.getLogger("waystation_worker")

_OWN_FAULT = "a fault of the handler service; see its log"


class TaskServicer(task_handler_service_pb2_grpc.TaskHandlerServiceServicer):
    """Serves the tasks of one service on one asyncio loop."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker
        self._streams: set[_Stream] = set()
        self._unary = 0
        self._last_call = float("-inf")

    async def HandleEvent(
        self,
        request: pb.HandleEventRequest,
        context: grpc.aio.ServicerContext[pb.HandleEventRequest, pb.HandleEventResponse],
    ) -> pb.HandleEventResponse:
        """Handles one event."""
        self._called()
        self._unary += 1
        try:
            return await self._invoker.call(request, context.time_remaining())
        except CallRefused as refused:
            return await context.abort(
                refused.code, short_enough(refused.message), details_of(refused)
            )
        except Exception:
            logger.exception("%s: a fault of waystation_worker", label(request))
            return await context.abort(grpc.StatusCode.INTERNAL, _OWN_FAULT)
        finally:
            self._unary -= 1

    async def HandleEvents(
        self,
        request_iterator: AsyncIterator[pb.HandleEventsRequest],
        context: grpc.aio.ServicerContext[pb.HandleEventsRequest, pb.HandleEventsResponse],
    ) -> AsyncIterator[pb.HandleEventsResponse]:
        """Handles events as they come and answers each when it is ready."""
        stream = _Stream(self._invoker, self._called)
        self._streams.add(stream)
        reader = asyncio.create_task(stream.read(request_iterator))
        try:
            while (message := await stream.next_message()) is not None:
                yield message
        finally:
            self._streams.discard(stream)
            reader.cancel()
            stream.abandon()

    @property
    def in_flight(self) -> int:
        """Calls that are not answered yet."""
        return self._unary + sum(stream.in_flight for stream in self._streams)

    async def drain(self, end: float, quiet: float) -> bool:
        """Waits until nothing is in flight and nothing came for `quiet` seconds, at most until `end`
        by the loop's clock; then ends the streams. Says whether everything was answered."""
        loop = asyncio.get_running_loop()
        while self.in_flight or loop.time() - self._last_call < quiet:
            if loop.time() >= end:
                break
            # A few looks at the end of a process; nothing else tells that nothing comes.
            await asyncio.sleep(0.02)
        left = self.in_flight
        for stream in self._streams:
            stream.close()
        return not left

    def _called(self) -> None:
        self._last_call = asyncio.get_running_loop().time()


class _Stream:
    """One HandleEvents call. Each item runs as a task of its own; what is ready at the same moment
    goes out in one message."""

    def __init__(self, invoker: Invoker, called: Any) -> None:
        self._invoker = invoker
        self._called = called
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._full: deque[pb.HandleEventsResponse] = deque()
        self._ready = pb.HandleEventsResponse()
        self._ready_bytes = 0
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def in_flight(self) -> int:
        """Items that are running."""
        return len(self._running)

    async def read(self, requests: AsyncIterator[pb.HandleEventsRequest]) -> None:
        """Starts items and cancels unwanted ones until the router ends the stream."""
        try:
            async for message in requests:
                if message.items:
                    self._called()
                    for item in message.items:
                        self._start(item)
                for cancel in message.cancels:
                    running = self._running.get((cancel.idempotency_key, cancel.attempt))
                    if running is not None:
                        running.cancel()
        finally:
            self.close()

    async def next_message(self) -> pb.HandleEventsResponse | None:
        """The results that are ready, as soon as there are any; None when no more will come."""
        while True:
            if self._full:
                return self._full.popleft()
            if self._ready_bytes:
                message, self._ready = self._ready, pb.HandleEventsResponse()
                self._ready_bytes = 0
                return message
            if self._ended and not self._running:
                return None
            self._wake.clear()
            await self._wake.wait()

    def close(self) -> None:
        """No more items are waited for; the stream ends when those running are answered."""
        self._ended = True
        self._wake.set()

    def abandon(self) -> None:
        """Cancels what runs: nobody gets the results."""
        for task in list(self._running.values()):
            task.cancel()

    def _start(self, item: pb.HandleEventRequest) -> None:
        key = (item.idempotency_key, item.attempt)
        if key in self._running:
            logger.warning("%s attempt %d is running already; sent again", *key)
            return
        task = asyncio.create_task(self._run(item))
        self._running[key] = task
        task.add_done_callback(lambda task: self._done(item, task))

    def _done(self, item: pb.HandleEventRequest, task: asyncio.Task[None]) -> None:
        del self._running[item.idempotency_key, item.attempt]
        if task.cancelled():
            # It is not wanted any more; that it is over tells the router that its name is free.
            self._refuse(item, CallRefused(grpc.StatusCode.CANCELLED, "the call was cancelled"))
        if self._ended:
            self._wake.set()

    async def _run(self, item: pb.HandleEventRequest) -> None:
        try:
            response = await self._invoker.call(item, None)
        except CallRefused as refused:
            self._refuse(item, refused)
        except Exception:
            logger.exception("%s: a fault of waystation_worker", label(item))
            self._refuse(item, CallRefused(grpc.StatusCode.INTERNAL, _OWN_FAULT))
        else:
            result = self._result(item, response.ByteSize())
            result.response.CopyFrom(response)

    def _refuse(self, item: pb.HandleEventRequest, refused: CallRefused) -> None:
        result = self._result(item, len(refused.message))
        number: int = refused.code.value[0]
        result.error.code = number
        result.error.message = refused.message
        result.error.reason = refused.reason
        if refused.retry_after is not None:
            result.error.retry_after.FromTimedelta(timedelta(seconds=refused.retry_after))

    def _result(self, item: pb.HandleEventRequest, size: int) -> pb.HandleEventsResult:
        """A place for a result of so many bytes in the message that goes out next."""
        size += len(item.idempotency_key) + 32
        if self._ready_bytes and self._ready_bytes + size > MAX_ANSWER_BYTES:
            self._full.append(self._ready)
            self._ready = pb.HandleEventsResponse()
            self._ready_bytes = 0
        self._ready_bytes += size
        self._wake.set()
        return self._ready.results.add(idempotency_key=item.idempotency_key, attempt=item.attempt)


class BlockingTaskServicer(task_handler_service_pb2_grpc.TaskHandlerServiceServicer):
    """HandleEvent for a synchronous gRPC server, or for tests without any: plain functions run in
    the calling thread, `async` ones on a loop of their own."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    def HandleEvent(
        self, request: pb.HandleEventRequest, context: grpc.ServicerContext
    ) -> pb.HandleEventResponse:
        """Handles one event."""
        try:
            return self._invoker.call_blocking(request)
        except CallRefused as refused:
            context.abort(refused.code, short_enough(refused.message))
            raise


def details_of(refused: CallRefused) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that tells a refusal's reason and when to come again."""
    if not refused.reason:
        return ()
    number: int = refused.code.value[0]
    status = status_pb2.Status(code=number, message=short_enough(refused.message))
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=refused.reason, domain="waystation")
    ]
    if refused.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=refused.retry_after))
        details.append(retry)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)
