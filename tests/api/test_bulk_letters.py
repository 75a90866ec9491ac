"""RetryDeadLetter and DiscardDeadLetter by filter: all that match, once, counted, whatever breaks off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.running_api import Api, refusal
from support.scripted_engine import failure, reply, task

from waystation.v1 import dead_letter_service_pb2 as pb
from waystation.v1 import workflow_service_pb2
from waystation.v1.dead_letter_pb2 import DeadLetterState
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_api import bulk
from waystation_core.domain.errors import StoreUnavailable
from waystation_core.domain.model import OnFailure

CONTINUE = task(on_failure=OnFailure.CONTINUE)


async def started(api: Api, name: str, workflow_type: str = "t") -> str:
    await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(
            workflow_type=workflow_type, workflow_instance_id=name
        )
    )
    return name


async def failed(
    api: Api, name: str, *, reason: str = "BAD", by: Any = None, workflow_type: str = "t"
) -> Any:
    """A workflow whose first event is dead-lettered; the dead letter."""
    await started(api, name, workflow_type)
    outcome = failure(reason, permanent=True)
    await api.engine.handle(name, "workflow.started", outcome, by=by or task())
    return (await open_letters(api))[0]


async def open_letters(api: Api, **fields: Any) -> list[Any]:
    request = pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(**fields), page_size=1000)
    return list((await api.dead_letters.ListDeadLetters(request)).dead_letters)


async def retry(api: Api, request_id: str = "", **fields: Any) -> int:
    request = pb.RetryDeadLetterRequest(filter=pb.DeadLetterFilter(**fields), request_id=request_id)
    answer = await api.dead_letters.RetryDeadLetter(request)
    return int(answer.retried)


async def discard(api: Api, request_id: str = "", **fields: Any) -> int:
    request = pb.DiscardDeadLetterRequest(
        filter=pb.DeadLetterFilter(**fields), request_id=request_id
    )
    answer = await api.dead_letters.DiscardDeadLetter(request)
    return int(answer.discarded)


async def status(api: Api, name: str) -> str:
    answer = await api.workflows.GetWorkflow(
        workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=name)
    )
    return WorkflowStatus.Name(answer.context.status).removeprefix("WORKFLOW_STATUS_")


async def test_every_field_of_the_filter_counts_and_all_must_hold(api: Api) -> None:
    first = await failed(api, "w-1")
    await failed(api, "w-2", reason="OTHER")
    await failed(api, "w-3", by=task("other"))
    last = await failed(api, "w-4", workflow_type="u")
    for nothing in (
        {"workflow_instance_id": "w-9"},
        {"event_type": "b"},
        {"reason": "OTHER", "task_id": "other"},
        {"created_before": first.created_at},
    ):
        assert await retry(api, **nothing) == 0
    assert len(await open_letters(api)) == 4
    assert await retry(api, reason="OTHER") == 1
    assert await discard(api, task_id="other") == 1
    assert await retry(api, workflow_type="u", created_after=last.created_at) == 1
    assert await retry(api, workflow_instance_id="w-1", event_type="workflow.started") == 1
    assert await open_letters(api) == []
    assert [await status(api, f"w-{n}") for n in (1, 2, 3, 4)] == [
        "ACTIVE",
        "ACTIVE",
        "FAILED",
        "ACTIVE",
    ]


async def test_several_of_one_workflow_go_together_with_what_they_held(api: Api) -> None:
    for name in ("w-1", "w-2"):
        await started(api, name)
        await api.engine.handle(name, "workflow.started", reply("a", "b", "c", "d"))
        await api.engine.handle(name, "a", failure(permanent=True), by=CONTINUE)
        await api.engine.handle(name, "b", failure(permanent=True))
        await api.engine.handle(name, "c", failure(permanent=True), by=CONTINUE)
        # Taken over and held.
        await api.engine.handle(name, "d", reply(), by=task("other"))
    assert await retry(api, workflow_instance_id="w-1") == len(await open_letters(api)) > 1
    assert await status(api, "w-1") == "ACTIVE"
    letters = len(await open_letters(api, workflow_instance_id="w-2"))
    assert await discard(api) == letters
    page = await api.workflows.ListEvents(
        workflow_service_pb2.ListEventsRequest(workflow_instance_id="w-2")
    )
    states = {
        entry.event.event_type: workflow_service_pb2.EventState.Name(entry.state)[12:]
        for entry in page.events
    }
    assert states["d"] == "SKIPPED"
    assert await status(api, "w-2") == "FAILED"


async def test_a_repeated_request_has_one_effect_and_the_same_answer(api: Api) -> None:
    for number in range(3):
        await failed(api, f"w-{number}")
    assert await retry(api, "r-1") == 3
    # They fail again: new dead letters, which the same request does not mean.
    for number in range(3):
        await api.engine.handle(f"w-{number}", "workflow.started", failure(permanent=True))
    assert await retry(api, "r-1") == 3
    assert len(await open_letters(api)) == 3
    other = pb.RetryDeadLetterRequest(filter=pb.DeadLetterFilter(task_id="x"), request_id="r-1")
    reused = await refusal(api.dead_letters.RetryDeadLetter(other))
    assert reused.reason == "REQUEST_ID_REUSED"
    # Scope is RPC and id.
    assert await discard(api, "r-1") == 3


async def test_what_broke_off_is_taken_up_and_counted_as_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await failed(api, f"w-{number}")
    carry_out = bulk.Changing.carry_out
    keys: list[int] = []

    async def breaks(self: Any, change: Any, decide: Any) -> Any:
        if change.key not in keys:
            keys.append(change.key)
        if len(keys) == 3:
            raise StoreUnavailable("gone for a while")
        return await carry_out(self, change, decide)

    with monkeypatch.context() as patch:
        patch.setattr(bulk.Changing, "carry_out", breaks)
        request = pb.RetryDeadLetterRequest(filter={}, request_id="r-1")
        assert (await refusal(api.dead_letters.RetryDeadLetter(request))).reason == (
            "STORE_UNAVAILABLE"
        )
    # One of those that were retried fails again meanwhile.
    await api.engine.handle("w-0", "workflow.started", failure(permanent=True))
    assert await retry(api, "r-1") == 4
    assert [letter.workflow_instance_id for letter in await open_letters(api)] == ["w-0"]


async def test_the_same_request_twice_at_once_retries_each_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LETTERS_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 2)
    for number in range(3):
        name = await started(api, f"w-{number}")
        events = [f"e{each}" for each in range(5)]
        await api.engine.handle(name, "workflow.started", reply(*events))
        for event in events:
            await api.engine.handle(name, event, failure(permanent=True), by=CONTINUE)
    both = await asyncio.gather(retry(api, "r-1"), retry(api, "r-1"))
    assert max(both) == 15
    assert await retry(api, "r-1") == 15
    assert len(await open_letters(api, state=DeadLetterState.DEAD_LETTER_STATE_RETRIED)) == 15


async def test_those_of_workflows_that_ended_for_good_stay_until_discarded(api: Api) -> None:
    await failed(api, "w-1", by=CONTINUE)
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id="w-1")
    )
    await failed(api, "w-2")
    assert await retry(api) == 1
    assert [letter.workflow_instance_id for letter in await open_letters(api)] == ["w-1"]
    assert await discard(api) == 1


async def test_what_makes_no_sense_is_refused(api: Api) -> None:
    payload = pb.RetryDeadLetterRequest(filter={})
    payload.payload.update({"a": 1})
    retried = DeadLetterState.DEAD_LETTER_STATE_RETRIED
    for call, field in (
        (api.dead_letters.RetryDeadLetter(payload), "payload"),
        (
            api.dead_letters.DiscardDeadLetter(
                pb.DiscardDeadLetterRequest(filter=pb.DeadLetterFilter(state=retried))
            ),
            "filter.state",
        ),
        (
            api.dead_letters.RetryDeadLetter(
                pb.RetryDeadLetterRequest(filter=pb.DeadLetterFilter(state=9))
            ),
            "filter.state",
        ),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", (field,))
