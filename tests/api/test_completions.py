"""DeliveryCompletionService: pending deliveries, ended from any process."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from support.running_api import Api, history, refusal
from support.scripted_engine import reply, task

from waystation.v1 import blocker_pb2, workflow_service_pb2
from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.operation_pb2 import Operation, OperationList
from waystation.v1.result_pb2 import TaskFailure, TaskResult, WorkflowCompletion
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_api.deliveries import completions
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.model import Delivery, DeliveryState
from waystation_domain.outcomes import Pending

NAME = "w-1"


async def pending(api: Api) -> str:
    """A workflow whose first delivery is pending; its completion token."""
    token = await in_call(api)
    await api.engine.handle(NAME, "workflow.started", Pending(60.0))
    return token


async def token_of(
    api: Api, event_id: str, task_id: str = "claim_validator", *, edit: int = 0, attempt: int = 1
) -> str:
    """As a router would give it to the handler."""
    key = (await api.store.registry.snapshot()).completion_key
    return CompletionTokens(key).of(event_id, task_id, edit, attempt)


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
    return await token_of(api, event.event_id)


def result(**fields: Any) -> TaskResult:
    operation = Operation(path="/n", increment=1.0)
    return TaskResult(operations=OperationList(items=[operation]), **fields)


async def workflow(api: Api) -> Any:
    request = workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=NAME)
    return (await api.workflows.GetWorkflow(request)).context


async def test_a_completion_takes_effect_as_the_tasks_answer_would_have(api: Api) -> None:
    token = await pending(api)
    answer = result(events=[NewEvent(event_type="validated")])
    request = pb.CompleteDeliveryRequest(completion_token=token, result=answer, request_id="r-1")
    await api.completions.CompleteDelivery(request)
    # Repeated by its request_id it is one completion; without, there is nothing to complete.
    again = pb.CompleteDeliveryRequest(completion_token=token, result=answer, request_id="r-1")
    await api.completions.CompleteDelivery(again)
    other = pb.CompleteDeliveryRequest(completion_token=token, result=result(), request_id="r-2")
    refused = await refusal(api.completions.CompleteDelivery(other))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND")
    found = await workflow(api)
    assert found.data["n"] == 1
    (entry,) = [one for one in await history(api, NAME) if one.processed_by == "claim_validator"]
    assert (entry.attempt, len(entry.raised_event_ids)) == (1, 1)


async def test_a_failed_completion_spends_the_attempt(api: Api) -> None:
    token = await pending(api)
    failure = TaskFailure(reason="NO_LUCK", message="it did not work", permanent=True)
    await api.completions.FailDelivery(
        pb.FailDeliveryRequest(completion_token=token, failure=failure)
    )
    found = await workflow(api)
    assert found.status == WorkflowStatus.WORKFLOW_STATUS_FAILED
    assert found.failure.reason == "NO_LUCK"


async def test_an_extension_counts_from_now(api: Api) -> None:
    token = await pending(api)
    before = (await workflow(api)).version
    response = await api.completions.ExtendDelivery(
        pb.ExtendDeliveryRequest(completion_token=token, extension=Duration(seconds=3600))
    )
    explained = await api.workflows.ExplainWorkflow(
        workflow_service_pb2.ExplainWorkflowRequest(workflow_instance_id=NAME)
    )
    (blocker,) = explained.blockers
    assert blocker.kind == blocker_pb2.BLOCKER_KIND_PENDING_COMPLETION
    assert blocker.due_at.seconds == response.deadline.seconds
    assert "completion token" in blocker.remedy
    assert token not in blocker.remedy, "it is a right, and none of whoever may look"
    assert (await workflow(api)).version == before


async def test_a_completion_that_overtakes_its_pending_waits_for_it(api: Api) -> None:
    token = await in_call(api)
    call = api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(completion_token=token, result=result())
    )
    completed = asyncio.ensure_future(_awaited(call))
    await api.engine.handle(NAME, "workflow.started", Pending(60.0))
    await completed
    assert (await workflow(api)).data["n"] == 1


async def _awaited(call: Any) -> Any:
    return await call


async def test_what_never_answers_pending_is_not_completed(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(completions, "PATIENCE_SECONDS", 0.1)
    token = await in_call(api)
    request = pb.CompleteDeliveryRequest(completion_token=token, result=result())
    refused = await refusal(api.completions.CompleteDelivery(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DELIVERY_NOT_PENDING")
    event = await api.engine.pending(NAME, "workflow.started")
    parked = Delivery(event.event_id, "claim_validator", DeliveryState.NO_ENDPOINT)
    await api.engine.handle(NAME, "workflow.started", None, tasks=[task()], rows=[parked])
    refused = await refusal(
        api.completions.ExtendDelivery(
            pb.ExtendDeliveryRequest(completion_token=token, extension=Duration(seconds=1))
        )
    )
    assert refused.reason == "DELIVERY_NOT_FOUND"


async def test_a_workflow_that_ended_takes_no_completion(api: Api) -> None:
    token = await pending(api)
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id=NAME)
    )
    request = pb.CompleteDeliveryRequest(completion_token=token, result=result())
    refused = await refusal(api.completions.CompleteDelivery(request))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "WORKFLOW_ENDED",
    )


async def test_what_breaks_a_rule_is_refused_and_the_delivery_stays_pending(api: Api) -> None:
    token = await pending(api)
    event = await api.engine.pending(NAME, "workflow.started")
    stranger = CompletionTokens(b"another installation").of(event.event_id, "claim_validator", 0, 1)
    edited = await token_of(api, event.event_id, edit=1)
    elsewhere = await token_of(api, "01890000-0000-7000-8000-000000000000")
    for request, reason in (
        (pb.CompleteDeliveryRequest(completion_token=token), "INVALID_FIELD"),
        (pb.CompleteDeliveryRequest(result=result()), "INVALID_FIELD"),
        (pb.CompleteDeliveryRequest(completion_token="x", result=result()), "INVALID_FIELD"),
        (pb.CompleteDeliveryRequest(completion_token=token[:-1], result=result()), "INVALID_FIELD"),
        (pb.CompleteDeliveryRequest(completion_token=stranger, result=result()), "INVALID_FIELD"),
        (
            pb.CompleteDeliveryRequest(
                completion_token=f"{event.event_id}:claim_validator", result=result()
            ),
            "INVALID_FIELD",
        ),
        (
            pb.CompleteDeliveryRequest(completion_token=edited, result=result()),
            "DELIVERY_NOT_FOUND",
        ),
        (
            pb.CompleteDeliveryRequest(completion_token=elsewhere, result=result()),
            "DELIVERY_NOT_FOUND",
        ),
        (
            pb.CompleteDeliveryRequest(
                completion_token=token,
                result=result(complete=WorkflowCompletion(), fail=None, waits=[{"message": "?"}]),
            ),
            "RESPONSE_INVALID",
        ),
    ):
        assert (await refusal(api.completions.CompleteDelivery(request))).reason == reason
    await api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(completion_token=token, result=result())
    )


async def test_the_token_of_an_earlier_attempt_fails_nothing_and_its_result_counts(
    api: Api,
) -> None:
    first = await pending(api)
    failure = TaskFailure(reason="NO_LUCK", message="it did not work")
    await api.completions.FailDelivery(
        pb.FailDeliveryRequest(completion_token=first, failure=failure)
    )
    await api.engine.handle(NAME, "workflow.started", Pending(60.0), attempt=2)
    refused = await refusal(
        api.completions.FailDelivery(
            pb.FailDeliveryRequest(completion_token=first, failure=failure)
        )
    )
    assert refused.reason == "DELIVERY_NOT_FOUND"
    more = pb.ExtendDeliveryRequest(completion_token=first, extension=Duration(seconds=1))
    assert (await refusal(api.completions.ExtendDelivery(more))).reason == "DELIVERY_NOT_FOUND"
    await api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(completion_token=first, result=result())
    )
    assert (await workflow(api)).data["n"] == 1


async def test_a_completion_in_a_fan_out_settles_its_branch(api: Api) -> None:
    from waystation_domain.model import NewEvent as Raised
    from waystation_domain.outcomes import FanOut

    await in_call(api)
    group = FanOut((Raised("branch", {}),), Raised("then", {}))
    await api.engine.handle(NAME, "workflow.started", reply(fan_outs=(group,)))
    branch = await api.engine.pending(NAME, "branch")
    await api.engine.handle(NAME, "branch", Pending(60.0))
    token = await token_of(api, branch.event_id)
    await api.completions.CompleteDelivery(
        pb.CompleteDeliveryRequest(completion_token=token, result=result())
    )
    then = await api.engine.pending(NAME, "then")
    assert then.payload == {"failed_branches": []}
