"""DeliveryCompletionService: pending deliveries, ended from any process."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from support.running_api import Api, refusal
from support.scripted_engine import reply, task

from waystation.v1 import blocker_pb2, workflow_service_pb2
from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.operation_pb2 import Operation, OperationList
from waystation.v1.result_pb2 import PendingCompletion, TaskFailure
from waystation.v1.status_pb2 import WorkflowStatus
from waystation.v1.task_handler_service_pb2 import HandleEventResponse
from waystation_api import completing
from waystation_core.domain.model import Delivery, DeliveryState
from waystation_core.domain.results import Pending

NAME = "w-1"


async def pending(api: Api) -> str:
    """A workflow whose first delivery is pending; its idempotency key."""
    key = await in_call(api)
    await api.engine.handle(NAME, "workflow.started", Pending(60.0))
    return key


async def in_call(api: Api) -> str:
    await api.handlers.RegisterHandler(
        RegisterHandlerRequest(
            service_name="claims",
            host="127.0.0.1",
            port=7500,
            tasks=[
                TaskSpec(
                    task_id="claim_validator",
                    event_types=["workflow.started"],
                    workflow_types=["t"],
                    max_attempts=2,
                )
            ],
        )
    )
    await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(workflow_type="t", workflow_instance_id=NAME)
    )
    event = await api.engine.pending(NAME, "workflow.started")
    return f"{event.event_id}:claim_validator"


def result(**fields: Any) -> HandleEventResponse:
    operation = Operation(path="/n", increment=1.0)
    return HandleEventResponse(operations=OperationList(items=[operation]), **fields)


async def workflow(api: Api) -> Any:
    request = workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=NAME, with_history=True)
    return (await api.workflows.GetWorkflow(request)).context


async def test_a_completion_takes_effect_as_the_tasks_answer_would_have(api: Api) -> None:
    key = await pending(api)
    response = result(events=[NewEvent(event_type="validated")])
    request = pb.CompleteDeliveryRequest(idempotency_key=key, response=response, request_id="r-1")
    await api.completions.CompleteDelivery(request)
    # Repeated by its request_id it is one completion; without, there is nothing to complete.
    again = pb.CompleteDeliveryRequest(idempotency_key=key, response=response, request_id="r-1")
    await api.completions.CompleteDelivery(again)
    other = pb.CompleteDeliveryRequest(idempotency_key=key, response=result(), request_id="r-2")
    refused = await refusal(api.completions.CompleteDelivery(other))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND")
    found = await workflow(api)
    assert found.data["n"] == 1
    (entry,) = [one for one in found.history if one.processed_by == "claim_validator"]
    assert (entry.attempt, len(entry.raised_event_ids)) == (1, 1)


async def test_a_failed_completion_spends_the_attempt(api: Api) -> None:
    key = await pending(api)
    failure = TaskFailure(reason="NO_LUCK", message="it did not work", permanent=True)
    await api.completions.FailDelivery(pb.FailDeliveryRequest(idempotency_key=key, failure=failure))
    found = await workflow(api)
    assert found.status == WorkflowStatus.WORKFLOW_STATUS_FAILED
    assert found.failure.reason == "NO_LUCK"


async def test_an_extension_counts_from_now(api: Api) -> None:
    key = await pending(api)
    before = (await workflow(api)).version
    response = await api.completions.ExtendDelivery(
        pb.ExtendDeliveryRequest(idempotency_key=key, extension=Duration(seconds=3600))
    )
    explained = await api.workflows.ExplainWorkflow(
        workflow_service_pb2.ExplainWorkflowRequest(workflow_instance_id=NAME)
    )
    (blocker,) = explained.blockers
    assert blocker.kind == blocker_pb2.BLOCKER_KIND_PENDING_COMPLETION
    assert blocker.due_at.seconds == response.deadline.seconds
    assert key in blocker.remedy
    assert (await workflow(api)).version == before


async def test_a_completion_that_overtakes_its_pending_waits_for_it(api: Api) -> None:
    key = await in_call(api)
    call = api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(idempotency_key=key, response=result())
    )
    completed = asyncio.ensure_future(_awaited(call))
    await api.engine.handle(NAME, "workflow.started", Pending(60.0))
    await completed
    assert (await workflow(api)).data["n"] == 1


async def _awaited(call: Any) -> Any:
    return await call


async def test_what_never_answers_pending_is_not_completed(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(completing, "PATIENCE_SECONDS", 0.1)
    key = await in_call(api)
    request = pb.CompleteDeliveryRequest(idempotency_key=key, response=result())
    refused = await refusal(api.completions.CompleteDelivery(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DELIVERY_NOT_PENDING")
    event_id = key.partition(":")[0]
    parked = Delivery(event_id, "claim_validator", DeliveryState.NO_ENDPOINT)
    await api.engine.handle(NAME, "workflow.started", None, tasks=[task()], rows=[parked])
    refused = await refusal(
        api.completions.ExtendDelivery(
            pb.ExtendDeliveryRequest(idempotency_key=key, extension=Duration(seconds=1))
        )
    )
    assert refused.reason == "DELIVERY_NOT_FOUND"


async def test_a_workflow_that_ended_takes_no_completion(api: Api) -> None:
    key = await pending(api)
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id=NAME)
    )
    request = pb.CompleteDeliveryRequest(idempotency_key=key, response=result())
    refused = await refusal(api.completions.CompleteDelivery(request))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "WORKFLOW_ENDED",
    )


async def test_what_breaks_a_rule_is_refused_and_the_delivery_stays_pending(api: Api) -> None:
    key = await pending(api)
    for request, reason in (
        (pb.CompleteDeliveryRequest(idempotency_key=key), "INVALID_FIELD"),
        (pb.CompleteDeliveryRequest(idempotency_key="x", response=result()), "INVALID_ID"),
        (
            pb.CompleteDeliveryRequest(idempotency_key=f"{key}:edit-1", response=result()),
            "DELIVERY_NOT_FOUND",
        ),
        (
            pb.CompleteDeliveryRequest(
                idempotency_key="01890000-0000-7000-8000-000000000000:a", response=result()
            ),
            "DELIVERY_NOT_FOUND",
        ),
        (
            pb.CompleteDeliveryRequest(
                idempotency_key=key, response=HandleEventResponse(failure=TaskFailure(message="x"))
            ),
            "INVALID_FIELD",
        ),
        (
            pb.CompleteDeliveryRequest(
                idempotency_key=key, response=HandleEventResponse(pending=PendingCompletion())
            ),
            "INVALID_FIELD",
        ),
        (
            pb.CompleteDeliveryRequest(
                idempotency_key=key,
                response=result(status=5),  # type: ignore[arg-type]
            ),
            "RESPONSE_INVALID",
        ),
    ):
        assert (await refusal(api.completions.CompleteDelivery(request))).reason == reason
    await api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(idempotency_key=key, response=result())
    )


async def test_a_completion_in_a_fan_out_settles_its_branch(api: Api) -> None:
    from waystation_core.domain.model import NewEvent as Raised
    from waystation_core.domain.results import FanOut

    key = await in_call(api)
    group = FanOut((Raised("branch", {}),), Raised("then", {}))
    await api.engine.handle(NAME, "workflow.started", reply(fan_outs=(group,)))
    branch = await api.engine.pending(NAME, "branch")
    await api.engine.handle(NAME, "branch", Pending(60.0))
    key = f"{branch.event_id}:claim_validator"
    await api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(idempotency_key=key, response=result())
    )
    then = await api.engine.pending(NAME, "then")
    assert then.payload == {"failed_branches": []}
