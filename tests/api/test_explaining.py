"""Explanations: each kind of blocker, with a remedy that can be typed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.running_api import Api
from support.scripted_engine import failure, reply, task

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation_core.domain.ids import new_id
from waystation_core.domain.model import Delivery, DeliveryState, OnFailure, Status
from waystation_core.domain.pools import Pool
from waystation_core.domain.results import WaitRequest
from waystation_core.ports.store import RouterReport


@pytest.fixture(autouse=True)
async def default_router(api: Api) -> str:
    """A router is alive."""
    return await router(api)


async def router(api: Api, pool: str = "default", *bindings: str) -> str:
    """A router that is alive, and its pool; what it is called."""
    router_id = new_id()
    if bindings:
        await api.store.engine.join_pool(Pool(pool, bindings, expires_seconds=300.0), 10.0)
    await api.store.engine.heartbeat(
        router_id, pool, "host/1", 60.0, RouterReport(0, 0, {}), bindings
    )
    return router_id


async def started(api: Api, name: str = "w-1") -> str:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    return name


async def register(api: Api, *task_ids: str, event_type: str = "workflow.started") -> None:
    await api.handlers.RegisterHandler(
        RegisterHandlerRequest(
            service_name="claims",
            host="127.0.0.1",
            port=7500,
            tasks=[
                TaskSpec(
                    task_id=task_id,
                    event_types=[event_type],
                    workflow_types=["t"],
                    catch_up=2,  # type: ignore[arg-type]
                )
                for task_id in task_ids
            ],
        )
    )


async def explained(api: Api, name: str = "w-1") -> tuple[str, dict[str, Any]]:
    """The summary, and the blockers by kind."""
    answer = await api.workflows.ExplainWorkflow(
        pb.ExplainWorkflowRequest(workflow_instance_id=name)
    )
    assert not answer.context.HasField("data")
    kinds = {pb.BlockerKind.Name(found.kind)[13:]: found for found in answer.blockers}
    assert len(kinds) == len(answer.blockers)
    assert all(found.message and found.remedy and found.since.seconds for found in answer.blockers)
    return answer.summary, kinds


async def test_an_event_that_nobody_handles(api: Api) -> None:
    name = await started(api)
    summary, found = await explained(api)
    assert list(found) == ["PENDING_EVENT"]
    assert "`workflow.started` was raised by client; no task handles it" in summary
    await api.engine.handle(name, "workflow.started", None)
    summary, found = await explained(api)
    assert list(found) == ["IDLE"]
    assert "`workflow.started` was raised by client; no task handles it" in summary
    assert "Register a task for `workflow.started` of workflow type `t`" in found["IDLE"].remedy


async def test_an_event_on_its_way_and_one_whose_service_is_gone(api: Api) -> None:
    await register(api, "claim_validator")
    await started(api)
    _, found = await explained(api)
    assert list(found) == ["PENDING_EVENT"]
    assert found["PENDING_EVENT"].task_id == "claim_validator"
    (handler,) = await api.store.registry.handlers()
    await api.store.registry.unregister(handler.handler_id)
    _, found = await explained(api)
    assert list(found) == ["NO_LIVE_ENDPOINT"]
    assert found["NO_LIVE_ENDPOINT"].service_name == "claims"
    assert "waystation handlers register --service claims" in found["NO_LIVE_ENDPOINT"].remedy


async def test_deliveries_off_the_fast_way(api: Api) -> None:
    tasks = [task(name) for name in ("retried", "called", "crowded", "gone", "next")]
    await register(api, *(one.task_id for one in tasks))
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    await api.engine.handle(
        name,
        "workflow.started",
        failure("NO_LUCK"),
        by=tasks[0],
        tasks=tasks,
        rows=[
            Delivery(event.event_id, "crowded", DeliveryState.AT_CAPACITY),
            Delivery(event.event_id, "gone", DeliveryState.NO_ENDPOINT),
            Delivery(event.event_id, "next", DeliveryState.READY),
        ],
    )
    summary, found = await explained(api)
    assert set(found) == {
        "RETRYING",
        "IN_CALL",
        "AT_CAPACITY",
        "NO_LIVE_ENDPOINT",
        "PENDING_EVENT",
    }
    assert summary.endswith("and 2 more.")
    retrying = found["RETRYING"]
    assert (retrying.task_id, retrying.attempts, retrying.last_error.reason) == (
        "retried",
        1,
        "NO_LUCK",
    )
    assert retrying.due_at.ToDatetime(UTC) > datetime.now(UTC).replace(year=2000)
    assert found["IN_CALL"].task_id == "called"
    assert found["NO_LIVE_ENDPOINT"].task_id == "gone"


async def test_waits_with_the_command_that_answers_them(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(
        name, "workflow.started", reply(wait=WaitRequest("How much?", wait_id="w-a"))
    )
    summary, found = await explained(api)
    assert "How much?" in summary
    waiting = found["WAITING_FOR_INPUT"]
    assert (waiting.wait_id, waiting.task_id) == ("w-a", "claim_validator")
    assert f"waystation input {name} --wait-id w-a --data" in waiting.remedy


async def test_a_failed_workflow_names_its_dead_letter_and_what_is_held(api: Api) -> None:
    await register(api, "claim_validator", "other", event_type="#")
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply("a", "b"))
    await api.engine.handle(name, "a", failure("BAD", permanent=True))
    await api.engine.handle(name, "b", reply(), by=task("other"))
    summary, found = await explained(api)
    assert {"DEAD_LETTER", "HELD"} == set(found)
    letter = found["DEAD_LETTER"]
    assert f"waystation dead-letters retry {letter.dead_letter_id}" in letter.remedy
    assert (letter.task_id, letter.last_error.reason) == ("claim_validator", "BAD")
    assert "FAILED" in summary


async def test_a_dead_letter_under_continue_is_named_too(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(
        name,
        "workflow.started",
        failure(permanent=True),
        by=task(on_failure=OnFailure.CONTINUE),
    )
    _, found = await explained(api)
    assert list(found) == ["DEAD_LETTER"]


async def test_what_has_ended_waits_for_nothing(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply(status=Status.COMPLETED))
    summary, found = await explained(api)
    assert (summary, found) == (f"{name} is COMPLETED; it waits for nothing.", {})


async def test_events_and_deliveries_that_no_router_takes(api: Api, default_router: str) -> None:
    await register(api, "scorer", event_type="#")
    name = await started(api)
    special = await router(api, "fraud", "fraud.#", "*.risk")
    await api.engine.handle(
        name, "workflow.started", reply("fraud.scored", "fraud.retried", "news"), by=task("scorer")
    )
    await api.engine.handle(name, "fraud.retried", failure("BUSY"), by=task("scorer"))

    async def blockers() -> dict[str, Any]:
        request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
        found = (await api.workflows.ExplainWorkflow(request)).blockers
        return {one.event_type: one for one in found}

    async def kinds() -> dict[str, tuple[str, str]]:
        return {
            event_type: (pb.BlockerKind.Name(one.kind)[13:], one.pool)
            for event_type, one in (await blockers()).items()
        }

    on_its_way = ("PENDING_EVENT", "")
    assert await kinds() == {
        "fraud.scored": on_its_way,
        "fraud.retried": ("RETRYING", ""),
        "news": on_its_way,
    }
    await api.store.engine.leave(special)
    # A delivery is in no queue, so the default pool has it at once.
    assert await kinds() == {
        "fraud.scored": ("NO_ROUTER", "fraud"),
        "fraud.retried": ("RETRYING", ""),
        "news": on_its_way,
    }
    held = (await blockers())["fraud.scored"]
    assert "belongs to pool fraud, which has had no router since" in held.message
    assert "`waystation-router --pool fraud --bind 'fraud.#' --bind '*.risk'`" in held.remedy
    assert "then the pool `default` takes it" in held.remedy
    assert 290 < held.due_at.seconds - held.since.seconds < 310

    await api.store.engine.leave(default_router)
    assert await kinds() == {
        "fraud.scored": ("NO_ROUTER", "fraud"),
        "fraud.retried": ("NO_ROUTER", "default"),
        "news": ("NO_ROUTER", "default"),
    }
    found = await blockers()
    assert not found["fraud.scored"].HasField("due_at")
    assert found["news"].message == "`news` waits: no router is alive"
    assert "`waystation-router`" in found["news"].remedy
    assert (found["fraud.retried"].task_id, found["fraud.retried"].attempts) == ("scorer", 1)
