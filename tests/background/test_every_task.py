"""Every background task of API and router, by its name: a fault in it, or its end, is never silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.in_process import InProcess, in_process
from support.waiting import eventually

from waystation_core.background import owned, owner
from waystation_core.rpc.channels import open_channel
from waystation_worker import Backoff, HandlerService, TaskContext

AGAIN = {
    "api": {
        "registry",
        "probe",
        "reconciler",
        "health",
        "catch up",
        "retire tasks",
        "backlog",
        "audit",
        "namespaces",
    },
    "router": {
        "registry",
        "probe",
        "reconciler",
        "lease",
        "sweep deliveries",
        "sweep suspects",
        "sweep events",
        "sweep losses",
        "sweep starving",
        "sweep parked",
        "sweep overdue",
        "sweep lapsed",
        "sweep leases",
        "sweep timers",
        "sweep holds",
        "sweep requests",
    },
    "endpoint": {"endpoint", "health"},
    "broker": {"link", "watch consumer"},
}
ENDS_THE_PROCESS = {"intake", "commit 1", "commit 2", "batches"}

service = HandlerService("claims", version="1.0.0")


@service.task(
    "flaky",
    events=["workflow.started"],
    workflow_types=["claim"],
    backoff=Backoff(initial=0.05, maximum=0.1, jitter=0.0),
)
async def _flaky(ctx: TaskContext) -> None:
    if ctx.attempt == 1:
        raise RuntimeError("no luck")
    ctx.complete({"attempt": ctx.attempt})


def _family(name: str) -> str:
    """Tasks of which there are several carry a place in their name."""
    first = name.split(" ", 1)[0]
    return first if first in ("link", "endpoint") or name.startswith("health ") else name


@contextlib.asynccontextmanager
async def _running(database_url: str, amqp_url: str) -> AsyncIterator[InProcess]:
    async with (
        in_process(database_url, amqp_url, router_lease_seconds="2") as running,
        service.serving(address=running.api.address, lease=5),
    ):
        await _works(running)
        yield running


async def _works(running: InProcess) -> None:
    """The whole of it: registered, started, announced, called, retried by a sweep, committed."""
    async with asyncio.timeout(60):
        started = await eventually(
            lambda: running.client.start("claim", {}),
            until=lambda started: bool(started.task_ids),
            what="the task to be registered",
        )
        # A start during the registration may be settled before it: then it is idle until the task has caught up.
        result = await eventually(
            lambda: running.client.wait(started.id),
            until=lambda result: result.ended,
            what="the workflow to end",
        )
    assert result.status == "COMPLETED"


async def test_a_fault_in_any_loop_is_survived(
    database_url: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned, "LONGEST_WAIT_SECONDS", 0.05)
    async with _running(database_url, amqp_url) as running:
        kept = set(owner().kept)
        found = {_family(one.name) for one in kept} - ENDS_THE_PROCESS
        # A new one belongs into the table, with what must be true when it fails.
        assert found == set().union(*AGAIN.values()), found
        for one in sorted(kept, key=lambda one: one.name):
            if one.name not in ENDS_THE_PROCESS:
                one.throw(RuntimeError("made up"))
        await _works(running)
        assert owner().death is None
        now = {_family(one.name) for one in owner().kept} - ENDS_THE_PROCESS
        assert now == found
        async with open_channel(running.api.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def serving() -> bool:
                answer = await stub.Check(health_pb2.HealthCheckRequest())
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

            await eventually(serving)


@pytest.mark.parametrize("name", sorted(ENDS_THE_PROCESS - {"batches"}))
async def test_one_that_cannot_begin_again_ends_the_process(
    name: str, database_url: str, amqp_url: str
) -> None:
    async with _running(database_url, amqp_url):
        (kept,) = (one for one in owner().kept if one.name == name)
        kept.throw(RuntimeError("made up"))
        await kept.wait()
        assert name in str(owner().death)
