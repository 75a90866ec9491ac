"""Starts, runs and waits over one stream: what a client sends, and what becomes of calls when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from support.waiting import eventually
from worker_sdk.fakes import FakeWaystation, Refusal, serving
from worker_sdk.test_client import filled

from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import Client, NewWorkflow, Unavailable, WorkflowAlreadyExists, connection
from waystation_worker.call_stream import MAX_MESSAGE_BYTES
from waystation_worker.retry_window import RetryWindow


@pytest.fixture
async def client(waystation: FakeWaystation) -> Any:
    async with Client(waystation.address, retry_for=5) as client:
        yield client


async def until(condition: Callable[[], Any]) -> None:
    async def look() -> Any:
        return condition()

    await eventually(look, what="the call")


async def test_calls_of_one_moment_are_one_message(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.usual["StartWorkflow"] = lambda request: filled(
        pb.StartWorkflowResponse(created=request.workflow_instance_id != "n-7")
    )
    await client.start("t")
    started = await asyncio.gather(
        *(client.start("t", workflow_instance_id=f"n-{number}") for number in range(100))
    )
    # Each has its own answer.
    assert [number for number, one in enumerate(started) if not one.created] == [7]
    assert [len(message.items) for message in waystation.messages] == [1, 100]


async def test_a_message_ends_where_it_would_be_too_large(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.usual["StartWorkflow"] = lambda _: filled(pb.StartWorkflowResponse())
    await asyncio.gather(*(client.start("t", {"text": "x" * 300_000}) for _ in range(10)))
    assert sum(len(message.items) for message in waystation.messages) == 10
    assert max(message.ByteSize() for message in waystation.messages) <= MAX_MESSAGE_BYTES + 1_000


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN"])
async def test_a_broken_stream_loses_no_call(
    waystation: FakeWaystation, client: Client, code: str
) -> None:
    """What had no answer is sent again as it was; what had one is not."""
    waystation.usual["RunWorkflow"] = lambda _: filled(pb.RunWorkflowResponse(), outcome=1)
    waystation.next("RunWorkflow", filled(pb.RunWorkflowResponse(), outcome=1), asyncio.Event())
    await client.run("first")
    second = asyncio.create_task(client.run("second"))
    await until(lambda: len(waystation.requests("RunWorkflow")) == 2)
    waystation.hang_up_code = grpc.StatusCode[code]
    waystation.hang_up.set()
    assert (await second).id == "claim-7"
    first, *later = waystation.requests("RunWorkflow")
    assert first.start.workflow_type == "first"
    assert len(later) == 2
    assert later[0] == later[1]
    assert later[0].start.request_id


async def test_a_cancelled_caller_cancels_only_its_own_call(
    waystation: FakeWaystation, client: Client
) -> None:
    kept, never = asyncio.Event(), asyncio.Event()
    waystation.next("WaitWorkflow", never, kept)
    waystation.usual["WaitWorkflow"] = lambda _: filled(pb.WaitWorkflowResponse(), outcome=1)
    leaves = asyncio.create_task(client.wait("a"))
    await until(lambda: len(waystation.calls) == 1)
    stays = asyncio.create_task(client.wait("b"))
    await until(lambda: len(waystation.calls) == 2)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    await until(lambda: ("cancel", 1) in waystation.calls)
    kept.set()
    assert (await stays).id == "claim-7"


async def test_an_answer_that_does_not_come_is_given_up_in_time(
    waystation: FakeWaystation,
) -> None:
    waystation.next("StartWorkflow", asyncio.Event())
    async with Client(waystation.address, retry_for=5) as client:
        with pytest.raises(Unavailable) as caught:
            await client._connection.call_streamed(pb.StartWorkflowRequest(workflow_type="t"), 0.05)
    assert caught.value.code == "DEADLINE_EXCEEDED"


async def test_a_start_without_an_answer_in_time_is_asked_again(
    waystation: FakeWaystation, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with too much to do may have started it: the same request starts nothing twice."""
    monkeypatch.setattr("waystation_worker.client._START_SECONDS", 0.05)
    waystation.usual["StartWorkflow"] = lambda _: filled(pb.StartWorkflowResponse())
    waystation.next("StartWorkflow", asyncio.Event())
    results = [result async for result in client.start_many([NewWorkflow(workflow_type="t")])]
    assert [result.error for result in results] == [None]
    first, again, *_ = waystation.requests("StartWorkflow")
    assert first == again
    assert first.request_id


async def test_a_stream_that_is_to_end_is_followed_by_another_one(
    waystation: FakeWaystation, client: Client
) -> None:
    """A server that stops says so: what it has is answered, what comes next goes elsewhere."""
    held = asyncio.Event()
    waystation.next("WaitWorkflow", held)
    waystation.usual["WaitWorkflow"] = lambda _: filled(pb.WaitWorkflowResponse(), outcome=1)
    first = asyncio.create_task(client.wait("a"))
    await until(lambda: waystation.calls)
    await waystation.say_closing()
    await until(lambda: waystation.half_closed)
    assert (await client.wait("b")).id == "claim-7"
    assert waystation.opened == 2
    held.set()
    assert (await first).id == "claim-7"


async def test_closing_the_client_cancels_what_is_on_the_way(waystation: FakeWaystation) -> None:
    waystation.next("WaitWorkflow", asyncio.Event())
    client = Client(waystation.address)
    call = asyncio.create_task(client.wait("a"))
    await until(lambda: waystation.calls)
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_server_without_the_stream_is_asked_only_now_and_then() -> None:
    async with (
        serving(FakeWaystation(streams=False)) as waystation,
        Client(waystation.address) as client,
    ):
        waystation.usual["StartWorkflow"] = lambda _: filled(pb.StartWorkflowResponse())
        for _ in range(3):
            await client.start("t")
        assert len(waystation.requests("StartWorkflow")) == 3
        assert waystation.opened == 1


async def test_a_large_request_goes_alone(
    waystation: FakeWaystation, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server refuses it for its size, and would end the stream of all others."""
    monkeypatch.setattr("waystation_worker.call_stream.MOST_ITEM_BYTES", 1_000)
    waystation.usual["StartWorkflow"] = lambda _: filled(pb.StartWorkflowResponse())
    await client.start("t", {"text": "x" * 2_000})
    assert waystation.opened == 0
    await client.start("t")
    assert waystation.opened == 1


async def test_the_time_for_tries_begins_with_the_first_failure(
    waystation: FakeWaystation, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait may have lasted much longer when its server dies."""
    begun: list[int] = []

    def patience(seconds: float) -> RetryWindow:
        begun.append(len(waystation.calls))
        return RetryWindow(seconds)

    monkeypatch.setattr(connection, "RetryWindow", patience)
    waystation.next("WaitWorkflow", Refusal("UNAVAILABLE", "STORE_UNAVAILABLE"))
    waystation.usual["WaitWorkflow"] = lambda _: filled(pb.WaitWorkflowResponse(), outcome=1)
    await client.wait("a")
    assert begun == [1]


async def test_many_are_started_in_order_and_one_that_is_refused_stops_no_other(
    waystation: FakeWaystation, client: Client
) -> None:
    def answer(request: Any) -> Any:
        if request.workflow_instance_id == "n-3":
            return Refusal("ALREADY_EXISTS", "WORKFLOW_ALREADY_EXISTS")
        response = filled(pb.StartWorkflowResponse(created=True))
        response.context.workflow_instance_id = request.workflow_instance_id
        return response

    waystation.usual["StartWorkflow"] = answer
    read: list[int] = []

    def workflows() -> Iterator[NewWorkflow]:
        for number in range(20):
            read.append(number)
            data = {"bad": object()} if number == 5 else {"n": number}
            yield NewWorkflow(workflow_type="t", workflow_instance_id=f"n-{number}", data=data)

    results = []
    async for result in client.start_many(workflows(), at_once=4):
        results.append(result)
        # No faster than they are answered.
        assert len(read) <= len(results) + 4
    assert [result.new.workflow_instance_id for result in results] == [f"n-{n}" for n in range(20)]
    failed = {n: result.error for n, result in enumerate(results) if result.workflow is None}
    assert failed.keys() == {3, 5}
    assert isinstance(failed[3], WorkflowAlreadyExists)
    assert isinstance(failed[5], TypeError)
    assert all(
        result.workflow.id == f"n-{n}" for n, result in enumerate(results) if result.workflow
    )
