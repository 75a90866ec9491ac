"""A handler service behind a real port, with a fake Waystation to register with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.waiting import eventually
from worker_sdk.fakes import FakeWaystation, Refusal, delivery, serving

from waystation.v1 import handler_registry_service_pb2, task_handler_service_pb2_grpc
from waystation.v1 import task_handler_service_pb2 as pb
from waystation_worker import HandlerService, NotAllowed, Serving, SettingsError, TaskContext

Stub = Any


class Gate:
    """Tasks that the test lets go on."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.cancelled: list[str] = []
        self.open = asyncio.Event()
        self.service = HandlerService("claims", version="1.0.0")

        @self.service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
        async def held(ctx: TaskContext) -> None:
            self.entered.append(ctx.idempotency_key)
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled.append(ctx.idempotency_key)
                raise
            ctx.data["held"] = True

        @self.service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
        async def quick(ctx: TaskContext) -> None:
            ctx.data["quick"] = ctx.event.payload.get("n")


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@contextlib.asynccontextmanager
async def stub_of(port: int) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)


@contextlib.asynccontextmanager
async def up(service: HandlerService, **options: Any) -> AsyncIterator[tuple[Serving, Stub]]:
    async with (
        service.serving(port=0, register=False, grace=0.2, **options) as running,
        stub_of(running.port) as stub,
    ):
        yield running, stub


async def value_of(values: list[str], count: int = 1) -> None:
    async def look() -> int:
        return len(values)

    await eventually(look, until=lambda n: n >= count, what="calls")


async def test_many_events_over_one_stream_each_answered_when_ready(gate: Gate) -> None:
    async with up(gate.service) as (_, stub):
        stream = stub.HandleEvents()
        quick = [delivery("quick", payload={"n": n}, key=f"e-{n}:quick") for n in range(20)]
        await stream.write(
            pb.HandleEventsRequest(
                items=[delivery("held", key="h:held", attempt=2), *quick, delivery("none", key="x")]
            )
        )
        messages = [await stream.read() for _ in range(2)]
        # What was ready at the same moment came in one message (what is refused is, a moment before the
        # others); the slow one holds nothing back.
        by_key = {result.idempotency_key: result for one in messages for result in one.results}
        assert set(by_key) == {f"e-{n}:quick" for n in range(20)} | {"x"}
        change = by_key["e-7:quick"].response.result.operations.items
        assert [(op.path, op.set.number_value) for op in change] == [("/quick", 7)]
        assert by_key["x"].error.code == grpc.StatusCode.UNIMPLEMENTED.value[0]
        assert by_key["x"].error.message == (
            "service claims hosts no task 'none'; it hosts held, quick"
        )

        await stream.done_writing()
        gate.open.set()
        [result] = (await stream.read()).results
        assert (result.idempotency_key, result.attempt) == ("h:held", 2)
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK


async def test_a_cancelled_item_is_cut_and_the_others_go_on(gate: Gate) -> None:
    async with up(gate.service) as (_, stub):
        stream = stub.HandleEvents()
        await stream.write(
            pb.HandleEventsRequest(
                items=[delivery("held", key="a"), delivery("held", key="b", attempt=2)]
            )
        )
        await value_of(gate.entered, 2)
        await stream.write(
            pb.HandleEventsRequest(
                cancels=[
                    pb.CancelItem(idempotency_key="a", attempt=1),
                    pb.CancelItem(idempotency_key="b", attempt=1),
                    pb.CancelItem(idempotency_key="unknown", attempt=1),
                ]
            )
        )
        await value_of(gate.cancelled)
        # That it is over is said too: its name may be used again.
        [result] = (await stream.read()).results
        assert result.idempotency_key == "a"
        assert result.error.code == grpc.StatusCode.CANCELLED.value[0]
        gate.open.set()
        [result] = (await stream.read()).results
        assert result.idempotency_key == "b"
        assert gate.cancelled == ["a"]


async def test_a_broken_stream_cancels_what_it_carried(gate: Gate) -> None:
    async with up(gate.service) as (_, stub):
        stream = stub.HandleEvents()
        await stream.write(pb.HandleEventsRequest(items=[delivery("held", key="a")]))
        await value_of(gate.entered)
        stream.cancel()
        await value_of(gate.cancelled)


async def test_answers_too_large_for_one_message_travel_in_several() -> None:
    service = HandlerService("claims")

    @service.task(events=["a"], workflow_types=["b"])
    async def large(ctx: TaskContext) -> None:
        ctx.data["x"] = "x" * 1_500_000

    async with up(service) as (_, stub):
        stream = stub.HandleEvents()
        items = [delivery("large", key=str(n)) for n in range(5)]
        await stream.write(pb.HandleEventsRequest(items=items))
        keys: list[str] = []
        messages = 0
        while len(keys) < 5:
            # The stub's channel takes 4 MB, as any does by default.
            keys += [result.idempotency_key for result in (await stream.read()).results]
            messages += 1
        assert sorted(keys) == ["0", "1", "2", "3", "4"]
        assert messages == 3


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
@pytest.mark.parametrize("by", ["timeout", "deadline", "call"])
async def test_a_call_ends_at_its_deadline(plain: bool, by: str) -> None:
    release = threading.Event()
    told: list[bool] = []
    service = HandlerService("claims")
    declare = service.task(
        "slow", events=["a"], workflow_types=["b"], timeout=0.2 if by == "timeout" else 30
    )

    def plain_task(ctx: TaskContext) -> None:
        release.wait(20)
        told.append(ctx.cancelled)

    async def async_task(ctx: TaskContext) -> None:
        await asyncio.Event().wait()

    declare(plain_task if plain else async_task)
    request = delivery("slow")
    if by == "deadline":
        request.deadline.FromDatetime(datetime.now(UTC) + timedelta(seconds=0.2))
    try:
        async with up(service) as (_, stub):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.HandleEvent(request, timeout=0.2 if by == "call" else 20)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if by != "call":
                assert "task slow took longer than" in (caught.value.details() or "")
                stream = stub.HandleEvents()
                if by == "deadline":
                    request.deadline.FromDatetime(datetime.now(UTC) + timedelta(seconds=0.2))
                await stream.write(pb.HandleEventsRequest(items=[request]))
                [result] = (await stream.read()).results
                assert result.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    finally:
        release.set()
    if plain:

        async def look() -> list[bool]:
            return told

        await eventually(look)
        assert all(told)


async def test_health_and_reflection(gate: Gate) -> None:
    async with (
        up(gate.service) as (running, _),
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "waystation.v1.TaskHandlerService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        names = [s.name for s in (await call.read()).list_services_response.service]
        assert "waystation.v1.TaskHandlerService" in names
        call.cancel()


async def test_it_registers_renews_and_registers_again_when_forgotten(
    gate: Gate, waystation: FakeWaystation
) -> None:
    async with gate.service.serving(address=waystation.address, port=0, lease=1) as running:
        await running.wait_registered()
        [request] = waystation.requests("RegisterHandler")
        assert (request.service_name, request.service_version) == ("claims", "1.0.0")
        assert (request.host, request.port) == ("127.0.0.1", running.port)
        assert request.lease.ToTimedelta().total_seconds() == 1
        assert [task.task_id for task in request.tasks] == ["held", "quick"]
        assert request.request_id

        async def renewals() -> list[str]:
            return [renewal.handler_id for renewal in waystation.requests("RenewHandler")]

        await eventually(renewals, until=lambda seen: seen == ["h-1", "h-1"])
        waystation.next("RenewHandler", Refusal("NOT_FOUND", "HANDLER_NOT_FOUND", handler_id="h-1"))
        await eventually(renewals, until=lambda seen: "h-2" in seen)
        first, second = waystation.requests("RegisterHandler")
        assert first.request_id != second.request_id
    [request] = waystation.requests("UnregisterHandler")
    assert request.handler_id == "h-2"


async def test_a_service_whose_token_ended_waits_for_another_one(
    gate: Gate, waystation: FakeWaystation, caplog: pytest.LogCaptureFixture
) -> None:
    waystation.next("RenewHandler", Refusal("NOT_FOUND", "HANDLER_NOT_FOUND", handler_id="h-1"))
    async with gate.service.serving(address=waystation.address, port=0, lease=1) as running:
        await running.wait_registered()
        waystation.next("RegisterHandler", Refusal("UNAUTHENTICATED", "UNAUTHENTICATED"))

        async def registrations() -> int:
            return len(waystation.requests("RegisterHandler"))

        await eventually(registrations, until=lambda number: number == 3)
    assert "UNAUTHENTICATED" in caplog.text


async def test_it_says_which_of_its_tasks_are_retired(
    gate: Gate, waystation: FakeWaystation, caplog: pytest.LogCaptureFixture
) -> None:
    answer = handler_registry_service_pb2.RegisterHandlerResponse()
    answer.handler.retired_task_ids.append("quick")
    waystation.next("RegisterHandler", answer)
    async with gate.service.serving(address=waystation.address, port=0) as running:
        await running.wait_registered()
    assert any("an operator retired quick" in r.getMessage() for r in caplog.records)


async def test_it_waits_for_a_waystation_that_is_not_there_yet(
    gate: Gate, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "waystation_worker")
    async with gate.service.serving(address=f"127.0.0.1:{unused_port}", port=0) as running:

        async def complaints() -> list[str]:
            return [r.getMessage() for r in caplog.records if "cannot be reached" in r.getMessage()]

        await eventually(complaints)
        waystation = FakeWaystation()
        waystation.next("RegisterHandler", Refusal("UNAVAILABLE", "STORE_UNAVAILABLE"))
        async with serving(waystation, unused_port):
            await running.wait_registered()
            first, second = waystation.requests("RegisterHandler")
            assert first.request_id == second.request_id
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    # Said once, however often it was tried.
    assert sum("cannot be reached" in r.getMessage() for r in warnings) == 1


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_refused_registration_ends_the_service(
    gate: Gate, waystation: FakeWaystation
) -> None:
    waystation.next("RegisterHandler", Refusal("PERMISSION_DENIED", "ENDPOINT_NOT_ALLOWED"))
    with pytest.raises(NotAllowed) as caught:
        await gate.service.serve(address=waystation.address, port=0, grace=0.1)
    assert caught.value.reason == "ENDPOINT_NOT_ALLOWED"


async def test_stopping_finishes_what_is_in_flight(gate: Gate, waystation: FakeWaystation) -> None:
    stop = asyncio.Event()
    service = gate.service
    serve = asyncio.create_task(service.serve(address=waystation.address, port=0, stop=stop))

    async def registered() -> list[Any]:
        return waystation.requests("RegisterHandler")

    [request] = await eventually(registered)
    async with stub_of(request.port) as stub:
        stream = stub.HandleEvents()
        await stream.write(pb.HandleEventsRequest(items=[delivery("held", key="s")]))
        unary = asyncio.ensure_future(stub.HandleEvent(delivery("held", key="u")))
        await value_of(gate.entered, 2)
        stop.set()

        async def unregistered() -> list[Any]:
            return waystation.requests("UnregisterHandler")

        await eventually(unregistered)
        # A router that has not heard of it yet still gets its answer.
        await stream.write(pb.HandleEventsRequest(items=[delivery("quick", key="late")]))
        [late] = (await stream.read()).results
        assert late.response.result.HasField("operations")
        assert not serve.done()
        gate.open.set()
        [result] = (await stream.read()).results
        assert result.response.result.HasField("operations")
        assert (await unary).result.HasField("operations")
        assert await stream.read() is grpc.aio.EOF
    await serve


async def test_a_taken_port_is_an_error_only_where_it_was_asked_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with up(gate.service) as (running, _):
        with pytest.raises(SettingsError, match=r"^port: cannot listen on"):
            async with gate.service.serving(port=running.port, register=False):
                pass
        monkeypatch.setattr("waystation_worker.settings.DEFAULT_PORT", running.port)
        capfd.readouterr()
        async with gate.service.serving(register=False) as other:
            assert other.port not in (0, running.port)
        # Two services on one machine are nothing to be told of, also not by gRPC.
        assert "add port" not in capfd.readouterr().err


async def test_all_bad_settings_are_named_at_once(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_ADDRESS", "here")
    monkeypatch.setenv("WAYSTATION_HANDLER_HOST", "0.0.0.0")
    monkeypatch.setenv("WAYSTATION_HANDLER_PORT", "many")
    monkeypatch.setenv("WAYSTATION_ADVERTISE_HOST", "http://me:1")
    with pytest.raises(SettingsError) as caught:
        await gate.service.serve()
    for name in ("ADDRESS", "HANDLER_HOST", "HANDLER_PORT", "ADVERTISE_HOST", "INSECURE"):
        assert f"WAYSTATION_{name}" in str(caught.value)


def test_run_off_the_main_thread_says_what_to_use() -> None:
    service, raised = HandlerService("claims"), []

    def run() -> None:
        try:
            service.run()
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert raised[0].endswith("in another thread use asyncio.run(service.serve())")


async def test_run_where_a_loop_is_running_says_what_to_use() -> None:
    with pytest.raises(RuntimeError, match=r"in async code use `await service.serve\(\)`$"):
        HandlerService("claims").run()


PROGRAM = """
from waystation_worker import HandlerService

service = HandlerService("claims")


@service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
def forever(ctx):
    print("called", flush=True)
    input()


service.run(grace=60)
"""


async def process(program: str = PROGRAM, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_process_ends_well_on_sigterm_and_at_once_on_a_second(
    waystation: FakeWaystation,
) -> None:
    async def registered() -> list[Any]:
        return waystation.requests("RegisterHandler")

    async def unregistered() -> list[Any]:
        return waystation.requests("UnregisterHandler")

    environ = {"WAYSTATION_ADDRESS": waystation.address, "WAYSTATION_HANDLER_PORT": "0"}
    idle = await process(**environ)
    await eventually(registered)
    idle.send_signal(signal.SIGTERM)
    _, log = await idle.communicate()
    assert idle.returncode == 0, log.decode()
    assert len(await unregistered()) == 1

    busy = await process(**environ)
    request = (await eventually(registered, until=lambda seen: len(seen) == 2))[1]
    async with stub_of(request.port) as stub:
        call = stub.HandleEvent(delivery("forever"))
        assert busy.stdout is not None
        assert await busy.stdout.readline() == b"called\n"
        busy.send_signal(signal.SIGTERM)
        await eventually(unregistered, until=lambda seen: len(seen) == 2)
        busy.send_signal(signal.SIGTERM)
        assert await busy.wait() == 1
        with pytest.raises(grpc.aio.AioRpcError):
            await call


HANGS = {
    "plain": """
def hangs(ctx):
    print("called", flush=True)
    threading.Event().wait()
""",
    "ignores its cancellation": """
async def hangs(ctx):
    print("called", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
""",
    "in a thread of asyncio's": """
async def hangs(ctx):
    print("called", flush=True)
    await asyncio.to_thread(threading.Event().wait)
""",
    "holds the loop": """
async def hangs(ctx):
    print("called", flush=True)
    while True:
        time.sleep(1)
""",
}
SAID = {
    "plain": b"these tasks are still running and are left behind: hangs",
    "ignores its cancellation": b"the event loop does not end",
    "in a thread of asyncio's": b"threads still run (asyncio_0",
    "holds the loop": b"the event loop does not end",
}


@pytest.mark.parametrize("how", HANGS)
async def test_a_task_that_hangs_keeps_no_stopped_process_alive(
    waystation: FakeWaystation, how: str
) -> None:
    async def registered() -> list[Any]:
        return waystation.requests("RegisterHandler")

    program = f"""
import asyncio, threading, time
from waystation_worker import HandlerService

service = HandlerService("claims")


@service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
{HANGS[how].strip()}


service.run(grace=0.5)
print("returned", flush=True)
"""
    hung = await process(
        program, WAYSTATION_ADDRESS=waystation.address, WAYSTATION_HANDLER_PORT="0"
    )
    [request] = await eventually(registered)
    async with stub_of(request.port) as stub:
        call = stub.HandleEvent(delivery("hangs"))
        assert hung.stdout is not None
        assert await hung.stdout.readline() == b"called\n"
        hung.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            out, log = await hung.communicate()
        assert hung.returncode == 0, log.decode()
        assert SAID[how] in log, log.decode()
        assert (out == b"returned\n") is (how == "plain")
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_the_process_refuses_bad_settings_with_78() -> None:
    bad = await process(WAYSTATION_HANDLER_HOST="0.0.0.0")
    _, log = await bad.communicate()
    assert bad.returncode == 78
    assert b"WAYSTATION_HANDLER_HOST=0.0.0.0 can be reached from other machines" in log
    assert b"Traceback" not in log


async def test_the_process_that_is_refused_says_so_once_and_ends_with_1(
    waystation: FakeWaystation,
) -> None:
    refusal = Refusal("PERMISSION_DENIED", "ENDPOINT_NOT_ALLOWED", "ask the operator")
    waystation.next("RegisterHandler", refusal)
    refused = await process(WAYSTATION_ADDRESS=waystation.address, WAYSTATION_HANDLER_PORT="0")
    _, log = await refused.communicate()
    assert refused.returncode == 1
    assert log.count(b"ask the operator") == 1
    assert b"Traceback" not in log
