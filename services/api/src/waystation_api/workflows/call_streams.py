"""RunWorkflows: many starts, runs and waits over one stream.

Each item has a task of its own, so that none waits for another; results that are ready at the same moment are
sent in one message.

A stream is bounded both ways. At most `MOST_STARTING` starts that are not stored yet are read from it: the
rest waits unread, and finally in the client. At most `MOST_UNSENT_BYTES` of results are kept for a client
that does not read: later results are kept without the instance, which is read again when they are sent.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from grpc import StatusCode

from waystation.v1 import result_pb2, workflow_pb2, workflow_service_pb2
from waystation_api.requests import Place
from waystation_api.workflows.calls import WorkflowCalls
from waystation_api.workflows.waiters import InstanceReader
from waystation_conversion import context_to_proto, seconds_from_proto
from waystation_core.background import step
from waystation_core.identity.principal import caller, namespace_meant, namespace_of
from waystation_core.rpc.errors import known_error, write_error
from waystation_core.rpc.items import MAX_MESSAGE_BYTES, fields, joined, numbers
from waystation_core.rpc.message_reader import SMALL_BYTES, MessageReader
from waystation_core.rpc.server import MAX_CALLS, MAX_RECEIVED_BYTES
from waystation_domain import units
from waystation_domain.errors import (
    InvalidField,
    NotYetAvailable,
    PayloadTooLarge,
    TooManyCalls,
    WaystationError,
)
from waystation_domain.limits import MAX_DELAY_SECONDS

_pb = workflow_service_pb2

METHOD = "RunWorkflows"
MOST_ITEMS = 10_000
"""Items without a result, of one stream."""
MOST_STARTING = 500
"""Starts of one stream that are not stored yet."""
MOST_STARTING_BYTES = 4 * 1024 * 1024
MOST_READY = 10_000
"""Results of one stream that are not sent yet: above it no more items are read."""
MOST_UNSENT_BYTES = 4 * 1024 * 1024
OLD_SECONDS = 240.0
"""Seconds after which a stream is asked to end, before its connection is closed for its age."""

_PAUSE_AFTER = 100
"""Items or cancels after which other streams have their turn; likewise for `SMALL_BYTES` of items, which may
take 11 ms to parse."""

_ITEMS, _CANCELS = 1, 2
"""Fields of RunWorkflowsRequest."""
_METHODS = {
    call: f"/waystation.v1.WorkflowService/{call.title()}Workflow"
    for call in ("start", "run", "wait")
}
"""The unary methods that an item stands for: who may call them may send it."""
_CLOSING = _pb.RunWorkflowsResponse(closing=True).SerializeToString()

Write = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class _Item:
    """One item without a result."""

    message: _pb.RunWorkflowsItem
    starting: bool
    """Whether it is a start that is not stored yet."""
    size_bytes: int
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Ready:
    """A result that is not sent yet."""

    bytes: bytes
    again: _pb.RunWorkflowsResult | None = None
    """The result without its instance, which is read when it is sent."""
    place: Place = ("", "")
    """Of the instance."""


class CallStreams:
    """All streams of this process."""

    def __init__(self, calls: WorkflowCalls, reader: InstanceReader) -> None:
        self.calls = calls
        self.reader = reader
        self.messages = MessageReader()
        self.items = 0
        """Items without a result, of all streams."""
        self._open: set[_CallStream] = set()
        self._closing = False
        self._count = 0

    async def serve(self, messages: AsyncIterator[bytes], write: Write) -> None:
        """Answers the items of one stream until the client has closed its side and has every result. Raises
        InvalidField, PayloadTooLarge, NotYetAvailable for an invalid message."""
        self._count += 1
        stream = _CallStream(self, f"stream-{self._count}")
        self._open.add(stream)
        if self._closing:
            stream.ask_to_close()
        old = asyncio.get_running_loop().call_later(
            OLD_SECONDS * random.uniform(0.8, 1.0),  # noqa: S311 - jitter
            stream.ask_to_close,
        )
        try:
            await stream.serve(messages, write)
        finally:
            old.cancel()
            self._open.discard(stream)

    def close(self) -> None:
        """Asks the clients of all streams to go to another server. What they have sent is still answered."""
        self._closing = True
        for stream in self._open:
            stream.ask_to_close()


class _CallStream:
    def __init__(self, streams: CallStreams, name: str) -> None:
        self._streams = streams
        self._name = name
        self._items: dict[int, _Item] = {}
        self._starting = 0
        self._starting_bytes = 0
        self._work = 0
        """Work done since others had their turn."""
        self._room = asyncio.Event()
        """Set when something was stored or sent."""
        self._ready: deque[_Ready] = deque()
        self._ready_bytes = 0
        self._news = asyncio.Event()
        self._said_closing = False
        self._must_say_closing = False

    def ask_to_close(self) -> None:
        """Asks the client to send nothing more on this stream."""
        self._must_say_closing = not self._said_closing
        self._news.set()

    async def serve(self, messages: AsyncIterator[bytes], write: Write) -> None:
        reader = step(self._read(messages))
        reader.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                self._news.clear()
                if self._must_say_closing:
                    self._must_say_closing, self._said_closing = False, True
                    await write(_CLOSING)
                elif self._ready:
                    await write(await self._message())
                elif reader.done() and (not self._items or reader.exception()):
                    break
                else:
                    await self._news.wait()
            reader.result()
        finally:
            reader.cancel()
            # Nobody gets the results. What was started continues.
            for item in list(self._items.values()):
                _cancel(item)

    # --- what comes ------------------------------------------------------------------------

    async def _read(self, messages: AsyncIterator[bytes]) -> None:
        async for data in messages:
            if len(data) > MAX_RECEIVED_BYTES:
                raise PayloadTooLarge(
                    f"A message takes {units.size(len(data))}; the limit is {units.size(MAX_RECEIVED_BYTES)}. Send its "
                    "items in several messages.",
                    field="items",
                    limit_bytes=str(MAX_RECEIVED_BYTES),
                    bytes=str(len(data)),
                )
            try:
                await self._take_apart(data)
            except DecodeError:
                raise InvalidField(
                    "A message of the stream is not a valid RunWorkflowsRequest. Generate the client code again "
                    "from the contract.",
                    field="items",
                ) from None

    async def _take_apart(self, data: bytes) -> None:
        for number, value in fields(data):
            if number == _ITEMS and isinstance(value, bytes):
                await self._give_way(1 + len(value) * _PAUSE_AFTER // SMALL_BYTES)
                while self._is_full:
                    self._room.clear()
                    await self._room.wait()
                await self._begin(value)
            elif number == _CANCELS:
                for item_id in numbers(value):
                    await self._give_way(1)
                    if (item := self._items.get(item_id)) is not None:
                        _cancel(item)
            else:
                raise NotYetAvailable(f"RunWorkflowsRequest.{number}")

    async def _give_way(self, work: int) -> None:
        """Lets other streams have their turn after so much work."""
        self._work += work
        if self._work >= _PAUSE_AFTER:
            self._work = 0
            await asyncio.sleep(0)

    @property
    def _is_full(self) -> bool:
        return (
            self._starting >= MOST_STARTING
            or self._starting_bytes >= MOST_STARTING_BYTES
            or len(self._ready) >= MOST_READY
        )

    async def _begin(self, data: bytes) -> None:
        """Starts to process one item. Raises DecodeError if it has no number."""
        try:
            item = await self._streams.messages.read_request(
                data, _pb.RunWorkflowsItem, strict=True
            )
        except (DecodeError, WaystationError) as error:
            item_id = _id_in(data)
            self._require_free(item_id)
            if isinstance(error, DecodeError):
                error = InvalidField(
                    "The item cannot be read. Generate the client code again from the contract.",
                    field="items",
                )
            self._refuse(item_id, error)
            return
        item_id = item.item_id
        self._require_free(item_id)
        if len(self._items) >= MOST_ITEMS or self._streams.items >= MAX_CALLS:
            limit = MOST_ITEMS if len(self._items) >= MOST_ITEMS else MAX_CALLS
            self._refuse(
                item_id,
                TooManyCalls(
                    f"{limit} items have no result yet; send this one again in a moment, or to "
                    "another server.",
                    limit=str(limit),
                ),
            )
            return
        held = _Item(
            item, starting=item.WhichOneof("call") in ("start", "run"), size_bytes=len(data)
        )
        if held.starting:
            self._starting += 1
            self._starting_bytes += held.size_bytes
        self._streams.items += 1
        self._items[item_id] = held
        held.task = step(self._carry_out(held))
        held.task.add_done_callback(lambda task: self._over(held, task))

    # --- one item --------------------------------------------------------------------------

    async def _carry_out(self, held: _Item) -> None:
        item = held.message
        result = _pb.RunWorkflowsResult(item_id=item.item_id)

        async def stored(workflow_instance_id: str, created: bool) -> None:
            self._is_stored(held)

        try:
            remaining = None
            if item.HasField("deadline"):
                remaining = seconds_from_proto(item.deadline, "deadline", most=MAX_DELAY_SECONDS)
            async with asyncio.timeout(remaining):
                call = item.WhichOneof("call")
                if call is not None:
                    meant = namespace_meant(namespace_of(getattr(item, call)) or "")
                    caller().require(_METHODS[call], meant)
                if call == "run":
                    await self._streams.calls.run(
                        item.run, result.run, remaining=remaining, stored=stored, line=self._name
                    )
                elif call == "start":
                    await self._streams.calls.start(item.start, result.start, line=self._name)
                elif call == "wait":
                    await self._streams.calls.wait(item.wait, result.wait, remaining=remaining)
                else:
                    raise InvalidField("call is missing; set the call of the item.", field="call")
        except TimeoutError:
            _fail(
                result.error,
                StatusCode.DEADLINE_EXCEEDED,
                "The item's deadline has passed. A start may have been stored: send the same request again.",
            )
        except Exception as error:
            write_error(known_error(error, METHOD), result.error)
        self._is_ready(result)

    def _is_stored(self, held: _Item) -> None:
        if held.starting:
            held.starting = False
            self._starting -= 1
            self._starting_bytes -= held.size_bytes
            self._room.set()

    def _over(self, held: _Item, task: asyncio.Task[None]) -> None:
        self._is_stored(held)
        del self._items[held.message.item_id]
        self._streams.items -= 1
        if task.cancelled():
            result = _pb.RunWorkflowsResult(item_id=held.message.item_id)
            _fail(result.error, StatusCode.CANCELLED, "The item was cancelled.")
            self._is_ready(result)
        elif isinstance(error := task.exception(), Exception):
            self._refuse(held.message.item_id, known_error(error, METHOD))
        self._news.set()

    def _require_free(self, item_id: int) -> None:
        """Raises InvalidField for a number that no item may have now."""
        if not item_id or item_id in self._items:
            raise InvalidField(
                f"An item has the number {item_id}, which must be above 0 and not in use by an item "
                "without a result. Count up.",
                field="item_id",
            )

    def _refuse(self, item_id: int, error: WaystationError) -> None:
        result = _pb.RunWorkflowsResult(item_id=item_id)
        write_error(error, result.error)
        self._is_ready(result)

    # --- what goes -------------------------------------------------------------------------

    def _is_ready(self, result: _pb.RunWorkflowsResult) -> None:
        ready = _Ready(b"")
        context = _context_of(result)
        if context is not None and self._ready_bytes > MOST_UNSENT_BYTES:
            ready.place = context.namespace, context.workflow_instance_id
            context.Clear()
            # A new message: a cleared one keeps the memory of its contents.
            ready.again = _pb.RunWorkflowsResult()
            ready.again.CopyFrom(result)
        else:
            ready.bytes = result.SerializeToString()
            self._ready_bytes += len(ready.bytes)
        self._ready.append(ready)
        self._news.set()

    async def _message(self) -> bytes:
        """The next message. There must be a result."""
        first = self._ready[0]
        if first.again is not None:
            first.bytes = await self._read_again(first.again, first.place)
            first.again = None
            self._ready_bytes += len(first.bytes)
        items: list[bytes] = []
        size = 0
        while self._ready and self._ready[0].again is None:
            size += len(self._ready[0].bytes)
            if items and size > MAX_MESSAGE_BYTES:
                break
            items.append(self._ready.popleft().bytes)
            self._ready_bytes -= len(items[-1])
        self._room.set()
        return joined(items)

    async def _read_again(self, result: _pb.RunWorkflowsResult, place: Place) -> bytes:
        context = _context_of(result)
        assert context is not None
        try:
            instance = await self._streams.reader.read(place)
        except Exception as error:
            write_error(known_error(error, METHOD), result.error)
        else:
            context_to_proto(instance, into=context)
        return result.SerializeToString()


def _cancel(item: _Item) -> None:
    if item.task is not None:
        item.task.cancel()


def _context_of(result: _pb.RunWorkflowsResult) -> workflow_pb2.WorkflowContext | None:
    kind = result.WhichOneof("result")
    if kind == "run":
        return result.run.context
    if kind == "start":
        return result.start.context
    return result.wait.context if kind == "wait" else None


def _id_in(data: bytes) -> int:
    """The number of an item that cannot be read otherwise. Raises DecodeError."""
    for number, value in fields(data):
        if number == 1 and isinstance(value, int) and 0 < value < 1 << 32:
            return value
    raise DecodeError("an item without a number")


def _fail(into: result_pb2.CallStatus, code: StatusCode, message: str) -> None:
    number: int = code.value[0]
    into.code = number
    into.message = message
