"""Retiring tasks at the API's door: what is open becomes dead letters, and nothing new comes."""

from __future__ import annotations

from typing import Any

import grpc
from api.test_handlers import register
from support.running_api import Api, history, refusal
from support.scripted_engine import failure, reply, task
from support.waiting import eventually

from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import handler_registry_service_pb2 as pb
from waystation.v1 import workflow_service_pb2
from waystation.v1.handler_pb2 import OnFailure, TaskSpec
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_domain.model import Delivery, DeliveryState
from waystation_domain.outcomes import Completion

Code = grpc.StatusCode
OLD, NEW = task("old"), task("new")


def spec(task_id: str, *event_types: str) -> TaskSpec:
    return TaskSpec(
        task_id=task_id,
        event_types=event_types or ("workflow.started",),
        workflow_types=["insurance_claim"],
    )


async def start(api: Api, name: str) -> list[str]:
    """Starts an instance; the tasks that handle it now."""
    started = await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(
            workflow_type="insurance_claim", workflow_instance_id=name
        )
    )
    return list(started.task_ids)


async def parked(api: Api, name: str, state: DeliveryState = DeliveryState.NO_ENDPOINT) -> None:
    """An instance whose first event waits for OLD in this state."""
    await start(api, name)
    event = await api.engine.pending(name, "workflow.started")
    row = Delivery(event.event_id, "old", state)
    await api.engine.handle(name, "workflow.started", None, tasks=[OLD], rows=[row])


async def dead(api: Api) -> dict[str, Any]:
    """The open dead letters, by their instances."""
    found = await api.dead_letters.ListDeadLetters(letters_pb.ListDeadLettersRequest())
    return {letter.workflow_instance_id: letter for letter in found.dead_letters}


async def test_a_renamed_tasks_deliveries_become_dead_letters_and_new_workflows_complete(
    serve: Any,
) -> None:
    api: Api = await serve(WAYSTATION_RETIRE_AFTER_SECONDS="1")
    made = await api.handlers.RegisterHandler(register(tasks=[spec("old")]))
    await parked(api, "w-1")
    # The same endpoint, deployed again.
    await api.handlers.RegisterHandler(register(tasks=[spec("new")], service_version="2"))
    letter = (await eventually(lambda: dead(api), timeout=30))["w-1"]
    assert (letter.task_id, letter.error.reason) == ("old", "TASK_RETIRED")
    assert letter.on_failure == OnFailure.ON_FAILURE_CONTINUE
    got = await api.workflows.GetWorkflow(
        workflow_service_pb2.GetWorkflowRequest(workflow_instance_id="w-1")
    )
    assert got.context.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    entry = (await history(api, "w-1"))[-1]
    assert (entry.processed_by, entry.attempt, entry.error.reason) == ("old", 0, "TASK_RETIRED")

    assert await start(api, "w-2") == ["new"]
    await api.engine.handle("w-2", "workflow.started", reply(end=Completion()), by=NEW)

    # The old version is rolled back to: its task goes on.
    back = await api.handlers.RegisterHandler(register(tasks=[spec("old"), spec("new")]))
    assert not back.handler.retired_task_ids
    assert back.handler.handler_id != made.handler.handler_id
    assert await start(api, "w-3") == ["new", "old"]
    await api.dead_letters.RetryDeadLetter(
        letters_pb.RetryDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
    )
    await api.engine.handle("w-1", "workflow.started", reply(end=Completion()), by=OLD)


async def test_an_operator_retires_a_task_permanently(api: Api) -> None:
    await api.handlers.RegisterHandler(register(tasks=[spec("old"), spec("new", "other")]))
    for name, state in (
        ("parked", DeliveryState.NO_ENDPOINT),
        ("crowded", DeliveryState.AT_CAPACITY),
        ("ready", DeliveryState.READY),
    ):
        await parked(api, name, state)
    await start(api, "retried")
    await api.engine.handle("retried", "workflow.started", failure(), by=OLD)
    await start(api, "in-call")
    await api.engine.handle("in-call", "workflow.started", reply(), by=NEW, tasks=[OLD, NEW])

    tried = pb.RetireTaskRequest(task_id="old", request_id="r-1", dry_run=True)
    assert (await api.handlers.RetireTask(tried)).retired_deliveries == 4
    assert await dead(api) == {}
    (listed,) = (await api.handlers.ListHandlers(pb.ListHandlersRequest(with_tasks=True))).handlers
    assert not listed.retired_task_ids

    wanted = pb.RetireTaskRequest(task_id="old", request_id="r-1")
    first = await api.handlers.RetireTask(wanted)
    await eventually(lambda: dead(api), until=lambda found: len(found) == 4, timeout=20)
    assert set(await dead(api)) == {"parked", "crowded", "ready", "retried"}
    assert first.retired_deliveries <= 4
    assert await api.handlers.RetireTask(wanted) == first
    reused = await refusal(
        api.handlers.RetireTask(pb.RetireTaskRequest(task_id="new", request_id="r-1"))
    )
    assert (reused.code, reused.reason) == (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    again = await api.handlers.RetireTask(pb.RetireTaskRequest(task_id="old"))
    assert again.retired_deliveries == 0

    # It is declared still, and still gets nothing.
    made = await api.handlers.RegisterHandler(register(tasks=[spec("old"), spec("new", "other")]))
    assert list(made.handler.retired_task_ids) == ["old"]
    (listed,) = (await api.handlers.ListHandlers(pb.ListHandlersRequest(with_tasks=True))).handlers
    assert list(listed.retired_task_ids) == ["old"]
    assert await start(api, "later") == []

    # What is in call counts; and a commit that was under way with the registry as it was.
    await api.engine.handle("in-call", "workflow.started", reply(end=Completion()), by=OLD)
    await parked(api, "late")
    await eventually(lambda: dead(api), until=lambda found: "late" in found, timeout=20)
    assert "in-call" not in await dead(api)


async def test_only_a_task_that_was_registered_can_be_retired(api: Api) -> None:
    wanted = pb.RetireTaskRequest(task_id="unknown", request_id="r-1")
    refused = await refusal(api.handlers.RetireTask(wanted))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "TASK_NOT_FOUND")
    assert refused.metadata == {"task_id": "unknown"}
    # A refusal is not kept.
    await api.handlers.RegisterHandler(register(tasks=[spec("unknown")]))
    await api.handlers.RetireTask(wanted)
    missing = await refusal(api.handlers.RetireTask(pb.RetireTaskRequest()))
    assert (missing.code, missing.reason) == (Code.INVALID_ARGUMENT, "INVALID_ID")
