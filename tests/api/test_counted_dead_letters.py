"""CountDeadLetters and `retryable`: what a bulk command would be about, and which can still be retried."""

from __future__ import annotations

from typing import Any

from api.test_bulk_dead_letters import CONTINUE, failed, open_dead_letters, started
from support.running_api import Api, refusal
from support.scripted_engine import failure, reply

from waystation.v1 import dead_letter_service_pb2 as pb
from waystation.v1 import workflow_service_pb2
from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation_core.ports.store import DeadLetterFilter as StoredFilter
from waystation_domain.outcomes import Completion


async def counted(api: Api, **fields: Any) -> pb.CountDeadLettersResponse:
    request = pb.CountDeadLettersRequest(filter=DeadLetterFilter(**fields))
    answer: pb.CountDeadLettersResponse = await api.dead_letters.CountDeadLetters(request)
    return answer


async def cancel(api: Api, name: str) -> None:
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id=name)
    )


async def test_they_are_counted_by_task_and_reason_the_largest_group_first(api: Api) -> None:
    assert (await counted(api)).count == 0
    for number in range(3):
        await failed(api, f"w-{number}", reason="BAD", by=CONTINUE)
    last = await failed(api, "w-3", reason="WORSE", by=CONTINUE)
    await cancel(api, "w-0")
    answer = await counted(api)
    assert (answer.count, answer.retryable, answer.workflows) == (4, 3, 4)
    assert (answer.groups_left_out, answer.more) == (0, False)
    told = [
        (group.reason, group.count, group.retryable, group.workflows) for group in answer.groups
    ]
    assert told == [("BAD", 3, 2, 3), ("WORSE", 1, 1, 1)]
    assert {group.task_id for group in answer.groups} == {CONTINUE.task_id}
    assert answer.groups[1].first_created_at == answer.groups[1].last_created_at == last.created_at
    assert answer.groups[0].first_created_at.ToDatetime() < (
        answer.groups[0].last_created_at.ToDatetime()
    )
    assert (await counted(api, reasons=["WORSE"])).count == 1
    assert (await counted(api, workflow_instance_ids=["w-1", "w-3"])).workflows == 2


async def test_no_more_are_counted_than_bounds_allow(api: Api) -> None:
    for number in range(3):
        await failed(api, f"w-{number}", reason=f"R{number}")
    found = await api.store.queries.count_dead_letters(StoredFilter(), limit=2, groups=1)
    assert (found.count, found.more, len(found.groups), found.groups_left_out) == (2, True, 1, 2)
    found = await api.store.queries.count_dead_letters(StoredFilter(), limit=3)
    assert (found.count, found.more, found.groups_left_out) == (3, False, 0)


async def test_retryable_is_what_a_retry_would_do(api: Api) -> None:
    """In each status, of an event that the end raised too: a retry of each letter, against what was told."""
    await failed(api, "failed")
    await failed(api, "open", by=CONTINUE)
    await failed(api, "cancelled", by=CONTINUE)
    await cancel(api, "cancelled")
    await failed(api, "news")
    late = failure("LATE", permanent=True)
    await api.engine.handle("news", "workflow.failed", late, by=CONTINUE)
    await started(api, "done")
    await api.engine.handle("done", "workflow.started", reply("one", "other"))
    await api.engine.handle("done", "one", late, by=CONTINUE)
    await api.engine.handle("done", "other", reply(end=Completion()))
    await api.engine.handle("done", "workflow.completed", late, by=CONTINUE)
    told = {}
    for letter in await open_dead_letters(api):
        request = pb.RetryDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
        name = (letter.workflow_instance_id, letter.event.event_type)
        call = api.dead_letters.RetryDeadLetter(request)
        if letter.retryable:
            done = await call
            assert not done.dead_letter.retryable, "it is open no more"
        else:
            assert (await refusal(call)).reason == "WORKFLOW_ENDED"
        told[name] = letter.retryable
    assert told == {
        ("failed", "workflow.started"): True,
        ("open", "workflow.started"): True,
        ("cancelled", "workflow.started"): False,
        ("done", "one"): False,
        ("done", "workflow.completed"): True,
        ("news", "workflow.started"): True,
        ("news", "workflow.failed"): True,
    }


async def test_letters_are_found_by_the_beginning_of_their_ids(api: Api) -> None:
    letters = [await failed(api, f"w-{number}") for number in range(3)]
    for letter in letters:
        for length in (36, 35):
            found = await open_dead_letters(api, id_prefix=letter.dead_letter_id[:length])
            assert letter.dead_letter_id in [each.dead_letter_id for each in found]
    (alone,) = await open_dead_letters(api, id_prefix=letters[0].dead_letter_id)
    assert alone == letters[0]
    assert await open_dead_letters(api, id_prefix="ffff") == []


async def test_workflows_are_found_by_the_beginning_of_their_ids_and_by_correlation(
    api: Api,
) -> None:
    pb_ = workflow_service_pb2
    for name, case in (("a-1", "x"), ("a-2", "y"), ("a.3", "x"), ("ab", ""), ("b-1", "x")):
        await api.workflows.StartWorkflow(
            pb_.StartWorkflowRequest(
                workflow_type="t", workflow_instance_id=name, correlation_id=case or None
            )
        )

    async def found(prefix: str, limit: int = 0) -> tuple[list[str], bool]:
        answer = await api.workflows.FindWorkflowIds(
            pb_.FindWorkflowIdsRequest(prefix=prefix, limit=limit)
        )
        return list(answer.workflow_instance_ids), answer.more

    async def listed(**filter: Any) -> list[str]:
        answer = await api.workflows.ListWorkflows(pb_.ListWorkflowsRequest(filter=filter))
        return [each.workflow_instance_id for each in answer.workflows]

    assert await found("a") == (["a-1", "a-2", "a.3", "ab"], False)
    assert await found("a", 3) == (["a-1", "a-2", "a.3"], True)
    assert await found("a-2") == (["a-2"], False)
    assert await found("c") == ([], False)
    assert await listed(id_prefix="a-") == ["a-2", "a-1"]
    assert await listed(correlation_ids=["x"]) == ["b-1", "a.3", "a-1"]
    assert await listed(correlation_ids=["x", "y"], id_prefix="a-") == ["a-2", "a-1"]
    await api.engine.handle("a-1", "workflow.started", reply())
