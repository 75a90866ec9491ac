"""From the moment the SDK has an item exactly one answer leaves it, whatever the task does.

Every row runs async and plain, by HandleEvent and as an item of HandleEvents beside a good one, each
with a timeout that nobody could wait for: what is answered is answered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import BaseModel
from support.waiting import eventually
from worker_sdk.fakes import delivery

from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import task_handler_service_pb2_grpc
from waystation_worker import HandlerService, Reject, RetryAfter, TaskContext

Act = Callable[[TaskContext], Any]

AT_ONCE = 10.0
"""Seconds that a call may take here, generous for a machine that is busy; the tasks have an hour."""


class PanicException(BaseException):
    """As extensions written in Rust raise it, and libraries that end functions from outside."""


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class MuteForGood(PanicException):
    def __str__(self) -> str:
        raise SystemExit(9)


class Unmade(Reject):
    """Forgot to call what it is made by."""

    def __init__(self) -> None:
        pass


class UnmadeRetry(RetryAfter):
    def __init__(self) -> None:
        pass


class Claim(BaseModel):
    amount: int


class Hostile:
    """A value of the task's own that cannot be written down."""

    def __str__(self) -> str:
        raise PanicException("not even its name")

    __repr__ = __str__
    __iter__ = __str__


def throws(error: BaseException) -> Act:
    def act(ctx: TaskContext) -> None:
        ctx.data["half"] = True
        raise error

    return act


def gives(make: Callable[[], object]) -> Act:
    return lambda ctx: make()


async def nothing() -> None:
    pass


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


def parses(ctx: TaskContext) -> None:
    Claim.model_validate({"amount": "much"})


def stores(value: object) -> Act:
    def act(ctx: TaskContext) -> None:
        ctx.emit("claim.stored", value)  # type: ignore[arg-type]

    return act


async def cancels_itself(ctx: TaskContext) -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


async def cancels_itself_and_goes_on(ctx: TaskContext) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await cancels_itself(ctx)
    raise PanicException("after all")


async def in_a_group(ctx: TaskContext) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fails())


async def fails() -> None:
    raise LookupError("no policy")


INVALID = "RESPONSE_INVALID"

EITHER: dict[str, tuple[Act, str, str]] = {
    "panic": (throws(PanicException("called unwrap on None")), "PanicException", "called unwrap"),
    "exit": (throws(SystemExit(3)), "SystemExit", "3"),
    "generator-exit": (throws(GeneratorExit("closed")), "GeneratorExit", "closed"),
    "cancelled": (throws(asyncio.CancelledError("by me")), "CancelledError", "by me"),
    "stop-async": (throws(StopAsyncIteration("end")), "StopAsyncIteration", "end"),
    "timeout": (throws(TimeoutError()), "TimeoutError", "TimeoutError"),
    "recursion": (throws(RecursionError("too deep")), "RecursionError", "too deep"),
    "memory": (throws(MemoryError()), "MemoryError", "MemoryError"),
    "no-text": (throws(Mute()), "Mute", "__str__ raised ValueError"),
    "no-text-at-all": (throws(MuteForGood()), "MuteForGood", "__str__ raised SystemExit"),
    "group": (
        throws(ExceptionGroup("two", [ValueError("a"), ExceptionGroup("in", [KeyError("b")])])),
        "ExceptionGroup",
        "two (2 sub-exceptions): ValueError: a; KeyError: 'b'",
    ),
    "base-group": (
        throws(BaseExceptionGroup("one", [PanicException("p")])),
        "BaseExceptionGroup",
        "PanicException: p",
    ),
    "unmade-reject": (throws(Unmade()), "Unmade", "Unmade"),
    "unmade-retry": (throws(UnmadeRetry()), "UnmadeRetry", "UnmadeRetry"),
    "odd-reason": (throws(Reject(7, "seven")), "Reject", "seven"),  # type: ignore[arg-type]
    "pydantic": (parses, "ValidationError", "amount"),
    "returns-coroutine": (gives(nothing), INVALID, "returned a coroutine"),
    "returns-generator": (gives(generator), INVALID, "returned a generator"),
    "returns-async-generator": (gives(async_generator), INVALID, "returned a async_generator"),
    "returns-hostile": (gives(Hostile), INVALID, "returned a Hostile"),
    "stores-hostile": (stores(Hostile()), "", ""),
    "stores-surrogate": (stores({"text": "\ud800"}), "", ""),
    "stores-huge": (stores({"text": "x" * 4_000_000}), INVALID, "bytes"),
    "stores-itself": (stores((lambda knot: knot.append(knot) or {"k": knot})([])), "", ""),
}

PLAIN_ONLY: dict[str, tuple[Act, str, str]] = {
    # Out of an async function Python itself makes a RuntimeError of it.
    "stop": (throws(StopIteration("end")), "StopIteration", "end"),
    # No signal reaches a thread: the task's own.
    "interrupt": (throws(KeyboardInterrupt("mine")), "KeyboardInterrupt", "mine"),
}

ASYNC_ONLY: dict[str, tuple[Act, str, str]] = {
    "stop": (throws(StopIteration("end")), "RuntimeError", "StopIteration"),
    "cancels-itself": (cancels_itself, "CancelledError", "CancelledError"),
    "cancels-itself-and-goes-on": (cancels_itself_and_goes_on, "PanicException", "after all"),
    "task-group": (in_a_group, "ExceptionGroup", "LookupError: no policy"),
    "returns-future": (
        gives(lambda: asyncio.get_running_loop().create_future()),
        INVALID,
        "returned a",
    ),
}

TABLE = [
    pytest.param(act, plain, reason, text, id=f"{'plain' if plain else 'async'}-{name}")
    for plain, rows in ((True, EITHER | PLAIN_ONLY), (False, EITHER | ASYNC_ONLY))
    for name, (act, reason, text) in rows.items()
]


def service_of(act: Act, *, plain: bool, threads: int = 4, timeout: float = 3600) -> HandlerService:
    service = HandlerService("claims", threads=threads)
    declare = service.task(
        "t", events=["claim.processed"], workflow_types=["insurance_claim"], timeout=timeout
    )
    if plain:
        declare(act)
    else:

        @declare
        async def task(ctx: TaskContext) -> object:
            result = act(ctx)
            return await result if asyncio.iscoroutine(result) and act in _AWAITED else result

    @service.task("good", events=["claim.processed"], workflow_types=["insurance_claim"])
    async def good(ctx: TaskContext) -> None:
        ctx.data["good"] = True

    @service.task("quick", events=["claim.processed"], workflow_types=["insurance_claim"])
    def quick(ctx: TaskContext) -> None:
        ctx.data["quick"] = True

    return service


_AWAITED = (cancels_itself, cancels_itself_and_goes_on, in_a_group)


@contextlib.asynccontextmanager
async def stub_of(service: HandlerService, grace: float = 0.0) -> AsyncIterator[Any]:
    async with (
        service.serving(port=0, register=False, grace=grace) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        yield task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)


async def unary(stub: Any) -> pb.HandleEventResponse:
    response: pb.HandleEventResponse = await stub.HandleEvent(delivery("t"), timeout=AT_ONCE)
    good = await stub.HandleEvent(delivery("good", key="e-2:good"), timeout=AT_ONCE)
    assert good.result.operations.items
    return response


async def streamed(stub: Any) -> pb.HandleEventResponse:
    call = stub.HandleEvents(timeout=AT_ONCE)
    items = [delivery("t", key="e-1:t"), delivery("good", key="e-2:good")]
    await call.write(pb.HandleEventsRequest(items=items))
    await call.done_writing()
    results = [result async for message in call for result in message.results]
    # One each, and the bad one took nothing from its neighbour.
    assert sorted(result.idempotency_key for result in results) == ["e-1:t", "e-2:good"]
    by_key = {result.idempotency_key: result for result in results}
    assert by_key["e-2:good"].response.result.operations.items
    assert by_key["e-1:t"].WhichOneof("outcome") == "response"
    return by_key["e-1:t"].response


@pytest.mark.parametrize("ask", [unary, streamed])
@pytest.mark.parametrize(("act", "plain", "reason", "text"), TABLE)
async def test_whatever_a_task_does_is_answered_once_and_at_once(
    act: Act, plain: bool, reason: str, text: str, ask: Any
) -> None:
    async with stub_of(service_of(act, plain=plain)) as stub:
        answer = await ask(stub)
    assert answer.HasField("failure")
    assert not answer.HasField("result")
    assert answer.WhichOneof("outcome") == "failure"
    assert answer.failure.message
    if reason:
        assert answer.failure.reason == reason
        assert text in answer.failure.message


async def test_an_interrupt_on_the_loops_thread_is_not_the_tasks_to_answer() -> None:
    """Somebody ends the process: what it was about is cut, and costs nothing the first time."""
    service = service_of(throws(KeyboardInterrupt()), plain=False)

    def in_a_loop_of_its_own() -> None:
        asyncio.run(service.answer(delivery("t")))

    with pytest.raises(KeyboardInterrupt):
        await asyncio.get_running_loop().run_in_executor(None, in_a_loop_of_its_own)


@pytest.mark.parametrize("ask", [unary, streamed])
async def test_a_task_that_ignores_its_cancellation_is_answered_at_its_deadline(ask: Any) -> None:
    release = asyncio.Event()

    async def stubborn(ctx: TaskContext) -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    service = HandlerService("claims")
    service.task("t", events=["claim.processed"], workflow_types=["insurance_claim"], timeout=0.2)(
        stubborn
    )
    async with stub_of(service) as stub:
        call = stub.HandleEvents(timeout=AT_ONCE)
        if ask is unary:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.HandleEvent(delivery("t"), timeout=AT_ONCE)
            assert "took longer than 0.2 s" in str(caught.value.details())
        else:
            await call.write(pb.HandleEventsRequest(items=[delivery("t")]))
            [result] = (await call.read()).results
            assert result.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        release.set()


# --- threads -------------------------------------------------------------------------------------


class Hanging:
    """Plain tasks that hang until they are released, however long ago they were given up."""

    def __init__(self) -> None:
        self.release = Event()
        self.entered = 0

    def __call__(self, ctx: TaskContext) -> None:
        self.entered += 1
        self.release.wait()


@pytest.fixture
def hanging() -> Any:
    made = Hanging()
    yield made
    made.release.set()


async def timed_out(stub: Any, count: int, first: int = 0) -> None:
    calls = [
        stub.HandleEvent(delivery("t", key=f"e-{first + n}:t"), timeout=AT_ONCE)
        for n in range(count)
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "took longer" in str(caught.value.details())


async def test_a_thread_whose_call_was_given_up_is_replaced(hanging: Hanging) -> None:
    service = service_of(hanging, plain=True, threads=2, timeout=0.2)
    async with stub_of(service) as stub:
        await timed_out(stub, 2)
        assert hanging.entered == 2
        answer = await stub.HandleEvent(delivery("quick"), timeout=AT_ONCE)
        assert answer.result.operations.items


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_call_that_gets_no_thread_is_not_begun_and_says_so(
    hanging: Hanging, stream: bool
) -> None:
    """Both threads hang, and both that took their place; then it goes on as if nothing had been."""
    service = service_of(hanging, plain=True, threads=2, timeout=0.2)
    quick = delivery("quick", key="q:quick")
    # What is left of its time tells how long it waits for a thread.
    quick.deadline.FromNanoseconds(time.time_ns() + 2_000_000_000)
    async with stub_of(service) as stub:
        await timed_out(stub, 2)
        await timed_out(stub, 2, first=2)
        assert hanging.entered == 4
        if stream:
            call = stub.HandleEvents(timeout=AT_ONCE)
            await call.write(pb.HandleEventsRequest(items=[quick]))
            [result] = (await call.read()).results
            assert result.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            assert result.error.reason == "NOT_BEGUN"
            assert result.error.retry_after.seconds == 1
            message = result.error.message
        else:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.HandleEvent(quick, timeout=AT_ONCE)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            message = str(caught.value.details())
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            status = rpc_status.from_call(caught.value)
            assert status is not None
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(retry)
            assert (info.reason, info.domain) == ("NOT_BEGUN", "waystation")
            assert retry.retry_delay.seconds == 1
        assert message.startswith(
            "task quick was not started: 0 of 2 threads are taken, and 4 hang in calls that "
            "timed out: t for"
        )
        hanging.release.set()
        answer = await stub.HandleEvent(delivery("quick"), timeout=AT_ONCE)
        assert answer.result.operations.items


async def test_calls_beyond_the_threads_wait_in_line_and_are_all_answered() -> None:
    entered: list[int] = []

    def slow(ctx: TaskContext) -> None:
        entered.append(1)
        time.sleep(0.01)

    async with stub_of(service_of(slow, plain=True, threads=3)) as stub:
        calls = [
            stub.HandleEvent(delivery("t", key=f"e-{n}:t"), timeout=AT_ONCE) for n in range(50)
        ]
        for call in calls:
            assert not (await call).HasField("failure")
    assert len(entered) == 50


async def test_what_waits_for_a_thread_when_the_service_stops_was_not_begun(
    hanging: Hanging,
) -> None:
    service = service_of(hanging, plain=True, threads=1)
    async with service.serving(port=0, register=False, grace=0.3) as running:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{running.port}")
        stub: Any = task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)
        begun = stub.HandleEvent(delivery("t"), timeout=60)

        async def entered() -> int:
            return hanging.entered

        await eventually(entered)
        waiting = stub.HandleEvent(delivery("quick"), timeout=60)
        # One connection, in order: that this one is answered shows that the other has come.
        await stub.HandleEvent(delivery("good"), timeout=AT_ONCE)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await waiting
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "quick was not started: this service is stopping" in str(caught.value.details())
    with pytest.raises(grpc.aio.AioRpcError) as cut:
        await begun
    assert cut.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert running.unfinished == ["t"]
    await channel.close()
