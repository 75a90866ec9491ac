"""WaitWorkflow and RunWorkflow: woken by notices, never stuck without them, always answered."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from support.running_api import Api, refusal
from support.scripted_engine import ScriptedEngine, reply
from support.scripted_store import unavailable
from support.waiting import eventually

from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_core.broker.in_process import InProcessBroker
from waystation_domain.outcomes import Completion, WaitRequest


async def started(api: Api, name: str) -> str:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    return name


def wait(name: str, seconds: int | None = None) -> pb.WaitWorkflowRequest:
    request = pb.WaitWorkflowRequest(workflow_instance_id=name)
    if seconds is not None:
        request.timeout.seconds = seconds
    return request


@pytest.fixture
def read(api: Api) -> set[str]:
    """The instances that the API's calls have read."""
    found: set[str] = set()

    def note(given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        found.update(given[0])
        return False

    api.script.on("instances", unavailable(), when=note)
    return found


async def waiting(read: set[str], *names: str) -> None:
    """Until somebody waits for each of them: who waits has subscribed first, and then reads."""

    async def unread() -> set[str]:
        return {*names} - read

    await eventually(unread, until=lambda left: not left, what="calls that wait")


async def test_a_wait_ends_when_the_instance_does(api: Api, read: set[str]) -> None:
    name = await started(api, "w-1")
    call = api.workflows.WaitWorkflow(wait(name))
    await waiting(read, name)
    await api.engine.handle(name, "workflow.started", reply(end=Completion({"paid": 10})))
    at = time.monotonic()
    answer = await call
    assert time.monotonic() - at < 1, "a notice woke it, not the next look"
    assert answer.outcome == workflow_pb2.WAIT_OUTCOME_DONE
    assert answer.context.output["paid"] == 10
    assert answer.context.completed_at.seconds


async def test_waiting_for_input_and_idle_end_a_wait_too(api: Api, read: set[str]) -> None:
    asks, idle = await started(api, "asks"), await started(api, "idle")
    calls = [api.workflows.WaitWorkflow(wait(name)) for name in (asks, idle)]
    await waiting(read, asks, idle)
    await api.engine.handle(asks, "workflow.started", reply(waits=(WaitRequest("How much?"),)))
    await api.engine.handle(idle, "workflow.started", None)
    first, second = await asyncio.gather(*calls)
    assert first.outcome == workflow_pb2.WAIT_OUTCOME_WAITING_FOR_INPUT
    assert [found.message for found in first.context.waits] == ["How much?"]
    assert second.outcome == workflow_pb2.WAIT_OUTCOME_IDLE
    assert (
        second.context.idle.message == "`workflow.started` was raised by client; no task handles it"
    )


async def test_a_wait_without_notices_looks_again(api: Api, read: set[str]) -> None:
    name = await started(api, "w-1")
    call = api.workflows.WaitWorkflow(wait(name))
    await waiting(read, name)
    # Its notices go to a broker that the API does not hear.
    elsewhere = ScriptedEngine(api.store.engine, api.store.queries, InProcessBroker())
    await elsewhere.handle(name, "workflow.started", reply(end=Completion()))
    async with asyncio.timeout(5):
        assert (await call).outcome == workflow_pb2.WAIT_OUTCOME_DONE


async def test_the_answer_comes_before_the_callers_own_deadline(api: Api) -> None:
    name = await started(api, "w-1")
    answer = await api.workflows.WaitWorkflow(wait(name), timeout=0.6)
    assert answer.outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT
    assert answer.context.version == 1
    at_once = await api.workflows.WaitWorkflow(wait(name, 0))
    assert at_once.outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT


async def test_what_can_not_be_waited_for_is_refused(api: Api) -> None:
    unknown = await refusal(api.workflows.WaitWorkflow(wait("nobody")))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "WORKFLOW_NOT_FOUND")
    long = await refusal(api.workflows.WaitWorkflow(wait("nobody", 601)))
    assert (long.reason, long.metadata["field"]) == ("INVALID_FIELD", "timeout")


async def test_a_thousand_wait_at_once_over_one_channel(api: Api, read: set[str]) -> None:
    names = [f"w-{number}" for number in range(20)]
    for name in names:
        await started(api, name)
    calls = [api.workflows.WaitWorkflow(wait(names[n % 20])) for n in range(1000)]
    await waiting(read, *names)
    for name in names:
        await api.engine.handle(name, "workflow.started", reply(end=Completion()))
    answers = await asyncio.gather(*calls)
    assert {answer.outcome for answer in answers} == {workflow_pb2.WAIT_OUTCOME_DONE}


async def test_stopping_answers_those_that_wait(api: Api, read: set[str]) -> None:
    name = await started(api, "w-1")
    call = api.workflows.WaitWorkflow(wait(name))
    await waiting(read, name)
    await api.server.stop()
    assert (await call).outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT


async def test_run_sends_the_id_at_once_and_answers_at_the_end(api: Api) -> None:
    request = pb.RunWorkflowRequest(start=pb.StartWorkflowRequest(workflow_type="t"))
    request.start.request_id = "r-1"
    request.early_id = True
    # This client gives a unary call's metadata with its answer only; a stream's it gives at once.
    run = api.channel.unary_stream(
        "/waystation.v1.WorkflowService/RunWorkflow",
        request_serializer=pb.RunWorkflowRequest.SerializeToString,
        response_deserializer=pb.RunWorkflowResponse.FromString,
    )
    call = run(request)
    metadata = dict(await call.initial_metadata())
    name = metadata["waystation-workflow-instance-id"]
    await api.engine.handle(name, "workflow.started", reply(end=Completion()))
    (answer,) = [answer async for answer in call]
    assert (answer.created, answer.outcome) == (True, workflow_pb2.WAIT_OUTCOME_DONE)
    assert answer.context.workflow_instance_id == name

    again = await api.workflows.RunWorkflow(request)
    assert (again.created, again.outcome) == (False, workflow_pb2.WAIT_OUTCOME_DONE)
    assert again.context.workflow_instance_id == name
    assert metadata["waystation-workflow-created"] == "true"
    repeated = run(request)
    assert dict(await repeated.initial_metadata())["waystation-workflow-created"] == "false"


async def test_run_without_a_start_is_refused(api: Api) -> None:
    refused = await refusal(api.workflows.RunWorkflow(pb.RunWorkflowRequest()))
    assert (refused.reason, refused.fields) == ("INVALID_FIELD", ("start",))
