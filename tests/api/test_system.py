"""GetSystemStatus: routers, queues and backlog at this moment; and an API without its Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.databases import migrated
from support.running_api import Api, refusal
from support.scripted_engine import failure, reply
from support.waiting import eventually

from localservers.postgres import PostgresServer
from waystation.v1 import system_pb2
from waystation.v1 import system_service_pb2 as pb
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.workflow_service_pb2 import GetWorkflowRequest, StartWorkflowRequest
from waystation_api.system import service
from waystation_core.ids import new_id
from waystation_core.ports.store import RouterReport
from waystation_domain.outcomes import Completion
from waystation_domain.pools import Pool


async def test_the_installation_is_counted(api: Api) -> None:
    for name in ("failed", "pending", "idle", "done", "retrying"):
        await api.workflows.StartWorkflow(
            StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
        )
    await api.engine.handle("idle", "workflow.started", None)
    await api.engine.handle("done", "workflow.started", reply(end=Completion()))
    await api.engine.handle("failed", "workflow.started", failure(permanent=True))
    await api.engine.handle("retrying", "workflow.started", failure())
    request = RegisterHandlerRequest(service_name="claims", host="127.0.0.1", port=7500)
    request.tasks.add(task_id="a", event_types=["x"], workflow_types=["*"], catch_up=2)
    handler = (await api.handlers.RegisterHandler(request)).handler
    router = new_id()
    await api.store.engine.heartbeat(
        router,
        "default",
        "host/1",
        30,
        RouterReport(3, 40, {handler.handler_id: {"reachable": False, "last_error": "gone"}}),
    )
    status = await api.system.GetSystemStatus(pb.GetSystemStatusRequest())
    assert dict(status.workflows_by_status) == {
        "ACTIVE": 3,
        "WAITING_FOR_INPUT": 0,
        "COMPLETED": 1,
        "FAILED": 1,
        "CANCELLED": 0,
    }
    assert (status.idle_workflows, status.dead_letters) == (1, 1)
    assert not status.workflows_estimated
    # The two ends were raised as events that no router has taken yet.
    assert (status.outbox_size, status.deliveries) == (3, 2)
    pending = await api.engine.pending("pending", "workflow.started")
    # An older one is dead-lettered: that is told by the number of those.
    assert status.oldest_unsettled_event_id == pending.event_id
    assert status.oldest_unsettled_workflow_instance_id == "pending"
    assert status.HasField("oldest_unsettled_event_age")
    (told,) = status.routers
    assert (told.router_id, told.calls_in_flight, told.results_committed) == (router, 3, 40)
    assert 29_000 < told.lease_remaining.ToMilliseconds() <= 30_000
    assert [queue.name for queue in status.queues] == ["waystation.router.default"]
    assert (status.handlers, status.unreachable_handlers) == (1, 1)
    assert status.broker_connected
    assert status.server_version


async def test_pools_are_there_until_their_queue_has_expired(api: Api) -> None:
    store, router = api.store.engine, new_id()
    await store.join_pool(Pool("fraud", ("fraud.#",), expires_seconds=300.0), 10.0)
    await store.heartbeat(router, "fraud", "host/1", 30, RouterReport(0, 0, {}), ["fraud.#"])

    async def queues() -> list[system_pb2.QueueStatus]:
        status = await api.system.GetSystemStatus(pb.GetSystemStatusRequest())
        assert [told.pool for told in status.routers] in (["fraud"], [])
        return list(status.queues)

    default, fraud = await queues()
    assert (default.pool, list(default.bindings), default.routers) == ("default", [], 0)
    assert not default.HasField("lapses_at")
    assert (fraud.name, fraud.pool) == ("waystation.router.fraud", "fraud")
    assert (list(fraud.bindings), fraud.routers) == (["fraud.#"], 1)
    assert not fraud.HasField("no_router_since")
    await store.leave(router)
    default, fraud = await queues()
    assert (list(fraud.bindings), fraud.routers) == (["fraud.#"], 0)
    assert 290 < fraud.lapses_at.seconds - fraud.no_router_since.seconds < 310
    assert not fraud.HasField("messages_ready")


async def test_what_is_left_out_is_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    store = api.store.engine
    for name in ("a", "b", "c"):
        await store.join_pool(Pool(name, (f"{name}.#",), expires_seconds=300.0), 10.0)
        await store.heartbeat(new_id(), name, "host/1", 30, RouterReport(0, 0, {}), [f"{name}.#"])

    async def told() -> tuple[list[str], int, list[str], int]:
        status = await api.system.GetSystemStatus(pb.GetSystemStatusRequest())
        routers = [router.pool for router in status.routers]
        queues = [queue.pool for queue in status.queues]
        return routers, status.routers_left_out, queues, status.queues_left_out

    everything = ["a", "b", "c"], 0, ["default", "a", "b", "c"], 0
    assert await told() == everything
    monkeypatch.setattr(service, "_MOST", 2)
    assert await told() == (["a", "b"], 1, ["default", "a"], 2)
    monkeypatch.undo()
    monkeypatch.setattr(service, "_QUEUES_BYTES", 60)
    assert await told() == (*everything[:2], ["default"], 3)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


async def test_without_postgres_calls_are_unavailable_and_health_says_so(
    own_postgres: PostgresServer, serve: Any
) -> None:
    api: Api = await serve(WAYSTATION_DATABASE_URL=own_postgres.fresh_database(migrated))
    health = health_pb2_grpc.HealthStub(api.channel)

    async def serving() -> int:
        answer = await health.Check(health_pb2.HealthCheckRequest())
        status: int = answer.status
        return status

    started = await api.workflows.StartWorkflow(StartWorkflowRequest(workflow_type="t"))
    own_postgres.stop_server("immediate")
    refused = await refusal(
        api.workflows.StartWorkflow(StartWorkflowRequest(workflow_type="t"), timeout=15)
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    await eventually(serving, until=lambda status: status == 2, timeout=20)
    own_postgres.start()
    await eventually(serving, until=lambda status: status == 1, timeout=30)
    got = await api.workflows.GetWorkflow(
        GetWorkflowRequest(workflow_instance_id=started.context.workflow_instance_id)
    )
    assert got.context.version == 1
