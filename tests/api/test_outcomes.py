"""Who waits is answered by the notice of the end, if a server of this installation sealed it; else by a read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.running_api import Api
from support.scripted_engine import reply
from support.scripted_store import unavailable
from support.waiting import eventually

from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_core.outcome_seal import OutcomeSeal
from waystation_core.ports.broker import Notice
from waystation_domain.model import Status
from waystation_domain.outcomes import Completion


@pytest.fixture
def reads(api: Api) -> list[str]:
    """The instances that the API's calls read."""
    found: list[str] = []

    def note(given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        found.extend(given[0])
        return False

    api.script.on("instances", unavailable(), when=note)
    return found


async def _key(api: Api) -> bytes:
    return (await api.store.registry.snapshot()).completion_key


async def _run(api: Api) -> tuple[str, asyncio.Future[pb.RunWorkflowResponse]]:
    """A call that waits for a workflow that it started."""
    name = "w-1"
    request = pb.RunWorkflowRequest(
        start=pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    run = asyncio.ensure_future(api.workflows.RunWorkflow(request))

    async def stored() -> bool:
        return bool(await api.store.queries.instances([name]))

    # Who waits has subscribed first.
    await eventually(stored, what="the workflow to be started")
    return name, run


def _ended(name: str, key: bytes, version: int = 7) -> Notice:
    """The notice of an end that no database has."""
    context = workflow_pb2.WorkflowContext(
        workflow_instance_id=name,
        workflow_type="t",
        status=int(Status.COMPLETED),  # type: ignore[arg-type]
        version=version,
        namespace="default",
    )
    context.output["by"] = "the notice"
    body = context.SerializeToString()
    outcome = OutcomeSeal(key)._seal.sealed(body)
    return Notice(name, version, int(Status.COMPLETED), outcome=outcome)


async def test_a_sealed_outcome_answers_without_a_read(api: Api, reads: list[str]) -> None:
    name, run = await _run(api)
    reads.clear()
    api.engine.relay._broker.notify([_ended(name, await _key(api))])
    async with asyncio.timeout(1.5):
        answer = await run
    assert answer.outcome == workflow_pb2.WAIT_OUTCOME_DONE
    assert answer.context.output["by"] == "the notice"
    assert reads == []


@pytest.mark.parametrize("forged", ["with another key", "of another instance", "cut"])
async def test_what_nobody_here_sealed_is_read_instead(
    api: Api, reads: list[str], forged: str
) -> None:
    name, run = await _run(api)
    reads.clear()
    if forged == "with another key":
        notice = _ended(name, b"k" * 32)
    else:
        notice = _ended("w-2" if forged == "of another instance" else name, await _key(api))
        end = -1 if forged == "cut" else None
        notice = Notice(name, 7, notice.status, outcome=notice.outcome[:end])
    api.engine.relay._broker.notify([notice])
    await api.engine.handle(name, "workflow.started", reply(end=Completion({"by": "the database"})))
    answer = await run
    assert answer.context.output["by"] == "the database"
    assert name in reads


async def test_of_two_ends_that_come_in_another_order_the_later_one_counts(api: Api) -> None:
    """It failed, was retried elsewhere, and completed."""
    name, run = await _run(api)
    key = await _key(api)
    api.engine.relay._broker.notify([_ended(name, key, version=9), _ended(name, key, version=7)])
    async with asyncio.timeout(1.5):
        assert (await run).context.version == 9


async def test_an_end_before_what_was_read_answers_nothing(api: Api, reads: list[str]) -> None:
    """A notice may be late: meanwhile the workflow was retried, say, and goes on."""
    name, run = await _run(api)
    run.cancel()
    reads.clear()
    wait = asyncio.ensure_future(
        api.workflows.WaitWorkflow(pb.WaitWorkflowRequest(workflow_instance_id=name))
    )

    async def was_read() -> bool:
        return name in reads

    await eventually(was_read, what="the first read")
    api.engine.relay._broker.notify([_ended(name, await _key(api), version=1)])
    await api.engine.handle(name, "workflow.started", reply(end=Completion({"by": "the database"})))
    assert (await wait).context.output["by"] == "the database"
