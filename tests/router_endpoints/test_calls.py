"""Every outcome of a call, over the stream and one by one, against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from router_endpoints.handlers import Handler, registration, request, serving, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import task_handler_service_pb2_grpc as pb_grpc
from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_router.endpoints import CallCut, Cancelled, EndpointDirectory

Start = Callable[[], Awaitable[tuple[asyncio.subprocess.Process, int]]]

PERMANENT = [
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "DATA_LOSS",
]
RETRIED = [
    "UNKNOWN",
    "INTERNAL",
    "ABORTED",
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
]
TASKS = ["echo", "wait", "die", "big", "huge", "nothing", "UNIMPLEMENTED", *PERMANENT, *RETRIED]

both_ways = pytest.mark.parametrize("batching", [False, True], ids=["unary", "stream"])


def all_tasks(port: int, *, batching: bool) -> Any:
    return registration(port, *(task(name, batching=batching) for name in TASKS))


@both_ways
async def test_an_answer_comes_back(pool: EndpointDirectory, batching: bool) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=batching)])
        outcome = await pool.call("claims", request("echo"), 5)
        assert isinstance(outcome, Answered)
        assert outcome.response.result.events[0].event_type == "e1:echo"
        assert outcome.endpoint.port == port
        assert 0 < outcome.duration < 5
        assert handler.calls == [request("echo")]
        assert handler.streams == int(batching)
        assert pool.in_flight == 0


@both_ways
@pytest.mark.parametrize("code", PERMANENT + RETRIED)
async def test_every_status_is_a_failed_attempt_of_its_class(
    pool: EndpointDirectory, batching: bool, code: str
) -> None:
    async with serving(Handler()) as port:
        pool.update([all_tasks(port, batching=batching)])
        outcome = await pool.call("claims", request(code), 5)
        assert isinstance(outcome, Failed)
        assert outcome.error.code == code
        assert outcome.error.message == "said by the handler"
        assert outcome.error.permanent is (code in PERMANENT)


@both_ways
async def test_unimplemented_is_no_attempt_and_another_endpoint_is_asked(
    pool: EndpointDirectory, batching: bool
) -> None:
    class Hosts(Handler):
        """Hosts what the other one only announces."""

        async def HandleEvent(self, request: pb.HandleEventRequest, context: Any) -> Any:
            return await self.answer(request)

    older, newer = Handler(), Hosts()
    async with serving(older) as one, serving(newer) as other:
        alone = registration(one, task("UNIMPLEMENTED", batching=batching))
        pool.update([alone])
        outcome = await pool.call("claims", request("UNIMPLEMENTED"), 5)
        assert isinstance(outcome, NotSent)
        assert "returned UNIMPLEMENTED for UNIMPLEMENTED" in outcome.reason
        pool.update([alone, registration(other, task("UNIMPLEMENTED", batching=False))])
        for number in range(4):
            outcome = await pool.call("claims", request("UNIMPLEMENTED", str(number)), 5)
            assert isinstance(outcome, Answered)
        assert len(older.calls) == 1


async def test_a_request_above_what_an_endpoint_receives_is_named_and_a_raised_limit_helps(
    pool: EndpointDirectory,
) -> None:
    large = request("echo")
    large.event.payload.update({"text": "x" * 20_000})
    async with serving(Handler(), receives=10_000) as port:
        pool.update([all_tasks(port, batching=False)])
        outcome = await pool.call("claims", large, 5)
        assert isinstance(outcome, Failed)
        assert (outcome.error.code, outcome.error.permanent) == ("RESOURCE_EXHAUSTED", False)
        assert f"({large.ByteSize()} vs. 10000)" in outcome.error.message
        assert "receive limit of the endpoint's gRPC server" in outcome.error.message
    async with serving(Handler(), receives=30_000) as port:
        pool.update([all_tasks(port, batching=False)])
        assert isinstance(await pool.call("claims", large, 5), Answered)


class _Full(Handler):
    """Begins nothing until it is told to, and asks to be left alone for so long."""

    def __init__(self, code: grpc.StatusCode, seconds: float) -> None:
        super().__init__()
        self.full = True
        self.code = code
        self.pause = Duration(nanos=int(seconds * 1e9))

    async def HandleEvent(self, request: pb.HandleEventRequest, context: Any) -> Any:
        if not self.full:
            return await self.answer(request)
        self.calls.append(request)
        status = status_pb2.Status(code=self.code.value[0], message="no thread")
        for detail in (
            error_details_pb2.ErrorInfo(reason="NOT_BEGUN", domain="waystation"),
            error_details_pb2.RetryInfo(retry_delay=self.pause),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        return await context.abort(self.code, "no thread", details)

    async def HandleEvents(self, requests: Any, context: Any) -> None:
        async for message in requests:
            for item in message.items:
                result = pb.HandleEventsResult(
                    idempotency_key=item.idempotency_key, attempt=item.attempt
                )
                if self.full:
                    self.calls.append(item)
                    result.error.code = self.code.value[0]
                    result.error.message = "no thread"
                    result.error.reason = "NOT_BEGUN"
                    result.error.retry_after.CopyFrom(self.pause)
                else:
                    result.response.CopyFrom(await self.answer(item))
                await context.write(pb.HandleEventsResponse(results=[result]))


@both_ways
@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
async def test_what_was_not_begun_is_no_attempt_and_another_endpoint_is_asked(
    pool: EndpointDirectory, batching: bool, code: str
) -> None:
    full = _Full(grpc.StatusCode[code], 0.5)
    async with serving(full) as one, serving(Handler()) as other:
        alone = registration(one, task("echo", batching=batching))
        pool.update([alone])
        outcome = await pool.call("claims", request("echo"), 5)
        assert isinstance(outcome, NotSent)
        assert "no thread" in outcome.reason
        assert not outcome.unannounced
        [report] = pool.report().values()
        assert report["reachable"] is True
        assert str(report["last_error"]).endswith("no thread")
        assert pool.live_tasks() == frozenset()
        pool.update([alone, registration(other, task("echo", batching=batching))])
        for number in range(4):
            outcome = await pool.call("claims", request("echo", str(number)), 5)
            assert isinstance(outcome, Answered)
        assert len(full.calls) == 1


@both_ways
async def test_an_endpoint_that_begins_nothing_is_not_asked_again_and_again(
    pool: EndpointDirectory, batching: bool
) -> None:
    """However little it asks for, there is a pause, and who comes meanwhile does not go there."""
    full = _Full(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.0)

    async def has_room() -> bool:
        return ("default", "echo") in pool.live_tasks()

    async with serving(full) as port:
        pool.update([registration(port, task("echo", batching=batching))])
        for asked in (1, 2):
            outcomes = [
                await pool.call("claims", request("echo", f"{asked}-{n}"), 5) for n in range(5)
            ]
            assert all(isinstance(outcome, NotSent) for outcome in outcomes)
            assert len(full.calls) == asked
            await eventually(has_room)
        full.full = False
        assert isinstance(await pool.call("claims", request("echo", "x"), 5), Answered)


@both_ways
async def test_no_answer_in_time_is_a_failed_attempt_and_the_handler_is_notified(
    pool: EndpointDirectory, batching: bool
) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=batching)])
        outcome = await pool.call("claims", request("wait"), 0.2)
        assert isinstance(outcome, Failed)
        assert outcome.error.code == "DEADLINE_EXCEEDED"
        assert not outcome.error.permanent

        async def told() -> list[str]:
            return handler.cancelled

        assert await eventually(told) == ["e1:wait"]
        assert pool.in_flight == 0


@both_ways
async def test_a_call_can_be_given_up(pool: EndpointDirectory, batching: bool) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=batching)])
        by_hand = pool.call("claims", request("wait", "e1"), 30)
        by_task = asyncio.create_task(awaited(pool, request("wait", "e2")))

        async def asked() -> int:
            return len(handler.calls)

        await eventually(asked, until=lambda calls: calls == 2)
        by_hand.cancel()
        assert await by_hand == Cancelled()
        by_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await by_task

        async def told() -> int:
            return len(handler.cancelled)

        await eventually(told, until=lambda calls: calls == 2)
        assert pool.in_flight == 0


async def awaited(pool: EndpointDirectory, wanted: pb.HandleEventRequest) -> Any:
    return await pool.call("claims", wanted, 30)


@both_ways
async def test_a_process_killed_in_mid_call_cuts_what_it_had(
    pool: EndpointDirectory, handler_process: Start, batching: bool
) -> None:
    process, port = await handler_process()
    pool.update([all_tasks(port, batching=batching)])
    assert isinstance(await pool.call("claims", request("echo"), 30), Answered)
    victims = [pool.call("claims", request("wait", str(n)), 30) for n in range(3)]
    killer = pool.call("claims", request("die"), 30)
    for call in (*victims, killer):
        outcome = await call
        assert isinstance(outcome, CallCut), outcome
        assert str(port) in outcome.message
    await process.wait()

    async def called_again() -> object:
        return await pool.call("claims", request("echo"), 30)

    # Until the system has told of the death, what is sent is still cut.
    await eventually(
        called_again, until=lambda outcome: isinstance(outcome, NotSent), what="a call not sent"
    )
    report = pool.report()[f"handler-{port}"]
    assert (report["reachable"], report["calls_in_flight"]) == (False, 0)
    # In words, whether or not the first try to connect again is over.
    assert f"127.0.0.1:{port}" in str(report["last_error"])


@both_ways
async def test_a_restarted_endpoint_is_found_again(
    pool: EndpointDirectory, handler_process: Start, batching: bool
) -> None:
    process, port = await handler_process()
    pool.update([all_tasks(port, batching=batching)])
    assert isinstance(await pool.call("claims", request("echo"), 30), Answered)
    process.kill()
    await process.wait()

    async def reachable() -> bool:
        return pool.report()[f"handler-{port}"]["reachable"]

    await eventually(reachable, until=lambda up: not up)
    async with serving(Handler(), port=port):
        await eventually(reachable)
        assert isinstance(await pool.call("claims", request("echo"), 30), Answered)


@both_ways
async def test_an_answer_that_is_too_large_is_a_fault_of_the_task(
    pool: EndpointDirectory, batching: bool
) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=batching)])
        neighbour = pool.call("claims", request("wait"), 30)
        outcome = await pool.call("claims", request("big"), 30)
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == "RESPONSE_INVALID"
        assert outcome.error.permanent
        handler.release.set()
        assert isinstance(await neighbour, Answered)


async def test_an_answer_that_breaks_the_stream_is_found_out_alone(pool: EndpointDirectory) -> None:
    async with serving(Handler()) as port:
        pool.update([all_tasks(port, batching=True)])
        neighbour = pool.call("claims", request("wait"), 30)
        guilty = pool.call("claims", request("huge"), 30)
        assert isinstance(await guilty, CallCut)
        assert isinstance(await neighbour, CallCut)
        async with pool.alone():
            outcome = await pool.call("claims", request("huge"), 30, alone=True)
        assert isinstance(outcome, Failed)
        # gRPC's own word for it, which a handler can say too: retried as that.
        assert outcome.error.code == "RESOURCE_EXHAUSTED"
        assert isinstance(await pool.call("claims", request("echo"), 30), Answered)


async def test_what_a_handler_says_itself_is_not_taken_for_a_limit_of_ours(
    pool: EndpointDirectory,
) -> None:
    class Full(pb_grpc.TaskHandlerServiceServicer):
        async def HandleEvent(self, asked: Any, context: Any) -> Any:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            await context.abort(code, "grpc: received message larger than max (5 vs. 4)")

    async with serving(Full()) as port:
        pool.update([all_tasks(port, batching=False)])
        outcome = await pool.call("claims", request("echo"), 30)
        assert isinstance(outcome, Failed)
        assert (outcome.error.code, outcome.error.permanent) == ("RESOURCE_EXHAUSTED", False)
        assert outcome.error.message == "grpc: received message larger than max (5 vs. 4)"


@pytest.mark.parametrize(("length", "kept"), [(2_400, True), (200_000, False)])
async def test_a_long_status_keeps_its_code_or_says_what_was_lost(
    pool: EndpointDirectory, length: int, kept: bool
) -> None:
    class Wordy(pb_grpc.TaskHandlerServiceServicer):
        async def HandleEvent(self, asked: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "\N{HIRAGANA LETTER A}" * length)

    async with serving(Wordy()) as port:
        pool.update([all_tasks(port, batching=False)])
        outcome = await pool.call("claims", request("echo"), 30)
        assert isinstance(outcome, Failed)
        if kept:
            assert (outcome.error.code, outcome.error.permanent) == ("INVALID_ARGUMENT", True)
            assert outcome.error.message == "\N{HIRAGANA LETTER A}" * length
        else:
            assert outcome.error.code == "RESOURCE_EXHAUSTED"
            assert "256 KiB" in outcome.error.message


async def test_a_result_without_an_outcome_is_a_fault_of_the_task(pool: EndpointDirectory) -> None:
    async with serving(Handler()) as port:
        pool.update([all_tasks(port, batching=True)])
        outcome = await pool.call("claims", request("nothing"), 30)
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == "RESPONSE_INVALID"


async def test_garbage_for_an_answer_is_a_fault_of_the_task(pool: EndpointDirectory) -> None:
    async def garbage(data: bytes, context: Any) -> bytes:
        return b"\xff\xff"

    def add(server: grpc.aio.Server) -> None:
        method = grpc.unary_unary_rpc_method_handler(garbage)
        service = "waystation.v1.TaskHandlerService"
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"HandleEvent": method}),)
        )

    server = grpc.aio.server()
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pool.update([all_tasks(port, batching=False)])
    outcome = await pool.call("claims", request("echo"), 30)
    await server.stop(None)
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == "RESPONSE_INVALID"


async def test_details_set_reason_and_delay(pool: EndpointDirectory) -> None:
    class Busy(pb_grpc.TaskHandlerServiceServicer):
        async def HandleEvent(self, request: pb.HandleEventRequest, context: Any) -> Any:
            status = status_pb2.Status(code=14, message="busy")
            for detail in (
                error_details_pb2.RetryInfo(retry_delay=Duration(seconds=7)),
                error_details_pb2.ErrorInfo(reason="QUOTA", metadata={"left": "0"}),
            ):
                packed = any_pb2.Any()
                packed.Pack(detail)
                status.details.append(packed)
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
            await context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    async with serving(Busy()) as port:
        pool.update([all_tasks(port, batching=False)])
        outcome = await pool.call("claims", request("echo"), 30)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "UNAVAILABLE"
    assert outcome.error.reason == "QUOTA"
    assert outcome.error.retry_after == 7
    assert outcome.error.metadata == {"left": "0"}


async def test_an_endpoint_without_the_stream_it_announced_is_called_one_by_one(
    pool: EndpointDirectory,
) -> None:
    class Plain(pb_grpc.TaskHandlerServiceServicer):
        async def HandleEvent(self, request: pb.HandleEventRequest, context: Any) -> Any:
            return pb.HandleEventResponse(result={})

    async with serving(Plain()) as port:
        pool.update([all_tasks(port, batching=True)])
        calls = [pool.call("claims", request("echo", str(n)), 30) for n in range(5)]
        for call in calls:
            assert isinstance(await call, Answered)


async def test_calls_of_one_turn_of_the_loop_travel_in_one_message(pool: EndpointDirectory) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=True)])
        assert isinstance(await pool.call("claims", request("echo", "first"), 30), Answered)
        calls = [pool.call("claims", request("echo", str(n)), 30) for n in range(50)]
        for n, call in enumerate(calls):
            outcome = await call
            assert isinstance(outcome, Answered)
            assert outcome.response.result.events[0].event_type == f"{n}:echo"
        assert [len(message.items) for message in handler.messages] == [1, 50]
        assert handler.streams == 1


async def test_a_late_result_is_not_taken_for_that_of_the_same_attempt_called_again(
    pool: EndpointDirectory,
) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=True)])
        given_up = pool.call("claims", request("wait"), 30)

        async def asked() -> int:
            return len(handler.calls)

        await eventually(asked)
        given_up.cancel()
        again = pool.call("claims", request("wait"), 30)
        await eventually(asked, until=lambda calls: calls == 2)
        # The second goes by itself, as names tell results of a stream apart.
        assert sum(len(message.items) for message in handler.messages) == 1
        handler.release.set()
        assert isinstance(await again, Answered)


async def test_a_large_request_travels_alone(pool: EndpointDirectory) -> None:
    """Together with others it could pass the limit of the handler, and break the stream for all."""
    handler = Handler()
    async with serving(handler) as port:
        pool.update([all_tasks(port, batching=True)])
        large = request("echo", "large")
        large.event.payload.fields["text"].string_value = "x" * (1024 * 1024)
        calls = [pool.call("claims", large, 30)]
        calls += [pool.call("claims", request("echo", str(n)), 30) for n in range(3)]
        for call in calls:
            assert isinstance(await call, Answered)
        assert [len(message.items) for message in handler.messages] == [3]


async def test_a_request_that_the_handler_refuses_to_receive_fails_with_its_status(
    pool: EndpointDirectory,
) -> None:
    async with serving(Handler()) as port:
        pool.update([all_tasks(port, batching=True)])
        huge = request("echo")
        huge.event.payload.fields["text"].string_value = "x" * (5 * 1024 * 1024)
        outcome = await pool.call("claims", huge, 30)
        assert isinstance(outcome, Failed)
        assert outcome.error.code == "RESOURCE_EXHAUSTED"
        assert outcome.error.reason != "RESPONSE_INVALID"
