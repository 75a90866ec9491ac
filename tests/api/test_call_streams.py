"""RunWorkflows: every item is answered as its call of the same name would be, whatever becomes of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support.registries import UNLIMITED
from support.running_api import Api, refusal
from support.scripted_engine import reply
from support.waiting import eventually

from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_api.workflows import call_streams
from waystation_api.workflows.backlog import Backlog
from waystation_api.workflows.call_streams import CallStreams
from waystation_api.workflows.calls import WorkflowCalls
from waystation_api.workflows.starts import Starter
from waystation_api.workflows.waiters import InstanceReader, Waiters
from waystation_core.background import Contact
from waystation_core.broker.in_process import InProcessBroker
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_core.rpc.items import joined
from waystation_domain.outcomes import Completion

Code = grpc.StatusCode


def item(number: int, **call: Any) -> pb.RunWorkflowsItem:
    return pb.RunWorkflowsItem(item_id=number, **call)


def start(number: int, name: str = "", **fields: Any) -> pb.RunWorkflowsItem:
    fields = {"workflow_type": "t", "workflow_instance_id": name, **fields}
    return item(number, start=pb.StartWorkflowRequest(**fields))


def run(number: int, name: str = "", **fields: Any) -> pb.RunWorkflowsItem:
    begin = pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name, **fields)
    return item(number, run=pb.RunWorkflowRequest(start=begin))


def wait(number: int, name: str, **fields: Any) -> pb.RunWorkflowsItem:
    return item(number, wait=pb.WaitWorkflowRequest(workflow_instance_id=name), **fields)


async def streams_of(api: Api) -> CallStreams:
    """The streams of one more server on the same store, without the connections that carry them."""
    broker = InProcessBroker()
    engine = api.store.engine
    starter = Starter(
        engine, Relay(engine, broker), Backlog(engine, 1_000), Contact(engine.probe), UNLIMITED
    )
    registries = Registries(api.store.registry, look_every=1.0)
    await registries.refresh()
    reader = InstanceReader(api.store.queries)
    return CallStreams(WorkflowCalls(starter, Waiters(reader, broker), registries), reader)


class Stream:
    """One stream as a client has it."""

    def __init__(self, api: Api) -> None:
        self.call: Any = api.workflows.RunWorkflows()
        self.results: dict[int, pb.RunWorkflowsResult] = {}
        self.closing = False

    async def send(self, *items: pb.RunWorkflowsItem, cancels: tuple[int, ...] = ()) -> None:
        await self.call.write(pb.RunWorkflowsRequest(items=items, cancels=cancels))

    async def read(self) -> bool:
        """One message; False at the end."""
        async with asyncio.timeout(20):
            message = await self.call.read()
        if message is grpc.aio.EOF:
            return False
        self.closing |= message.closing
        self.results |= {result.item_id: result for result in message.results}
        return True

    async def until(self, *numbers: int) -> list[pb.RunWorkflowsResult]:
        while not self.results.keys() >= set(numbers):
            assert await self.read(), f"the stream ended: {await self.call.details()}"
        return [self.results.pop(number) for number in numbers]

    async def end(self) -> Code:
        """Closes the sending side and reads to the end."""
        await self.call.done_writing()
        while await self.read():
            pass
        return await self.call.code()  # type: ignore[no-any-return]


@pytest.fixture
async def stream(api: Api) -> AsyncIterator[Stream]:
    opened = Stream(api)
    yield opened
    opened.call.cancel()


async def test_starts_runs_and_waits_are_answered_each_when_it_is_ready(
    api: Api, stream: Stream
) -> None:
    await stream.send(run(1, "r"), start(2, "s"), wait(3, "nobody"))
    started, unknown = await stream.until(2, 3)
    assert started.start.created
    assert started.start.context.workflow_instance_id == "s"
    assert (unknown.error.code, unknown.error.reason) == (5, "WORKFLOW_NOT_FOUND")
    assert unknown.error.metadata["workflow_instance_id"] == "nobody"
    await stream.send(wait(4, "s"))
    await api.engine.handle("s", "workflow.started", reply(end=Completion({"paid": 1})))
    await api.engine.handle("r", "workflow.started", reply(end=Completion({"paid": 2})))
    ran, waited = await stream.until(1, 4)
    assert ran.run.created
    assert ran.run.outcome == waited.wait.outcome == workflow_pb2.WAIT_OUTCOME_DONE
    assert (ran.run.context.output["paid"], waited.wait.context.output["paid"]) == (2, 1)
    assert await stream.end() is Code.OK


async def test_an_invalid_item_affects_no_other(stream: Stream) -> None:
    unknown = pb.StartWorkflowRequest(workflow_type="t")
    unknown.MergeFromString(b"\xf8\x3f\x01")
    bad = start(2)
    bad.start.data.update({"n": float("nan")})
    await stream.send(
        item(1, start=unknown),
        bad,
        start(3),
        item(4),
        item(5, run=pb.RunWorkflowRequest()),
        start(6, "x" * 201),
    )
    results = await stream.until(1, 2, 3, 4, 5, 6)
    reasons = [result.error.reason for result in results]
    assert reasons == [
        "NOT_YET_AVAILABLE",
        "INVALID_STRUCT",
        "",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "INVALID_ID",
    ]
    assert results[2].start.created
    assert results[1].error.metadata["path"] == "/n"


async def test_a_broken_stream_takes_nothing_back(api: Api, stream: Stream) -> None:
    await stream.send(run(1, request_id="r-1"))

    async def stored() -> int:
        return len((await api.workflows.ListWorkflows(pb.ListWorkflowsRequest())).workflows)

    await eventually(stored, until=lambda count: count == 1, what="the start")
    stream.call.cancel()
    again = Stream(api)
    await again.send(run(1, request_id="r-1"))
    [name] = [
        found.workflow_instance_id
        for found in (await api.workflows.ListWorkflows(pb.ListWorkflowsRequest())).workflows
    ]
    await api.engine.handle(name, "workflow.started", reply(end=Completion()))
    [result] = await again.until(1)
    assert (result.run.created, result.run.context.workflow_instance_id) == (False, name)
    assert await again.end() is Code.OK


async def test_an_item_ends_before_its_deadline_or_when_it_is_cancelled(
    api: Api, stream: Stream
) -> None:
    late = wait(3, "w")
    late.deadline.FromMilliseconds(400)
    await stream.send(start(1, "w"))
    await stream.until(1)
    await stream.send(run(2, "r"), late)
    [timed_out] = await stream.until(3)
    assert timed_out.wait.outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT
    await stream.send(cancels=(2, 77))
    [cancelled] = await stream.until(2)
    assert Code.CANCELLED.value[0] == cancelled.error.code
    # Its number is free again, and what it started is there.
    await stream.send(wait(2, "r"))
    await api.engine.handle("r", "workflow.started", reply(end=Completion()))
    [waited] = await stream.until(2)
    assert waited.wait.outcome == workflow_pb2.WAIT_OUTCOME_DONE


async def test_more_items_than_may_be_are_refused_for_now(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_streams, "MOST_ITEMS", 2)
    await stream.send(run(1), run(2), run(3))
    [refused] = await stream.until(3)
    assert (refused.error.reason, refused.error.code) == ("TOO_MANY_CALLS", 8)
    assert refused.error.retry_after.ToTimedelta().total_seconds() == 1
    await stream.send(cancels=(1,))
    await stream.until(1)
    await stream.send(start(3))
    [started] = await stream.until(3)
    assert started.start.created


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x0a\x7f", "INVALID_FIELD"),
        (joined([b"\x12\x00"]), "INVALID_FIELD"),
        (joined([b"\x08\x00"]), "INVALID_FIELD"),
        (joined([run(1).SerializeToString()] * 2), "INVALID_FIELD"),
        (b"\x18\x01", "NOT_YET_AVAILABLE"),
        (b"\x0a\x80\x80\x80\x04" + bytes(8 * 1024 * 1024), "PAYLOAD_TOO_LARGE"),
    ],
    ids=["cut off", "no number", "number 0", "a number twice", "unknown field", "too large"],
)
async def test_a_message_that_cannot_be_taken_apart_ends_the_stream(
    api: Api, message: bytes, reason: str
) -> None:
    call: Any = api.channel.stream_stream("/waystation.v1.WorkflowService/RunWorkflows")()
    await call.write(message)
    assert (await refusal(call.read())).reason == reason


async def test_a_server_that_stops_answers_what_it_has_and_asks_for_the_end(
    api: Api, stream: Stream
) -> None:
    await stream.send(run(1, "r"), start(2, "s"))
    await stream.until(2)
    stopping = asyncio.create_task(api.server.stop())
    [result] = await stream.until(1)
    assert result.run.outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT
    assert stream.closing
    # What is on the way still is answered too.
    await stream.send(start(3, "t"))
    [started] = await stream.until(3)
    assert started.start.created
    assert await stream.end() is Code.OK
    await stopping


async def test_of_what_a_client_does_not_read_little_is_kept(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results above the bound are made again when their turn comes."""
    monkeypatch.setattr(call_streams, "MOST_UNSENT_BYTES", 10_000)
    streams = await streams_of(api)
    names = [f"w-{number}" for number in range(20)]
    items = []
    for number, name in enumerate(names, start=1):
        begun = start(number, name)
        begun.start.data.update({"text": "x" * 4_000})
        items.append(begun.SerializeToString())
    reads, written = asyncio.Event(), []

    async def messages() -> AsyncIterator[bytes]:
        yield joined(items)
        await eventually(held, until=lambda items: not items, what="every result")
        reads.set()

    async def held() -> int:
        return streams.items

    async def write(message: bytes) -> None:
        await reads.wait()
        written.append(pb.RunWorkflowsResponse.FromString(message))

    read_again: list[str] = []
    read = streams.reader.read

    async def reading(name: str) -> Any:
        read_again.append(name)
        return await read(name)

    monkeypatch.setattr(streams.reader, "read", reading)
    await streams.serve(messages(), write)
    results = {one.item_id: one.start for message in written for one in message.results}
    assert [results[number].context.workflow_instance_id for number in range(1, 21)] == names
    assert all(one.created and one.context.data["text"] for one in results.values())
    assert len(read_again) >= 10


async def test_starts_that_are_not_stored_hold_up_what_comes_after_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flow control: the rest stays unread, and nothing is refused."""
    monkeypatch.setattr(call_streams, "MOST_STARTING", 2)
    go_on = asyncio.Event()
    store_start = api.store.engine.start

    async def held(batch: Any, **more: Any) -> Any:
        await go_on.wait()
        return await store_start(batch, **more)

    monkeypatch.setattr(api.store.engine, "start", held)
    streams = await streams_of(api)
    written: list[pb.RunWorkflowsResult] = []

    async def messages() -> AsyncIterator[bytes]:
        yield joined([start(number).SerializeToString() for number in range(1, 11)])

    async def write(message: bytes) -> None:
        written.extend(pb.RunWorkflowsResponse.FromString(message).results)

    async def items() -> int:
        return streams.items

    served = asyncio.create_task(streams.serve(messages(), write))
    # All of a message that may be begun is begun in one turn of the loop.
    begun = await eventually(items, what="items")
    go_on.set()
    await served
    assert begun == 2
    # Results come as they are ready, in any order.
    assert sorted(result.item_id for result in written if result.start.created) == [*range(1, 11)]


async def test_what_is_cancelled_before_it_has_begun_leaves_its_place(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_streams, "MOST_STARTING", 1)
    await stream.send(start(1), cancels=(1,))
    await stream.send(start(2))
    cancelled, started = await stream.until(1, 2)
    assert Code.CANCELLED.value[0] == cancelled.error.code
    assert started.start.created


async def test_an_old_stream_is_asked_to_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_streams, "OLD_SECONDS", 0.05)
    stream = Stream(api)
    await stream.send(run(1, "r"))
    while not stream.closing:
        assert await stream.read()
    await eventually(lambda: api.store.queries.instances(["r"]), what="the workflow to be there")
    await api.engine.handle("r", "workflow.started", reply(end=Completion()))
    [result] = await stream.until(1)
    assert result.run.outcome == workflow_pb2.WAIT_OUTCOME_DONE
    assert await stream.end() is Code.OK


async def test_nothing_more_is_read_while_results_pile_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a client that sends and does not read: what is refused takes memory, too."""
    monkeypatch.setattr(call_streams, "MOST_READY", 5)
    streams = await streams_of(api)
    reads, blocked = asyncio.Event(), asyncio.Event()
    written: list[pb.RunWorkflowsResult] = []
    asked: list[int] = []

    async def messages() -> AsyncIterator[bytes]:
        for number in range(1, 21):
            asked.append(number)
            # Refused at once: it has a field that is not known.
            yield joined([item(number).SerializeToString() + b"\xf8\x3f\x01"])

    async def write(message: bytes) -> None:
        blocked.set()
        await reads.wait()
        written.extend(pb.RunWorkflowsResponse.FromString(message).results)

    served = asyncio.create_task(streams.serve(messages(), write))
    await blocked.wait()

    # The reader goes on in the same turn of the loop, as far as it may.
    await asyncio.sleep(0)
    taken = len(asked)
    reads.set()
    await served
    assert len(written) == 20
    # Those of the message that is being written, as many as may wait, and the one that waits unread.
    assert taken <= 20 - 5


@pytest.mark.parametrize(("size", "count"), [(10, 1_000), (40_000, 20)], ids=["many", "large"])
async def test_a_message_of_many_or_large_items_gives_way_to_others(
    api: Api, monkeypatch: pytest.MonkeyPatch, size: int, count: int
) -> None:
    streams = await streams_of(api)
    turns = 0
    read_in: set[int] = set()
    read_request = streams.messages.read_request

    async def reads(*arguments: Any, **options: Any) -> Any:
        read_in.add(turns)
        return await read_request(*arguments, **options)

    monkeypatch.setattr(streams.messages, "read_request", reads)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def messages() -> AsyncIterator[bytes]:
        # Refused as soon as they are read: nothing else makes the stream wait.
        yield joined([wait(number, "x" * size).SerializeToString() for number in range(1, count)])

    async def write(message: bytes) -> None:
        pass

    beside = asyncio.create_task(others())
    await streams.serve(messages(), write)
    beside.cancel()
    assert len(read_in) >= 9
