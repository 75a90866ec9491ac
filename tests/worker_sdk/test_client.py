"""The client against a fake Waystation behind a real port."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from worker_sdk.fakes import FakeWaystation, Refusal, serving

import waystation_worker
from waystation.v1 import event_pb2, history_pb2, workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import Client, Unavailable, WaystationError
from waystation_worker.values import read_struct

DONE = workflow_pb2.WAIT_OUTCOME_DONE
TIMED_OUT = workflow_pb2.WAIT_OUTCOME_TIMED_OUT


@pytest.fixture(params=["streams", "unary only"])
async def waystation(request: pytest.FixtureRequest) -> Any:
    """Both kinds of servers: a client finds out by itself."""
    async with serving(FakeWaystation(streams=request.param == "streams")) as fake:
        yield fake


@pytest.fixture
async def client(waystation: FakeWaystation) -> Any:
    async with Client(waystation.address, retry_for=5) as client:
        yield client


def filled(response: Any, status: int = 1, **fields: Any) -> Any:
    """A response with an instance in it."""
    context = response.context
    context.workflow_instance_id = "claim-7"
    context.workflow_type = "insurance_claim"
    context.status = status
    context.version = 4
    context.data.update({"amount": 1200, "note": None})
    for name, value in fields.items():
        setattr(response, name, value)
    return response


async def test_start_sends_everything_and_gives_a_value(
    waystation: FakeWaystation, client: Client
) -> None:
    response = filled(pb.StartWorkflowResponse(created=True, task_ids=["a", "b"]))
    waystation.next("StartWorkflow", response)
    workflow = await client.start(
        "insurance_claim",
        {"amount": 1200},
        payload={},
        workflow_instance_id="claim-7",
        correlation_id="c",
        priority=0,
        metadata={"k": "v"},
        workflow_timeout=timedelta(hours=1),
    )
    [request] = waystation.requests("StartWorkflow")
    assert request.timeout.seconds == 3600
    assert (request.workflow_type, request.workflow_instance_id) == ("insurance_claim", "claim-7")
    assert read_struct(request.data) == {"amount": 1200}
    assert request.HasField("payload")
    assert (request.correlation_id, request.priority, dict(request.metadata)) == (
        "c",
        0,
        {"k": "v"},
    )
    assert request.HasField("priority")
    assert request.request_id
    assert (workflow.id, workflow.type, workflow.status) == ("claim-7", "insurance_claim", "ACTIVE")
    assert (workflow.version, workflow.data) == (4, {"amount": 1200, "note": None})
    assert (workflow.created, workflow.task_ids) == (True, ("a", "b"))
    assert (workflow.output, workflow.failure, workflow.waits) == (None, None, ())
    assert not workflow.ended


async def test_run_goes_on_waiting_until_there_is_an_outcome(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.next("RunWorkflow", filled(pb.RunWorkflowResponse(), outcome=TIMED_OUT))
    done = filled(pb.WaitWorkflowResponse(), status=4, outcome=DONE)
    done.context.output.update({"ok": True})
    done.context.failure.reason = "ABSURD_AMOUNT"
    done.context.failure.task_id = "validator"
    waystation.next("WaitWorkflow", filled(pb.WaitWorkflowResponse(), outcome=TIMED_OUT), done)
    workflow = await client.run("insurance_claim")
    assert [name for name, _ in waystation.calls] == ["RunWorkflow", "WaitWorkflow", "WaitWorkflow"]
    assert (workflow.outcome, workflow.status, workflow.ended) == ("DONE", "FAILED", True)
    assert workflow.output == {"ok": True}
    assert workflow.failure is not None
    assert (workflow.failure.reason, workflow.failure.task_id) == ("ABSURD_AMOUNT", "validator")


async def test_a_wait_ends_with_the_time_of_its_caller(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.usual["WaitWorkflow"] = lambda _: filled(
        pb.WaitWorkflowResponse(), outcome=TIMED_OUT
    )
    workflow = await client.wait("claim-7", timeout=0.05)
    assert workflow.outcome == "TIMED_OUT"
    first = waystation.requests("WaitWorkflow")[0]
    assert 0 < first.timeout.ToTimedelta().total_seconds() <= 0.05


async def test_the_shorter_name_of_an_id_is_accepted(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.usual["StartWorkflow"] = lambda _: filled(pb.StartWorkflowResponse())
    waystation.usual["GetWorkflow"] = lambda _: filled(pb.GetWorkflowResponse())
    await client.start("t", workflow_id="claim-7")
    await client.get(workflow_id="claim-7")
    for method in ("StartWorkflow", "GetWorkflow"):
        [request] = waystation.requests(method)
        assert request.workflow_instance_id == "claim-7"
    with pytest.raises(TypeError, match="are the same; give one of them"):
        await client.start("t", workflow_id="claim-7", workflow_instance_id="claim-8")


async def test_waits_are_answered(waystation: FakeWaystation, client: Client) -> None:
    asked = filled(
        pb.WaitWorkflowResponse(), status=2, outcome=workflow_pb2.WAIT_OUTCOME_WAITING_FOR_INPUT
    )
    wait = asked.context.waits.add(wait_id="w-1", task_id="asker", message="Which policy?")
    wait.input_schema.update({"type": "object"})
    wait.answer_path = "/policy"
    wait.since.seconds = 1_700_000_000
    waystation.next("WaitWorkflow", asked)
    [question] = (await client.wait("claim-7")).waits
    assert (question.wait_id, question.message) == ("w-1", "Which policy?")
    assert (question.schema, question.answer_path) == ({"type": "object"}, "/policy")
    assert question.since is not None
    assert question.since.isoformat() == "2023-11-14T22:13:20+00:00"

    waystation.next("ProvideInput", filled(pb.ProvideInputResponse(), event_id="e-9"))
    after = await client.provide_input(
        "claim-7", {}, wait_id="w-1", answered_by="ada", expected_version=4
    )
    assert after.event_id == "e-9"
    [request] = waystation.requests("ProvideInput")
    assert (request.wait_id, request.answered_by) == ("w-1", "ada")
    assert request.expected_version == 4
    assert request.HasField("input")
    assert request.request_id


async def test_publish_cancel_get_events_and_explain(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.next("PublishEvent", pb.PublishEventResponse(event_id="e-1", task_ids=["a"]))
    published = await client.publish("claim-7", "claim.noted", {"n": 1}, priority=255)
    assert (published.event_id, published.task_ids) == ("e-1", ("a",))
    [request] = waystation.requests("PublishEvent")
    assert (request.event.event_type, request.event.priority) == ("claim.noted", 255)
    assert read_struct(request.event.payload) == {"n": 1}
    assert not request.HasField("expected_version")

    waystation.next("CancelWorkflow", filled(pb.CancelWorkflowResponse(), status=5))
    assert (await client.cancel("claim-7", "typed twice")).status == "CANCELLED"
    assert waystation.requests("CancelWorkflow")[0].reason == "typed twice"
    assert waystation.requests("CancelWorkflow")[0].request_id

    waystation.next("GetWorkflow", filled(pb.GetWorkflowResponse()))
    await client.get("claim-7", at_sequence=3)
    [got] = waystation.requests("GetWorkflow")
    assert got.at_sequence == 3

    one, other = pb.ListHistoryResponse(next_page_token="more"), pb.ListHistoryResponse()
    one.entries.add(sequence=4, result=history_pb2.HISTORY_RESULT_FAILED)
    other.entries.add(sequence=3, action="input")
    waystation.next("ListHistory", one)
    waystation.next("ListHistory", other)
    entries = client.history(
        "claim-7",
        from_sequence=2,
        to_sequence=5,
        task_ids=["a"],
        event_types=["claim.noted"],
        results=["FAILED"],
        actions=["input"],
        newest_first=True,
        with_change=False,
    )
    assert [(entry.sequence, entry.result) async for entry in entries] == [
        (4, "FAILED"),
        (3, "UNSPECIFIED"),
    ]
    asked, again = waystation.requests("ListHistory")
    assert (asked.page_token, again.page_token) == ("", "more")
    assert asked == pb.ListHistoryRequest(
        workflow_instance_id="claim-7",
        filter=history_pb2.HistoryFilter(
            from_sequence=2,
            to_sequence=5,
            task_ids=["a"],
            event_types=["claim.noted"],
            results=[history_pb2.HISTORY_RESULT_FAILED],
            actions=["input"],
        ),
        view=history_pb2.HISTORY_VIEW_BASIC,
        newest_first=True,
        page_size=1000,
    )
    with pytest.raises(ValueError, match="results: 'LOST' is not one of SUCCESS"):
        await anext(client.history("claim-7", results=["LOST"]))

    first, second = pb.ListEventsResponse(next_page_token="more"), pb.ListEventsResponse()
    first.events.add(state=event_pb2.EVENT_STATE_SETTLED).event.event_type = "workflow.started"
    second.events.add(state=event_pb2.EVENT_STATE_UNHANDLED).event.event_type = "claim.procesed"
    waystation.next("ListEvents", first, second)
    entries = [(e.event_type, e.state) async for e in client.events("claim-7")]
    assert entries == [("workflow.started", "SETTLED"), ("claim.procesed", "UNHANDLED")]
    assert waystation.requests("ListEvents")[1].page_token == "more"

    waystation.next("ExplainWorkflow", pb.ExplainWorkflowResponse(summary="it waits"))
    assert (await client.explain("claim-7")).summary == "it waits"


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("NOT_FOUND", "WORKFLOW_NOT_FOUND", "WorkflowNotFound"),
        ("NOT_FOUND", "DELIVERY_NOT_FOUND", "DeliveryNotFound"),
        ("NOT_FOUND", "NAMESPACE_NOT_FOUND", "NotFound"),
        ("INVALID_ARGUMENT", "INVALID_ID", "InvalidRequest"),
        ("ALREADY_EXISTS", "WORKFLOW_ALREADY_EXISTS", "WorkflowAlreadyExists"),
        ("ALREADY_EXISTS", "REQUEST_ID_REUSED", "RequestIdReused"),
        ("FAILED_PRECONDITION", "WORKFLOW_ENDED", "WorkflowEnded"),
        ("FAILED_PRECONDITION", "WORKFLOW_NOT_WAITING", "WorkflowNotWaiting"),
        ("FAILED_PRECONDITION", "WAIT_ID_REQUIRED", "WaitIdRequired"),
        ("ABORTED", "VERSION_MISMATCH", "VersionMismatch"),
        ("RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE", "LimitExceeded"),
        ("PERMISSION_DENIED", "", "NotAllowed"),
        ("UNIMPLEMENTED", "NOT_YET_AVAILABLE", "NotAvailable"),
        ("INTERNAL", "INTERNAL", "WaystationError"),
    ],
)
async def test_refusals_have_types_and_are_not_repeated(
    waystation: FakeWaystation, client: Client, code: str, reason: str, kind: str
) -> None:
    waystation.next("CancelWorkflow", Refusal(code, reason, "it can't be", workflow="claim-7"))
    with pytest.raises(WaystationError, match="it can't be") as caught:
        await client.cancel("claim-7")
    error = caught.value
    assert type(error) is getattr(waystation_worker, kind)
    assert (error.code, error.reason, error.retryable) == (code, reason, False)
    assert error.metadata == ({"workflow": "claim-7"} if reason else {})
    assert len(waystation.calls) == 1


async def test_an_unavailable_store_is_tried_again_with_the_same_request(
    waystation: FakeWaystation, client: Client
) -> None:
    busy = Refusal("UNAVAILABLE", "STORE_UNAVAILABLE")
    # What a server that is stopping leaves of a call.
    cut = Refusal("CANCELLED")
    waystation.next("StartWorkflow", busy, cut, filled(pb.StartWorkflowResponse(created=True)))
    assert (await client.start("insurance_claim")).created
    requests = waystation.requests("StartWorkflow")
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]


async def test_a_server_that_comes_back_in_time_is_found(client: Client) -> None:
    waystation = FakeWaystation()
    waystation.usual["GetWorkflow"] = lambda _: filled(pb.GetWorkflowResponse())
    async with serving(waystation):
        address = waystation.address
    async with Client(address, retry_for=20) as late:
        asked = asyncio.create_task(late.get("claim-7"))
        async with serving(waystation, int(address.rpartition(":")[2])):
            assert (await asked).id == "claim-7"


async def test_a_server_that_is_not_there_is_named(waystation: FakeWaystation) -> None:
    async with serving(FakeWaystation()) as gone:
        address = gone.address
    async with Client(address, retry_for=0.3) as client:
        with pytest.raises(Unavailable, match=r"waystation dev.*WAYSTATION_ADDRESS") as caught:
            await client.get("claim-7")
    assert address in str(caught.value)
    assert caught.value.retryable


async def test_bad_values_are_refused_before_anything_is_sent(
    waystation: FakeWaystation, client: Client
) -> None:
    with pytest.raises(TypeError, match="at data/claim/when: object is not a JSON value"):
        await client.start("insurance_claim", {"claim": {"when": object()}})
    assert waystation.calls == []


async def test_models_are_what_a_client_takes(waystation: FakeWaystation, client: Client) -> None:
    """Under mypy --strict too: `make check` reads this."""

    class Line(BaseModel):
        name: str
        price: Decimal

    line = Line(name="ink", price=Decimal("2.50"))
    waystation.next("StartWorkflow", pb.StartWorkflowResponse())
    waystation.next("ProvideInput", pb.ProvideInputResponse())
    waystation.next("PublishEvent", pb.PublishEventResponse())
    await client.start("order", line, payload=line)
    await client.provide_input("order-1", line)
    await client.publish("order-1", "line.added", line)
    [start], [given], [event] = map(
        waystation.requests, ("StartWorkflow", "ProvideInput", "PublishEvent")
    )
    for struct in (start.data, start.payload, given.input, event.event.payload):
        assert read_struct(struct) == {"name": "ink", "price": "2.50"}
