"""Input, publish, cancel and dead letters: under the lock, once per request, refused by name."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from support.running_api import Api, history, refusal
from support.scripted_engine import failure, reply, task

from waystation.v1 import dead_letter_pb2, event_pb2
from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.dead_letter_pb2 import DeadLetterState
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_domain.model import OnFailure
from waystation_domain.operations import Operation
from waystation_domain.outcomes import Completion, WaitRequest

Code = grpc.StatusCode


async def started(api: Api, name: str = "w-1") -> str:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    return name


def answer(name: str, wait_id: str = "", **more: Any) -> pb.ProvideInputRequest:
    request = pb.ProvideInputRequest(workflow_instance_id=name, wait_id=wait_id, **more)
    request.input.update({"amount": 7})
    return request


def publish(name: str, event_type: str = "note.added", **more: Any) -> pb.PublishEventRequest:
    request = pb.PublishEventRequest(workflow_instance_id=name, **more)
    request.event.event_type = event_type
    request.event.payload.update({"text": "hello"})
    return request


def cancel(name: str, **more: Any) -> pb.CancelWorkflowRequest:
    return pb.CancelWorkflowRequest(workflow_instance_id=name, **more)


async def context(api: Api, name: str = "w-1") -> Any:
    request = pb.GetWorkflowRequest(workflow_instance_id=name)
    return (await api.workflows.GetWorkflow(request)).context


# --- many at once ----------------------------------------------------------------------------


async def test_changes_of_one_instance_leave_the_database_to_the_others(api: Api) -> None:
    name = await started(api)
    async with api.store.engine.locked(workflow_instance_id=name):
        published = [
            asyncio.ensure_future(api.workflows.PublishEvent(publish(name))) for _ in range(20)
        ]
        # One of them waits for the lock, the others for that one; with a connection each they would
        # hold all that there are until the lock's time-out, and be refused then.
        await started(api, "w-2")
    await asyncio.gather(*published)
    found = await api.store.queries.instances([name])
    assert found[name].version == 21


# --- input -----------------------------------------------------------------------------------


async def test_input_is_merged_raised_and_makes_the_instance_active(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(
        name, "workflow.started", reply(waits=(WaitRequest("How much?", wait_id="w-a"),))
    )
    given = await api.workflows.ProvideInput(answer(name))
    assert given.context.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    assert given.context.data["amount"] == 7
    assert not given.context.waits
    event = await api.engine.pending(name, "user.input.provided")
    asks = {"wait_id": "w-a", "task_id": "claim_validator", "message": "How much?"}
    assert event.event_id == given.event_id
    assert event.payload == {**asks, "input": {"amount": 7}}


async def test_an_answer_is_kept_apart_with_who_gave_it(api: Api) -> None:
    name = await started(api)
    asks = WaitRequest("How much?", wait_id="w-a", answer_path="/answers/a")
    await api.engine.handle(name, "workflow.started", reply(waits=(asks,)))
    assert (await context(api)).waits[0].answer_path == "/answers/a"
    wrong = await refusal(api.workflows.ProvideInput(answer(name, answered_by="x" * 201)))
    assert (wrong.reason, wrong.metadata["field"]) == ("INVALID_FIELD", "answered_by")
    given = await api.workflows.ProvideInput(answer(name, answered_by="Ada, claims desk"))
    assert given.context.data["answers"]["a"]["amount"] == 7
    assert "amount" not in given.context.data
    event = await api.engine.pending(name, "user.input.provided")
    assert event.payload["answered_by"] == "Ada, claims desk"
    entry = (await history(api))[-1]
    assert (entry.action, entry.wait_id, entry.answered_by) == ("input", "w-a", "Ada, claims desk")
    assert entry.processed_by == "client"


async def test_an_answer_for_which_data_has_no_place_any_more_is_refused(api: Api) -> None:
    name = await started(api)
    asks = WaitRequest("How much?", wait_id="w-a", answer_path="/answers/a")
    await api.engine.handle(name, "workflow.started", reply("more", waits=(asks,)))
    await api.engine.handle(name, "more", reply(change=[Operation("/answers", "set", 3)]))
    refused = await refusal(api.workflows.ProvideInput(answer(name)))
    assert (refused.code, refused.reason) == (Code.FAILED_PRECONDITION, "PATH_TYPE_MISMATCH")
    assert refused.metadata["path"] == "/answers/a"


async def test_input_where_none_or_another_is_asked_for_is_refused(api: Api) -> None:
    name = await started(api)
    early = await refusal(api.workflows.ProvideInput(answer(name)))
    assert (early.code, early.reason) == (Code.FAILED_PRECONDITION, "WORKFLOW_NOT_WAITING")
    assert early.metadata["status"] == "ACTIVE"
    await api.engine.handle(
        name, "workflow.started", reply("more", waits=(WaitRequest("A?", wait_id="w-a"),))
    )
    await api.engine.handle(name, "more", reply(waits=(WaitRequest("B?", wait_id="w-b"),)))
    which = await refusal(api.workflows.ProvideInput(answer(name)))
    assert (which.reason, which.metadata) == ("WAIT_ID_REQUIRED", {"wait_ids": "w-a,w-b"})
    other = await refusal(api.workflows.ProvideInput(answer(name, "w-c")))
    assert other.reason == "WORKFLOW_NOT_WAITING"
    half = await api.workflows.ProvideInput(answer(name, "w-b"))
    assert half.context.status == WorkflowStatus.WORKFLOW_STATUS_WAITING_FOR_INPUT
    whole = await api.workflows.ProvideInput(answer(name))
    assert whole.context.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE


async def test_one_of_two_inputs_at_once_wins(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply(waits=(WaitRequest("How much?"),)))
    results = await asyncio.gather(
        *(api.workflows.ProvideInput(answer(name)) for _ in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1


# --- publish ---------------------------------------------------------------------------------


async def test_a_published_event_is_raised_by_the_client(api: Api) -> None:
    name = await started(api)
    made = await api.workflows.PublishEvent(publish(name))
    assert list(made.task_ids) == []
    event = await api.engine.pending(name, "note.added")
    assert (event.event_id, event.raised_by, event.payload) == (
        made.event_id,
        "client",
        {"text": "hello"},
    )
    assert (await history(api))[-1].action == "publish"


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [
        ("workflow.started", "RESERVED_EVENT_TYPE"),
        ("workflow.completed", "RESERVED_EVENT_TYPE"),
        ("user.input.provided", "RESERVED_EVENT_TYPE"),
        ("", "INVALID_EVENT_TYPE"),
        ("a b", "INVALID_EVENT_TYPE"),
    ],
)
async def test_types_that_clients_may_not_raise(api: Api, event_type: str, reason: str) -> None:
    name = await started(api)
    refused = await refusal(api.workflows.PublishEvent(publish(name, event_type)))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, reason)
    assert (await context(api)).version == 1


async def test_the_limit_of_events_holds_for_publishing(serve: Any) -> None:
    api: Api = await serve(WAYSTATION_MAX_EVENTS_PER_WORKFLOW="2")
    name = await started(api)
    await api.workflows.PublishEvent(publish(name))
    refused = await refusal(api.workflows.PublishEvent(publish(name)))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_EVENTS")
    # It must still be able to end.
    assert (await api.workflows.CancelWorkflow(cancel(name))).context.failure.reason == "CANCELLED"


# --- cancel ----------------------------------------------------------------------------------


async def test_cancel_ends_an_instance_once(api: Api) -> None:
    name = await started(api)
    ended = await api.workflows.CancelWorkflow(cancel(name, reason="changed my mind"))
    assert ended.context.status == WorkflowStatus.WORKFLOW_STATUS_CANCELLED
    assert ended.context.failure.message == "changed my mind"
    again = await api.workflows.CancelWorkflow(cancel(name))
    assert again.context.version == ended.context.version
    late = await refusal(api.workflows.PublishEvent(publish(name)))
    assert (late.code, late.reason) == (Code.FAILED_PRECONDITION, "WORKFLOW_ENDED")
    assert late.metadata == {"workflow_instance_id": name, "status": "CANCELLED"}


async def test_what_ended_otherwise_can_not_be_cancelled(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply(end=Completion()))
    refused = await refusal(api.workflows.CancelWorkflow(cancel(name)))
    assert (refused.reason, refused.metadata["status"]) == ("WORKFLOW_ENDED", "COMPLETED")
    assert refused.message == f"Workflow {name} is COMPLETED; there is nothing left to cancel."


async def test_a_workflow_has_time_from_its_first_moment_on(api: Api) -> None:
    request = pb.StartWorkflowRequest(workflow_type="t", timeout={})
    refused = await refusal(api.workflows.StartWorkflow(request))
    assert (refused.reason, refused.metadata["field"]) == ("INVALID_FIELD", "timeout")


# --- what all changes share ------------------------------------------------------------------


async def test_an_expected_version_that_is_past_is_refused(api: Api) -> None:
    name = await started(api)
    await api.workflows.PublishEvent(publish(name, expected_version=1))
    for call in (
        api.workflows.PublishEvent(publish(name, expected_version=1)),
        api.workflows.CancelWorkflow(cancel(name, expected_version=1)),
        api.workflows.ProvideInput(answer(name, expected_version=1)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.ABORTED, "VERSION_MISMATCH")
        assert refused.metadata == {"expected_version": "1", "version": "2"}


async def test_a_repeated_request_has_one_effect_and_refusals_are_not_kept(api: Api) -> None:
    name = await started(api)
    early = await refusal(api.workflows.ProvideInput(answer(name, request_id="r-1")))
    assert early.reason == "WORKFLOW_NOT_WAITING"
    await api.engine.handle(name, "workflow.started", reply(waits=(WaitRequest("How much?"),)))
    results = await asyncio.gather(
        *(api.workflows.ProvideInput(answer(name, request_id="r-1")) for _ in range(5))
    )
    assert len({result.event_id for result in results}) == 1
    published = await asyncio.gather(
        *(api.workflows.PublishEvent(publish(name, request_id="r-1")) for _ in range(5))
    )
    assert len({result.event_id for result in published}) == 1
    assert [entry.action for entry in await history(api)] == [
        "start",
        "",
        "input",
        "publish",
    ]
    other = await started(api, "w-2")
    for reused in (publish(name, "other.type", request_id="r-1"), publish(other, request_id="r-1")):
        refused = await refusal(api.workflows.PublishEvent(reused))
        assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_unknown_instances_and_missing_fields_are_refused(api: Api) -> None:
    for call in (
        api.workflows.ProvideInput(answer("nobody")),
        api.workflows.PublishEvent(publish("nobody")),
        api.workflows.CancelWorkflow(cancel("nobody")),
    ):
        assert (await refusal(call)).reason == "WORKFLOW_NOT_FOUND"
    name = await started(api)
    for call, field in (
        (api.workflows.ProvideInput(pb.ProvideInputRequest(workflow_instance_id=name)), "input"),
        (api.workflows.PublishEvent(pb.PublishEventRequest(workflow_instance_id=name)), "event"),
        (api.workflows.CancelWorkflow(cancel(name, reason="x" * 5000)), "reason"),
        (api.workflows.CancelWorkflow(cancel(name, expected_version=0)), "expected_version"),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", (field,))


# --- dead letters ----------------------------------------------------------------------------


async def letters(api: Api, **fields: Any) -> list[Any]:
    request = letters_pb.ListDeadLettersRequest(filter=dead_letter_pb2.DeadLetterFilter(**fields))
    return list((await api.dead_letters.ListDeadLetters(request)).dead_letters)


async def failed(
    api: Api, name: str = "w-1", on_failure: OnFailure = OnFailure.FAIL_WORKFLOW
) -> Any:
    """An instance whose one event is dead-lettered; the dead letter."""
    await started(api, name)
    await api.engine.handle(
        name,
        "workflow.started",
        failure("BAD_AMOUNT", permanent=True),
        by=task(on_failure=on_failure),
    )
    (letter,) = await letters(api, workflow_instance_ids=[name])
    return letter


async def test_a_dead_letter_fails_its_workflow_and_an_edited_retry_continues_it(
    api: Api,
) -> None:
    letter = await failed(api)
    assert (letter.task_id, letter.attempts, letter.error.reason) == (
        "claim_validator",
        1,
        "BAD_AMOUNT",
    )
    broken = await context(api)
    assert broken.status == WorkflowStatus.WORKFLOW_STATUS_FAILED
    assert (broken.failure.reason, broken.failure.task_id) == ("BAD_AMOUNT", "claim_validator")
    retry = letters_pb.RetryDeadLetterRequest(
        dead_letter_id=letter.dead_letter_id, request_id="r-1"
    )
    retry.payload.update({"amount": 10})
    for _ in range(2):
        answer = await api.dead_letters.RetryDeadLetter(retry)
        assert answer.dead_letter.dead_letter_id == letter.dead_letter_id
        assert answer.dead_letter.state == DeadLetterState.DEAD_LETTER_STATE_RETRIED
        assert answer.dead_letter.resolved_at.seconds
        assert (answer.context.workflow_instance_id, answer.context.status) == (
            "w-1",
            WorkflowStatus.WORKFLOW_STATUS_ACTIVE,
        )
    alive = await context(api)
    assert alive.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    assert not alive.HasField("failure")
    assert [entry.action for entry in await history(api)].count("dead_letter_retried") == 1
    key = (await api.store.queries.instances(["w-1"]))["w-1"].key
    deliveries = (await api.store.queries.open_work(key)).deliveries.shown
    ((row),) = [fact.delivery for fact in deliveries if fact.event.event_type == "workflow.started"]
    assert (row.payload, row.edit, row.attempts) == ({"amount": 10}, 1, 0)
    assert await letters(api) == []
    (kept,) = await letters(api, states=[DeadLetterState.DEAD_LETTER_STATE_RETRIED])
    assert kept == answer.dead_letter


async def test_discarding_the_last_one_settles_what_was_held(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply("a", "b"))
    await api.engine.handle(name, "a", failure(permanent=True))
    await api.engine.handle(name, "b", reply(), by=task("other"))
    (letter,) = await letters(api)
    discard = letters_pb.DiscardDeadLetterRequest(
        dead_letter_id=letter.dead_letter_id, request_id="r-1"
    )
    for _ in range(2):
        answer = await api.dead_letters.DiscardDeadLetter(discard)
        assert answer.dead_letter.dead_letter_id == letter.dead_letter_id
        assert answer.dead_letter.state == DeadLetterState.DEAD_LETTER_STATE_DISCARDED
        assert answer.context.status == WorkflowStatus.WORKFLOW_STATUS_FAILED
    page = await api.workflows.ListEvents(pb.ListEventsRequest(workflow_instance_id=name))
    states = {e.event.event_type: event_pb2.EventState.Name(e.state)[12:] for e in page.events}
    assert (states["a"], states["b"]) == ("SETTLED", "SKIPPED")
    (told,) = [e for e in page.events if e.event.event_type == "workflow.dead_letter.discarded"]
    assert told.event.payload["dead_letter_id"] == letter.dead_letter_id
    assert told.event.payload["event_id"] == letter.event.event_id
    assert (told.event.causation_id, told.event.raised_by) == (letter.event.event_id, "client")
    assert (await context(api)).status == WorkflowStatus.WORKFLOW_STATUS_FAILED


async def test_a_retry_under_continue_reopens_the_event_and_ends_idle_again(api: Api) -> None:
    letter = await failed(api, on_failure=OnFailure.CONTINUE)
    assert (await context(api)).status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    await api.dead_letters.RetryDeadLetter(
        letters_pb.RetryDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
    )
    assert not (await context(api)).HasField("idle")
    await api.engine.handle("w-1", "workflow.started", reply())
    assert (await context(api)).HasField("idle")


async def test_dead_letters_are_listed_by_page_and_filter(api: Api) -> None:
    made = [await failed(api, f"w-{number}") for number in range(3)]
    newest = [letter.dead_letter_id for letter in made[::-1]]
    first = await api.dead_letters.ListDeadLetters(letters_pb.ListDeadLettersRequest(page_size=2))
    rest = await api.dead_letters.ListDeadLetters(
        letters_pb.ListDeadLettersRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [letter.dead_letter_id for letter in (*first.dead_letters, *rest.dead_letters)] == newest
    assert not rest.next_page_token
    assert len(await letters(api, reasons=["BAD_AMOUNT"], event_types=["workflow.started"])) == 3
    assert await letters(api, reasons=["OTHER"]) == []
    assert await letters(api, task_ids=["other"]) == []
    assert await letters(api, workflow_types=["other"]) == []
    assert len(await letters(api, created_after=made[1].created_at)) == 2
    refused = await refusal(
        api.dead_letters.ListDeadLetters(letters_pb.ListDeadLettersRequest(page_token="x"))
    )
    assert refused.reason == "INVALID_PAGE_TOKEN"


async def test_one_that_is_resolved_is_distinguished_from_one_that_is_not_there(api: Api) -> None:
    """A client whose answer was lost sees that it was done, and what."""
    retried, discarded = await failed(api), await failed(api, "w-2")
    asked = letters_pb.RetryDeadLetterRequest(dead_letter_id=retried.dead_letter_id)
    await api.dead_letters.RetryDeadLetter(asked)
    asked_discard = letters_pb.DiscardDeadLetterRequest(dead_letter_id=discarded.dead_letter_id)
    await api.dead_letters.DiscardDeadLetter(asked_discard)
    for letter, state in ((retried, "RETRIED"), (discarded, "DISCARDED")):
        name = letter.dead_letter_id
        for call in (
            api.dead_letters.RetryDeadLetter(
                letters_pb.RetryDeadLetterRequest(dead_letter_id=name)
            ),
            api.dead_letters.DiscardDeadLetter(
                letters_pb.DiscardDeadLetterRequest(dead_letter_id=name)
            ),
        ):
            again = await refusal(call)
            assert (again.code, again.reason) == (Code.FAILED_PRECONDITION, "DEAD_LETTER_RESOLVED")
            assert again.metadata == {"dead_letter_id": name, "state": state}


async def test_dead_letters_of_all_states_are_listed_at_once(api: Api) -> None:
    made = [await failed(api, f"w-{number}") for number in range(3)]
    await api.dead_letters.RetryDeadLetter(
        letters_pb.RetryDeadLetterRequest(dead_letter_id=made[0].dead_letter_id)
    )
    await api.dead_letters.DiscardDeadLetter(
        letters_pb.DiscardDeadLetterRequest(dead_letter_id=made[1].dead_letter_id)
    )
    given_up, tried, untouched = (
        DeadLetterState.DEAD_LETTER_STATE_DISCARDED,
        DeadLetterState.DEAD_LETTER_STATE_RETRIED,
        DeadLetterState.DEAD_LETTER_STATE_OPEN,
    )

    async def shown(*states: Any) -> list[tuple[str, Any]]:
        return [
            (letter.workflow_instance_id, letter.state)
            for letter in await letters(api, states=states)
        ]

    everything = [("w-2", untouched), ("w-1", given_up), ("w-0", tried)]
    assert await shown(untouched, tried, given_up, tried) == everything
    assert await shown(given_up, tried) == everything[1:]
    assert await shown() == await shown(untouched) == everything[:1]
    for unknown in (DeadLetterState.DEAD_LETTER_STATE_UNSPECIFIED, 4):
        filter = dead_letter_pb2.DeadLetterFilter(states=[untouched, unknown])  # type: ignore[list-item]
        request = letters_pb.ListDeadLettersRequest(filter=filter)
        refused = await refusal(api.dead_letters.ListDeadLetters(request))
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", ("filter.states",))


async def test_dead_letters_that_are_not_there_are_refused(api: Api) -> None:
    for dead_letter_id in ("no-uuid", "01a20449-01c6-726b-8b8d-274f151986bd"):
        for call in (
            api.dead_letters.RetryDeadLetter(
                letters_pb.RetryDeadLetterRequest(dead_letter_id=dead_letter_id)
            ),
            api.dead_letters.DiscardDeadLetter(
                letters_pb.DiscardDeadLetterRequest(dead_letter_id=dead_letter_id)
            ),
        ):
            refused = await refusal(call)
            assert refused.reason == "DEAD_LETTER_NOT_FOUND"
            assert refused.metadata == {"dead_letter_id": dead_letter_id}
    missing = await refusal(api.dead_letters.RetryDeadLetter(letters_pb.RetryDeadLetterRequest()))
    assert (missing.reason, missing.fields) == ("INVALID_FIELD", ("dead_letter_id",))
