"""Postgres cannot do its work for a while: nobody's attempt, and everything ends well afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs
from support.databases import migrated
from support.in_process import InProcess, in_process
from support.running_api import Refusal, refusal
from support.waiting import eventually

from localservers.postgres import PostgresServer
from waystation.v1 import workflow_service_pb2, workflow_service_pb2_grpc
from waystation_core.rpc.channels import open_channel
from waystation_worker import HandlerService, TaskContext

WORKFLOWS = 30
WRITING = "-c default_transaction_read_only=off"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


class Held:
    """A task that is in call until the test lets go; it may be tried once only."""

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.open = asyncio.Event()
        self.service = HandlerService("held", version="1.0.0")

        @self.service.task(
            "held", events=["workflow.started"], workflow_types=["held"], max_attempts=1
        )
        async def held(ctx: TaskContext) -> None:
            self.attempts.append(ctx.attempt)
            await self.open.wait()
            ctx.complete({"attempt": ctx.attempt})

    async def in_call(self) -> int:
        return len(self.attempts)


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, options=WRITING) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]  # a text, not a literal


_TRIGGER = (
    "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION 'invalid page' USING ERRCODE = 'XX001'; END$$",
    "CREATE TRIGGER broken BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION broken()",
)
OUTAGES = {
    "read-only": (
        ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
        ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
        "read-only",
    ),
    "table away": (
        ("ALTER TABLE history RENAME TO history_away",),
        ("ALTER TABLE history_away RENAME TO history",),
        "tables do not match this release",
    ),
    "broken page": (_TRIGGER, ("DROP TRIGGER broken ON history",), "internal error"),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_under_calls_spends_no_attempt(server: PostgresServer, outage: str) -> None:
    begin, end, says = OUTAGES[outage]
    url = server.fresh_database(migrated)
    held = Held()
    with capture_logs() as logs:
        async with (
            in_process(url, router_lease_seconds="3") as running,
            held.service.serving(address=running.api.address, lease=30),
            open_channel(running.api.address) as channel,
        ):
            first = await eventually(
                lambda: running.client.start("held", {}),
                until=lambda started: bool(started.task_ids),
                what="the task to be registered",
            )
            more = [await running.client.start("held", {}) for _ in range(WORKFLOWS - 1)]
            ids = [started.id for started in (first, *more)]
            await eventually(held.in_call, until=lambda calls: calls >= WORKFLOWS, timeout=60)
            before = len(logs)

            await asyncio.to_thread(_run, url, *begin)
            try:
                held.open.set()
                stub = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
                request = workflow_service_pb2.StartWorkflowRequest(workflow_type="held")

                async def seen() -> Refusal | None:
                    try:
                        return await refusal(stub.StartWorkflow(request, timeout=30))
                    except pytest.fail.Exception:
                        # Sessions of Postgres hear of new settings one by one.
                        return None

                refused = await eventually(seen, what="the outage to be seen")
                assert refused is not None
                assert refused.reason == "STORE_UNAVAILABLE"
                assert says in refused.message
                await eventually(_health(channel), until=lambda status: status == "NOT_SERVING")

                async def told() -> set[str]:
                    return {line["event"] for line in logs[before:]}

                await eventually(told, until=lambda events: "commit_repeated" in events)
                if outage == "read-only":
                    await eventually(told, until=lambda events: "lease_not_renewed" in events)
                await eventually(_ready(running), until=lambda ready: not ready)
            finally:
                await asyncio.to_thread(_run, url, *end)

            for workflow_instance_id in ids:
                workflow = await running.client.wait(workflow_instance_id, timeout=60)
                assert (workflow.status, workflow.output) == ("COMPLETED", {"attempt": 1})
            await eventually(_health(channel), until=lambda status: status == "SERVING")
            await eventually(_ready(running))
    assert set(held.attempts) == {1}
    said = [line for line in logs[before:] if line["log_level"] in ("warning", "error")]
    assert len(said) < 60, [line["event"] for line in said]
    assert any(line["event"] == "not_serving" and says in line["why"] for line in said)


Look: TypeAlias = Callable[[], Awaitable[Any]]


def _ready(running: InProcess) -> Look:
    async def look() -> bool:
        return running.router.ready

    return look


def _health(channel: grpc.aio.Channel) -> Look:
    stub = health_pb2_grpc.HealthStub(channel)

    async def look() -> str:
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    return look
