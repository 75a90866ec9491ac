"""GetWorkflow at any sequence, and lists that page."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from support.running_api import Api, history, refusal
from support.scripted_engine import failure, reply, task

from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import event_pb2
from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.history_pb2 import HistoryResult
from waystation.v1.status_pb2 import WorkflowStatus
from waystation.v1.workflow_pb2 import WorkflowFilter
from waystation_api import pages as pages_of
from waystation_conversion.structs import to_dict
from waystation_core.ports.store import WorkflowFilter as StoredFilter
from waystation_core.store import workflow_lists
from waystation_domain.operations import Operation
from waystation_domain.outcomes import Completion, Failing, Patch, Replacement, WaitRequest


async def started(api: Api, name: str, workflow_type: str = "t", **data: Any) -> str:
    request = pb.StartWorkflowRequest(workflow_type=workflow_type, workflow_instance_id=name)
    request.data.update(data)
    await api.workflows.StartWorkflow(request)
    return name


async def got(api: Api, name: str, **fields: Any) -> Any:
    request = pb.GetWorkflowRequest(workflow_instance_id=name, **fields)
    return (await api.workflows.GetWorkflow(request)).context


async def test_an_instance_is_given_as_it_was_at_every_sequence(api: Api) -> None:
    name = await started(api, "w-1", n=1, list=[1])
    seen = [to_dict((await got(api, name)).data)]
    changes: list[Any] = [
        reply(
            "next.1", change=[Operation("/n", "increment", 0.5), Operation("/list", "append", 2)]
        ),
        failure(),
        reply("next.2", waits=(WaitRequest("How much?", wait_id="w-a"),)),
    ]
    await api.engine.handle(name, "workflow.started", changes[0])
    seen.append(to_dict((await got(api, name)).data))
    await api.engine.handle(name, "next.1", changes[1])
    seen.append(to_dict((await got(api, name)).data))
    await api.engine.handle(name, "next.1", changes[2], attempt=2)
    seen.append(to_dict((await got(api, name)).data))
    waiting_at = (await got(api, name)).version
    answer = pb.ProvideInputRequest(workflow_instance_id=name)
    answer.input.update({"amount": 7, "a/b~": {"deep": None}})
    await api.workflows.ProvideInput(answer)
    seen.append(to_dict((await got(api, name)).data))
    patch = reply()
    for change in (Patch({"n": None, "more": {"x": 1}}), Replacement({"all": "new"})):
        event_type = "next.2" if isinstance(change, Patch) else "user.input.provided"
        await api.engine.handle(name, event_type, type(patch)(change=change), by=task(event_type))
        seen.append(to_dict((await got(api, name)).data))
    last = await got(api, name)
    entries = await history(api, name)
    assert [entry.sequence for entry in entries] == list(range(1, last.version + 1))
    assert last.version == len(seen)
    for sequence, data in enumerate(seen, start=1):
        past, entry = await got(api, name, at_sequence=sequence), entries[sequence - 1]
        assert to_dict(past.data) == data
        assert past.version == sequence
        assert past.updated_at == entry.processed_at
        waits = [found.wait_id for found in past.waits]
        assert waits == (["w-a"] if sequence == waiting_at else [])
        assert past.status == entry.status


async def test_history_shows_attempts_waits_and_ends(api: Api) -> None:
    name = await started(api, "w-1")
    await api.engine.handle(name, "workflow.started", failure("POLICY_MISSING"))
    await api.engine.handle(
        name,
        "workflow.started",
        reply(waits=(WaitRequest("?", wait_id="w-a"), WaitRequest("?", wait_id="w-b"))),
        attempt=2,
    )
    await api.workflows.CancelWorkflow(
        pb.CancelWorkflowRequest(workflow_instance_id=name, reason="changed my mind")
    )
    start, failed, asked, *rest = await history(api, name)
    assert (start.action, start.processed_by, list(start.raised_event_ids)) == (
        "start",
        "client",
        [start.event_id],
    )
    assert failed.result == HistoryResult.HISTORY_RESULT_FAILED
    assert (failed.attempt, failed.will_retry, failed.error.reason) == (1, True, "POLICY_MISSING")
    assert failed.next_attempt_at.ToNanoseconds() > failed.processed_at.ToNanoseconds()
    assert failed.duration.ToMicroseconds() == 1500
    assert (failed.service_name, failed.endpoint) == ("claims", "127.0.0.1:7500")
    assert (asked.attempt, asked.opened_wait_ids) == (2, ["w-a", "w-b"])
    assert asked.status == WorkflowStatus.WORKFLOW_STATUS_WAITING_FOR_INPUT
    cancelled = next(entry for entry in rest if entry.action == "cancel")
    assert (cancelled.note, cancelled.event_type) == ("changed my mind", "workflow.cancelled")


@pytest.mark.parametrize("sequence", [-1, 2])
async def test_a_sequence_that_is_not_there_is_refused(api: Api, sequence: int) -> None:
    name = await started(api, "w-1")
    refused = await refusal(
        api.workflows.GetWorkflow(
            pb.GetWorkflowRequest(workflow_instance_id=name, at_sequence=sequence)
        )
    )
    assert (refused.reason, refused.fields) == ("INVALID_FIELD", ("at_sequence",))


async def test_lists_page_newest_first_and_filter(api: Api) -> None:
    names = [await started(api, f"w-{n}", "even" if n % 2 == 0 else "odd") for n in range(7)]
    await api.engine.handle("w-3", "workflow.started", None)
    await api.engine.handle("w-4", "workflow.started", reply(end=Completion()))

    async def pages(page_size: int = 0, **fields: Any) -> list[list[str]]:
        found: list[list[str]] = []
        token = ""
        while True:
            page = await api.workflows.ListWorkflows(
                pb.ListWorkflowsRequest(page_token=token, page_size=page_size, filter=fields)
            )
            found.append([context.workflow_instance_id for context in page.workflows])
            assert not any(context.HasField("data") for context in page.workflows)
            token = page.next_page_token
            if not token:
                return found

    newest = names[::-1]
    assert await pages() == [newest]
    assert await pages(page_size=3) == [newest[:3], newest[3:6], newest[6:]]
    assert await pages(page_size=7) == [newest]
    assert await pages(workflow_types=["odd"]) == [["w-5", "w-3", "w-1"]]
    assert await pages(workflow_types=["none"]) == [[]]
    assert await pages(idle=True) == [["w-3"]]
    assert await pages(statuses=[WorkflowStatus.WORKFLOW_STATUS_COMPLETED]) == [["w-4"]]
    assert await pages(idle=False, workflow_types=["odd"]) == [["w-5", "w-1"]]
    assert await pages(workflow_types=["even", "odd"]) == [newest]
    third = await started(api, "w-7", "third")
    assert await pages(workflow_types=["odd", "third", "none", "odd"]) == [
        [third, "w-5", "w-3", "w-1"]
    ]
    assert await pages(2, workflow_types=["odd", "third"]) == [[third, "w-5"], ["w-3", "w-1"]]
    created = (await got(api, "w-5")).created_at
    assert await pages(created_after=created) == [[third, "w-6", "w-5"]]
    assert (await pages(created_before=created, page_size=2))[0] == ["w-4", "w-3"]


async def test_events_page_in_the_order_they_were_raised_with_their_states(api: Api) -> None:
    name = await started(api, "w-1")
    await api.engine.handle(name, "workflow.started", reply("a", "b", "c", "d"))
    await api.engine.handle(name, "b", None)
    await api.engine.handle(name, "c", failure())
    await api.engine.handle(name, "a", reply(end=Completion()))
    await api.engine.handle(name, "d", None)
    first = await api.workflows.ListEvents(
        pb.ListEventsRequest(workflow_instance_id=name, page_size=4)
    )
    rest = await api.workflows.ListEvents(
        pb.ListEventsRequest(
            workflow_instance_id=name, page_size=4, page_token=first.next_page_token
        )
    )
    assert not rest.next_page_token
    assert [
        (entry.event.event_type, event_pb2.EventState.Name(entry.state)[12:])
        for entry in (*first.events, *rest.events)
    ] == [
        ("workflow.started", "SETTLED"),
        ("a", "SETTLED"),
        ("b", "UNHANDLED"),
        ("c", "PENDING"),
        ("d", "SKIPPED"),
        ("workflow.completed", "PENDING"),
    ]
    caused = first.events[1].event
    assert (caused.raised_by, caused.causation_id) == (
        "claim_validator",
        first.events[0].event.event_id,
    )


async def test_a_page_ends_early_rather_than_outgrow_a_message(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_of, "FIRST_PORTION", 1)
    name = await started(api, "w-1")
    for number in range(5):
        event = pb.PublishEventRequest(workflow_instance_id=name)
        event.event.event_type = f"large.{number}"
        event.event.payload.update({"text": "x" * 900_000})
        await api.workflows.PublishEvent(event)
    seen, token, pages = 0, "", 0
    while pages == 0 or token:
        page = await api.workflows.ListEvents(
            pb.ListEventsRequest(workflow_instance_id=name, page_token=token)
        )
        assert page.ByteSize() < 4 * 1024 * 1024
        seen, token, pages = seen + len(page.events), page.next_page_token, pages + 1
    assert (seen, pages > 1) == (6, True)


async def test_a_list_of_waiting_workflows_leaves_their_forms_out_and_fits_into_a_message(
    api: Api,
) -> None:
    form = {"type": "object", "title": "x" * 60_000}
    for number in range(8):
        name = await started(api, f"w-{number}")
        waits = tuple(
            WaitRequest("?" * 4000, wait_id=f"w-{at}", input_schema=form if at == 0 else None)
            for at in range(100)
        )
        await api.engine.handle(name, "workflow.started", reply(waits=waits))
    failed = await started(api, "failed")
    ended = Failing("NO_LUCK", "It went wrong.", {"much": "x" * 500_000})
    await api.engine.handle(failed, "workflow.started", reply(end=ended))
    seen: list[Any] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await api.workflows.ListWorkflows(
            pb.ListWorkflowsRequest(page_size=1000, page_token=token)
        )
        assert 1 < page.ByteSize() <= 2 * 1024 * 1024
        seen += page.workflows
        token, pages = page.next_page_token, pages + 1
    assert pages > 1
    assert [one.workflow_instance_id for one in seen] == [
        "failed", *(f"w-{number}" for number in reversed(range(8)))
    ]  # fmt: skip
    assert (seen[0].failure.reason, seen[0].failure.message) == ("NO_LUCK", "It went wrong.")
    assert not seen[0].failure.HasField("details")
    for one in seen[1:]:
        assert [wait.wait_id for wait in one.waits] == [f"w-{at}" for at in range(100)]
        assert {wait.message for wait in one.waits} == {"?" * 4000}
        assert not any(wait.HasField("input_schema") for wait in one.waits)
    assert to_dict((await got(api, "w-0")).waits[0].input_schema) == form
    assert to_dict((await got(api, failed)).failure.details) == {"much": "x" * 500_000}


async def test_instances_that_a_page_has_no_room_for_are_not_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        name = await started(api, f"w-{number}")
        await api.engine.handle(
            name, "workflow.started", reply(waits=(WaitRequest("?", wait_id="w-a"),))
        )
    monkeypatch.setattr(workflow_lists, "_LISTED_BYTES", 1)
    look = api.store.queries.workflows
    first = await look(StoredFilter(), limit=3)
    assert [one.workflow_instance_id for one in first.instances] == ["w-4"]
    second = await look(StoredFilter(), limit=3, after=first.after)
    assert [one.workflow_instance_id for one in second.instances] == ["w-3"]
    page = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_size=4))
    assert [one.workflow_instance_id for one in page.workflows] == ["w-4", "w-3", "w-2", "w-1"]
    assert page.next_page_token


async def test_tokens_belong_to_one_list_with_one_filter(api: Api) -> None:
    for number in range(3):
        await started(api, f"w-{number}")
    page = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_size=1))
    token = page.next_page_token
    requests = [
        api.workflows.ListWorkflows(
            pb.ListWorkflowsRequest(page_token=token, filter={"workflow_types": ["t"]})
        ),
        api.workflows.ListEvents(
            pb.ListEventsRequest(page_token=token, workflow_instance_id="w-1")
        ),
        api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_token=token[:-4] + "AAAA")),
        api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_token="no token at all")),
        api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_token="ä")),
    ]
    for call in requests:
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_PAGE_TOKEN",
        )
    # Another size is the same list.
    more = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_token=token, page_size=5))
    assert len(more.workflows) == 2


async def test_a_negative_page_size_is_a_fault_of_its_own_field(api: Api) -> None:
    """A client cures a bad token by beginning again without one, which would never end here."""
    name = await started(api, "w-1")
    for call in (
        api.workflows.ListWorkflows(pb.ListWorkflowsRequest(page_size=-1)),
        api.workflows.ListEvents(pb.ListEventsRequest(page_size=-1, workflow_instance_id=name)),
        api.dead_letters.ListDeadLetters(letters_pb.ListDeadLettersRequest(page_size=-1)),
        api.handlers.ListHandlers(handlers_pb.ListHandlersRequest(page_size=-1)),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", ("page_size",))


async def test_what_a_workflow_filter_does_not_know_is_refused(api: Api) -> None:
    for fields, reason, field in (
        ({"statuses": [WorkflowStatus.WORKFLOW_STATUS_UNSPECIFIED]}, "INVALID_FIELD", "statuses"),
        ({"statuses": [WorkflowStatus.WORKFLOW_STATUS_ACTIVE, 77]}, "INVALID_FIELD", "statuses"),
        ({"workflow_types": ["t", ""]}, "INVALID_ID", "workflow_types"),
        ({"workflow_types": ["t"] * 1_001}, "INVALID_FIELD", "workflow_types"),
    ):
        filter: Any = WorkflowFilter(**fields)  # type: ignore[arg-type]
        refused = await refusal(api.workflows.ListWorkflows(pb.ListWorkflowsRequest(filter=filter)))
        assert (refused.reason, refused.fields) == (reason, (f"filter.{field}",))


async def test_unknown_instances_are_not_found_by_any_reading_call(api: Api) -> None:
    for call in (
        api.workflows.GetWorkflow(pb.GetWorkflowRequest(workflow_instance_id="nobody")),
        api.workflows.ListEvents(pb.ListEventsRequest(workflow_instance_id="nobody")),
        api.workflows.ExplainWorkflow(pb.ExplainWorkflowRequest(workflow_instance_id="nobody")),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "WORKFLOW_NOT_FOUND",
        )
        assert refused.metadata == {"workflow_instance_id": "nobody"}
