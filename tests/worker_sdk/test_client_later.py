"""The client's calls about other times: results that follow, timed events, and what has happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from worker_sdk.fakes import FakeWaystation, Refusal

from waystation.v1 import (
    delivery_completion_service_pb2,
    event_pb2,
    history_pb2,
    operation_pb2,
    task_handler_service_pb2,
)
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import (
    Client,
    DeliveryNotFound,
    Event,
    NewEvent,
    ReplayDifference,
    ReplayStep,
    TaskResult,
)
from waystation_worker.values import read_struct, read_value
from waystation_worker.workflows import to_event_entry, to_history_entry, to_workflow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def client(waystation: FakeWaystation) -> Any:
    async with Client(waystation.address, retry_for=5) as client:
        yield client


async def test_a_task_is_completed_once_though_the_call_is_repeated(
    waystation: FakeWaystation, client: Client
) -> None:
    result = TaskResult()
    result.set("/claim/a~1b", {"price": 3})
    result.remove("draft")
    result.increment("/seen")
    result.maximum("/highest", 2.5)
    result.append("/notes", None)
    result.add_to_set("tags", "done/x")
    result.emit("claim.priced", {"price": 3})
    result.fan_out(["check.a", "check.b"], "checks.done")
    result.complete({"ok": True})
    waystation.next(
        "CompleteDelivery",
        Refusal("UNAVAILABLE", "STORE_UNAVAILABLE"),
        delivery_completion_service_pb2.CompleteDeliveryResponse(),
    )
    await client.complete_delivery("t-1", result)

    request, repeated = waystation.requests("CompleteDelivery")
    assert request == repeated
    assert request.request_id
    assert request.completion_token == "t-1"
    response = request.result
    changes = [(change.path, change.WhichOneof("kind")) for change in response.operations.items]
    assert changes == [
        ("/claim/a~1b", "set"),
        ("/draft", "remove"),
        ("/seen", "increment"),
        ("/highest", "maximum"),
        ("/notes", "append"),
        ("/tags", "add_to_set"),
    ]
    first, last = response.operations.items[0], response.operations.items[-1]
    assert (read_value(first.set), read_value(last.add_to_set)) == ({"price": 3}, "done/x")
    assert [event.event_type for event in response.events] == ["claim.priced"]
    assert [event.event_type for event in response.fan_outs[0].events] == ["check.a", "check.b"]
    assert read_struct(response.complete.output) == {"ok": True}
    assert response.HasField("reads")
    assert not response.reads.paths


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda result: result.set("/a", object()), "at /a: object"),
        (lambda result: result.set("/a~2", 1), "not a JSON Pointer"),
        (lambda result: result.increment("/a", "1"), "not a number"),
        (lambda result: result.increment("/a", float("inf")), "not a JSON number"),
        (lambda result: [result.append("/a", n) for n in range(10_001)], "10000 changes"),
        (lambda result: (result.complete(), result.fail("NO")), "fail after complete"),
    ],
)
def test_a_result_refuses_what_can_not_be(
    change: Callable[[TaskResult], Any], problem: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        change(TaskResult())


async def test_a_task_is_failed_or_given_more_time(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.next("FailDelivery", delivery_completion_service_pb2.FailDeliveryResponse())
    await client.fail_delivery("t-1", "BUSY", retry_after=2.5, metadata={"n": 1})
    [request] = waystation.requests("FailDelivery")
    assert (request.failure.reason, request.failure.message) == ("BUSY", "BUSY")
    assert request.failure.retry_after.ToTimedelta() == timedelta(seconds=2.5)
    assert (request.failure.permanent, read_struct(request.failure.metadata)) == (False, {"n": 1})
    assert request.request_id

    extended = delivery_completion_service_pb2.ExtendDeliveryResponse()
    extended.deadline.FromDatetime(NOON)
    waystation.next("ExtendDelivery", extended)
    assert await client.extend_delivery("t-1", timedelta(minutes=5), request_id="r-1") == NOON
    [request] = waystation.requests("ExtendDelivery")
    assert (request.extension.seconds, request.request_id) == (300, "r-1")

    waystation.next("FailDelivery", Refusal("NOT_FOUND", "DELIVERY_NOT_FOUND"))
    with pytest.raises(DeliveryNotFound):
        await client.fail_delivery("t-2", "NO", permanent=True)
    assert waystation.requests("FailDelivery")[1].failure.permanent
    with pytest.raises(ValueError, match="extension must be 0 s to 24 h"):
        await client.extend_delivery("t-1", timedelta(days=2))


async def test_published_events_have_times(waystation: FakeWaystation, client: Client) -> None:
    waystation.next("PublishEvent", pb.PublishEventResponse(event_id="e-1"))
    await client.publish("claim-7", "claim.reminded", delay=60, expires_at=NOON)
    event = waystation.requests("PublishEvent")[0].event
    assert (event.delay.seconds, event.expires_at.ToDatetime(UTC)) == (60, NOON)


async def test_a_workflow_is_forked_with_edits(waystation: FakeWaystation, client: Client) -> None:
    response = pb.ForkWorkflowResponse(created=True)
    response.context.workflow_instance_id = "claim-8"
    waystation.next("ForkWorkflow", response, response)
    event = NewEvent("claim.processed", {"n": 1})
    forked = await client.fork("claim-7", 4, new_id="claim-8", edits={"/a/b": [1]}, event=event)
    assert (forked.id, forked.created) == ("claim-8", True)
    changes = TaskResult()
    changes.remove("a")
    await client.fork("claim-7", 4, edits=changes, event_of_sequence=5)

    first, second = waystation.requests("ForkWorkflow")
    assert (first.workflow_instance_id, first.at_sequence) == ("claim-7", 4)
    assert first.new_workflow_instance_id == "claim-8"
    [edit] = first.edits.items
    assert (edit.path, read_value(edit.set)) == ("/a/b", [1])
    assert (first.event.event_type, read_struct(first.event.payload)) == (
        "claim.processed",
        {"n": 1},
    )
    removal = operation_pb2.Operation(path="/a")
    removal.remove.SetInParent()
    assert list(second.edits.items) == [removal]
    assert (second.HasField("event"), second.event_of_sequence) == (False, 5)
    assert first.request_id != second.request_id
    changes.emit("b")
    with pytest.raises(ValueError, match="only contain changes"):
        await client.fork("claim-7", 4, edits=changes, event_of_sequence=5)


async def test_a_replay_is_reported_step_by_step(
    waystation: FakeWaystation, client: Client
) -> None:
    first, rest = pb.ReplayWorkflowResponse(next_from_sequence=5), pb.ReplayWorkflowResponse()
    step = first.steps.add(sequence=3, task_id="t", event_type="e", outcome=2)
    step.recorded_event_types.append("a")
    step.differences.add(path="/n").replayed.number_value = 2
    step.instance_differences.add(path="/status").recorded.string_value = "ACTIVE"
    broken = rest.steps.add(sequence=5, task_id="u", event_type="e", outcome=3)
    broken.error.reason, broken.error.message = "NO", "it can't"
    rest.steps.add(
        sequence=6, task_id="v", event_type="f", outcome=4, skip_message="not replayable"
    )
    rest.steps.add(sequence=7, task_id="w", event_type="f", outcome=9)
    waystation.next("ReplayWorkflow", first, rest)
    steps = await client.replay("claim-7", from_sequence=2, to_sequence=9, task_ids=["t", "u"])
    assert steps == (
        ReplayStep(
            *(3, "t", "e", "DIFFERS"),
            differences=(ReplayDifference("/n", None, 2),),
            instance_differences=(ReplayDifference("/status", "ACTIVE", None),),
            recorded_event_types=("a",),
        ),
        ReplayStep(5, "u", "e", "FAILED", error="NO: it can't"),
        ReplayStep(6, "v", "f", "SKIPPED", skipped="not replayable"),
        ReplayStep(7, "w", "f", "UNKNOWN_9"),
    )
    assert [one.differs for one in steps] == [True, True, False, False]
    assert steps[0].message == step
    request, further = waystation.requests("ReplayWorkflow")
    assert (request.from_sequence, request.to_sequence, list(request.task_ids)) == (
        2,
        9,
        ["t", "u"],
    )
    assert (further.from_sequence, further.to_sequence) == (5, 9)


def test_values_show_times_and_groups() -> None:
    context = pb.GetWorkflowResponse().context
    context.deadline.FromDatetime(NOON)
    context.waits.add(wait_id="w").deadline.FromDatetime(NOON)
    workflow = to_workflow(context)
    assert (workflow.deadline, workflow.waits[0].deadline) == (NOON, NOON)

    message = event_pb2.EventWithState(state=event_pb2.EVENT_STATE_PENDING)
    assert (to_event_entry(message).group_id, to_event_entry(message).branch) == (None, None)
    message.event.group_id, message.event.branch = "g", 0
    message.event.deliver_at.FromDatetime(NOON)
    message.event.expires_at.FromDatetime(NOON)
    entry = to_event_entry(message)
    assert (entry.group_id, entry.branch) == ("g", 0)
    assert (entry.deliver_at, entry.expires_at) == (NOON, NOON)

    told = to_history_entry(
        history_pb2.HistoryEntry(action="input_timed_out", wait_id="w", note="w")
    )
    assert (told.action, told.wait_id, told.note) == ("input_timed_out", "w", "w")


def test_a_task_sees_times_and_groups_of_its_event() -> None:
    request = task_handler_service_pb2.HandleEventRequest()
    assert (Event(request.event).group_id, Event(request.event).branch) == (None, None)
    request.event.group_id = "g"
    request.event.deliver_at.FromDatetime(NOON)
    event = Event(request.event)
    assert (event.group_id, event.branch) == ("g", 0)
    assert (event.deliver_at, event.expires_at) == (NOON, None)
