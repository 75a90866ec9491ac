"""Which endpoint is called: live, admitted, with the task announced, and the least busy."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from router_endpoints.handlers import Handler, registration, request, serving, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2_grpc as pb_grpc
from waystation_core.rpc.attempts import Answered, NotSent
from waystation_domain.endpoints import Allowlist
from waystation_domain.task_spec import TaskKey
from waystation_router.endpoints import CallOutcome, Cancelled, EndpointDirectory, connection

ECHO = task("echo", batching=True)
WAIT = task("wait", batching=True)


async def test_the_least_busy_endpoint_is_called(pool: EndpointDirectory) -> None:
    one, other = Handler(), Handler()
    async with serving(one) as first, serving(other) as second:
        pool.update([registration(first, ECHO, WAIT), registration(second, ECHO, WAIT)])

        async def live() -> int:
            return sum(report["reachable"] for report in pool.report().values())

        await eventually(live, until=lambda count: count == 2)
        calls = [pool.call("claims", request("wait", str(n)), 30) for n in range(10)]
        ports = Counter(report["calls_in_flight"] for report in pool.report().values())
        assert ports == {5: 2}
        reports = {str(report["address"]): report["calls"] for report in pool.report().values()}
        assert reports.keys() == {f"127.0.0.1:{first}", f"127.0.0.1:{second}"}
        assert sorted(len(calls) for calls in reports.values()) == [5, 5]
        assert {task_id for calls in reports.values() for _, task_id in calls} == {"wait"}
        one.release.set()
        other.release.set()
        for call in calls:
            assert isinstance(await call, Answered)


async def test_only_what_an_endpoint_announced_itself_is_sent_there(
    pool: EndpointDirectory,
) -> None:
    older, newer = Handler(), Handler()
    async with serving(older) as first, serving(newer) as second:
        narrow = task("echo", batching=False, event_types=("policy.*",))
        elsewhere = replace(ECHO, workflow_types=("travel",))
        pool.update([registration(first, narrow), registration(second, elsewhere)])
        outcome = await pool.call("claims", request("echo"), 5)
        assert isinstance(outcome, NotSent)
        assert outcome.reason == ("no live endpoint of claims declares echo for this event")
        assert outcome.unannounced, "only another registration can help"
        pool.update([registration(first, narrow), registration(second, ECHO)])
        assert isinstance(await pool.call("claims", request("echo"), 5), Answered)
        assert isinstance(await pool.call("others", request("echo"), 5), NotSent)
        assert not older.calls


async def test_an_endpoint_off_the_allowlist_is_never_dialled() -> None:
    handler = Handler()
    pool = EndpointDirectory(Allowlist.parse("10.0.0.0/8"))
    async with serving(handler) as port:
        pool.update([registration(port, ECHO), registration(port, ECHO, host="localhost")])
        outcome = await pool.call("claims", request("echo"), 5)
        await pool.close()
    assert isinstance(outcome, NotSent)
    assert "WAYSTATION_HANDLER_ALLOWLIST" in outcome.reason
    assert not handler.calls


async def test_a_name_is_dialled_by_its_addresses(pool: EndpointDirectory) -> None:
    async with serving(Handler()) as port:
        pool.update([registration(port, ECHO, host="localhost")])
        assert isinstance(await pool.call("claims", request("echo"), 5), Answered)


async def test_a_name_that_does_not_resolve_is_said(pool: EndpointDirectory) -> None:
    pool.update([registration(1, ECHO, host="no-such-host.invalid")])
    outcome = await pool.call("claims", request("echo"), 5)
    assert isinstance(outcome, NotSent)
    assert "no-such-host.invalid" in outcome.reason
    assert not outcome.unannounced


async def test_an_endpoint_that_left_may_finish_and_gets_nothing_more(
    pool: EndpointDirectory,
) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([registration(port, ECHO, WAIT)])
        call = pool.call("claims", request("wait"), 30)

        async def asked() -> int:
            return len(handler.calls)

        await eventually(asked)
        pool.update([])
        assert isinstance(await pool.call("claims", request("echo"), 5), NotSent)
        handler.release.set()
        assert isinstance(await call, Answered)
        assert pool.live_tasks() == frozenset()


@pytest.mark.parametrize("batching", [False, True], ids=["unary", "stream"])
async def test_a_server_that_stops_in_order_answers_what_it_has(
    pool: EndpointDirectory, batching: bool
) -> None:
    """It says goodbye (GOAWAY) and goes on with what is in call; nothing is cut, and a stream does
    not keep it from stopping."""
    handler = Handler()
    server = grpc.aio.server()
    pb_grpc.add_TaskHandlerServiceServicer_to_server(handler, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pool.update([registration(port, replace(WAIT, batching=batching))])
    call = pool.call("claims", request("wait"), 30)

    async def asked() -> int:
        return len(handler.calls)

    await eventually(asked)
    stopping = asyncio.create_task(server.stop(60))

    async def reachable() -> bool:
        return pool.report()[f"handler-{port}"]["reachable"]

    await eventually(reachable, until=lambda up: not up)
    handler.release.set()
    assert isinstance(await call, Answered)
    async with asyncio.timeout(20):
        await stopping


async def test_static_endpoints_are_called_while_their_health_is_good(
    pool: EndpointDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEALTH_SECONDS", 0.1)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)

    def add(server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)

    async with serving(Handler(), add) as port:
        pool.update([registration(port, ECHO, static=True)])
        outcome = await pool.call("claims", request("echo"), 5)
        assert isinstance(outcome, NotSent)
        assert "is not serving (health check)" in outcome.reason
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)

        async def live() -> frozenset[TaskKey]:
            return pool.live_tasks()

        assert await eventually(live, timeout=20) == {("default", "echo")}
        assert isinstance(await pool.call("claims", request("echo"), 5), Answered)


async def test_a_leased_endpoint_is_called_until_it_says_that_it_is_not_serving(
    pool: EndpointDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEALTH_SECONDS", 0.1)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)

    def add(server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)

    async def live() -> frozenset[TaskKey]:
        return pool.live_tasks()

    async with serving(Handler(), add) as port:
        pool.update([registration(port, ECHO)])

        async def trouble() -> str:
            return str(next(iter(pool.report().values()))["last_error"])

        await eventually(trouble, until=lambda said: "is not serving (health check)" in said)
        assert pool.live_tasks() == frozenset()
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        assert await eventually(live, timeout=20) == {("default", "echo")}


async def test_a_static_endpoint_without_health_is_called_once_it_is_connected(
    pool: EndpointDirectory,
) -> None:
    async with serving(Handler()) as port:
        pool.update([registration(port, ECHO, static=True)])
        assert isinstance(await pool.call("claims", request("echo"), 5), Answered)


async def test_on_change_is_called_when_an_endpoint_connects() -> None:
    news: list[frozenset[str]] = []
    pool: Any = None
    pool = EndpointDirectory(
        Allowlist.parse("127.0.0.1"), on_change=lambda: news.append(pool.live_tasks())
    )
    async with serving(Handler()) as port:
        pool.update([registration(port, ECHO)])

        async def told() -> bool:
            return frozenset({("default", "echo")}) in news

        await eventually(told)
        await pool.close()


async def test_suspects_are_called_one_after_the_other(pool: EndpointDirectory) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([registration(port, ECHO, WAIT)])

        async def suspect(name: str) -> CallOutcome:
            async with pool.alone():
                return await pool.call("claims", request("wait", name), 30, alone=True)

        first = asyncio.create_task(suspect("1"))
        second = asyncio.create_task(suspect("2"))

        async def asked() -> int:
            return len(handler.calls)

        await eventually(asked)
        assert isinstance(await pool.call("claims", request("echo"), 30), Answered)
        assert [call.task_id for call in handler.calls] == ["wait", "echo"]
        handler.release.set()
        for outcome in (await first, await second):
            assert isinstance(outcome, Answered)


async def test_closing_gives_up_what_does_not_end_in_time(pool: EndpointDirectory) -> None:
    handler = Handler()
    async with serving(handler) as port:
        pool.update([registration(port, WAIT, task("wait2", batching=False))])
        call = pool.call("claims", request("wait"), 30)

        async def asked() -> int:
            return len(handler.calls)

        await eventually(asked)
        await pool.close(grace=0.1)
        assert await call == Cancelled()
        assert isinstance(await pool.call("claims", request("wait"), 5), NotSent)
