"""ReplayWorkflow: called as it was, compared with what came of it, nothing written, nothing left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from api.recorded import (
    Answer,
    Request,
    Tasks,
    everything,
    handle,
    register,
    replay,
    result,
    serving,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from support.running_api import Api, refusal
from support.scripted_engine import failure, task

from waystation.v1 import dead_letter_service_pb2 as letters
from waystation.v1 import replay_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_registry_service_pb2 import UnregisterHandlerRequest
from waystation.v1.operation_pb2 import Operation, OperationList
from waystation.v1.result_pb2 import PendingCompletion, TaskFailure, WorkflowCompletion
from waystation.v1.wait_pb2 import WaitRequest
from waystation_domain.model import NewEvent as DomainEvent
from waystation_domain.outcomes import Reply


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


def sets(path: str, value: float) -> Operation:
    operation = Operation(path=path)
    operation.set.number_value = value
    return operation


def price(request: Request) -> Answer:
    total = sum(item["price"] for item in request.event.payload["items"])
    return result(
        operations=OperationList(items=[sets("/total", total)]),
        events=[NewEvent(event_type="order.priced", payload=struct(total=total))],
    )


def audit(request: Request) -> Answer:
    return result(operations=OperationList(items=[Operation(path="/audits", increment=1)]))


def confirm(request: Request) -> Answer:
    return result(complete=WorkflowCompletion(output=struct(total=request.context.data["total"])))


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with serving(Tasks(price=price, audit=audit, confirm=confirm)) as served:
        yield served


async def ordered(
    api: Api, tasks: Tasks, workflow_instance_id: str = "o-1", **different: Any
) -> str:
    """An order that three tasks have handled: #2 price and #3 audit at the same time, #4 confirm."""
    await register(api, tasks, **different)
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(
            workflow_type="order",
            workflow_instance_id=workflow_instance_id,
            data=struct(items=[{"price": 4}, {"price": 6}]),
        )
    )
    both = [task("price"), task("audit")]
    await handle(api, tasks, workflow_instance_id, "workflow.started", "price", tasks=both)
    await handle(api, tasks, workflow_instance_id, "workflow.started", "audit", base_version=1)
    await handle(api, tasks, workflow_instance_id, "order.priced", "confirm")
    return workflow_instance_id


def outcomes(response: pb.ReplayWorkflowResponse) -> dict[int, str]:
    return {
        step.sequence: replay_pb2.ReplayOutcome.Name(step.outcome).removeprefix("REPLAY_OUTCOME_")
        for step in response.steps
    }


def reasons(response: pb.ReplayWorkflowResponse) -> dict[int, str]:
    return {
        step.sequence: replay_pb2.ReplaySkipReason.Name(step.skip_reason).removeprefix(
            "REPLAY_SKIP_REASON_"
        )
        for step in response.steps
    }


def places(differences: Any) -> dict[str, tuple[Any, Any]]:
    """By path what was recorded and what is now; None: not there."""

    def value(difference: Any, side: str) -> Any:
        return getattr(difference, side) if difference.HasField(side) else None

    return {each.path: (value(each, "recorded"), value(each, "replayed")) for each in differences}


async def test_every_task_is_called_as_then_and_nothing_is_written(
    api: Api, tasks: Tasks, database_url: str
) -> None:
    await ordered(api, tasks, history_entries=2)
    before = everything(database_url)
    response = await replay(api, "o-1")
    assert outcomes(response) == {2: "SAME", 3: "SAME", 4: "SAME"}
    assert [step.task_id for step in response.steps] == ["price", "audit", "confirm"]
    assert response.next_from_sequence == 0
    first, last = response.steps[0], response.steps[-1]
    assert (list(first.recorded_event_types), first.event_type) == (
        ["order.priced"],
        "workflow.started",
    )
    assert list(last.replayed_event_types) == ["workflow.completed"]
    assert (last.recorded_service_version, last.replayed_service_version) == ("1", "2")
    assert everything(database_url) == before

    calls = {call.task_id: call for call in tasks.calls}
    # As it was when it was called, not when its result was committed.
    assert calls["audit"].context.version == 1
    assert "total" not in calls["audit"].context.data
    assert calls["confirm"].context.data["total"] == 10
    assert [entry.sequence for entry in calls["confirm"].history] == [2, 3]
    assert [calls[name].history_left_out for name in ("audit", "confirm")] == [0, 1]
    for call in calls.values():
        assert (call.dry_run, call.attempt) == (True, 1)
        assert call.deadline.seconds
        marker, _, event_id, task_id = call.idempotency_key.split(":")
        assert (marker, event_id, task_id) == ("replay", call.event.event_id, call.task_id)
    # Each time under other keys: what answers from a cache by key answers again.
    keys = {call.idempotency_key for call in tasks.calls}
    await replay(api, "o-1")
    assert len({call.idempotency_key for call in tasks.calls}) == 2 * len(keys)


async def test_a_range_and_tasks_can_be_chosen(api: Api, tasks: Tasks) -> None:
    await ordered(api, tasks)
    assert outcomes(await replay(api, "o-1", from_sequence=3, to_sequence=3)) == {3: "SAME"}
    assert outcomes(await replay(api, "o-1", task_ids=["confirm", "price"])) == {
        2: "SAME",
        4: "SAME",
    }
    for fields, field in (
        ({"from_sequence": 99}, "from_sequence"),
        ({"to_sequence": -1}, "to_sequence"),
        ({"from_sequence": 3, "to_sequence": 2}, "from_sequence"),
    ):
        refused = await refusal(replay(api, "o-1", **fields))
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", (field,))
    refused = await refusal(replay(api, "nobody"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKFLOW_NOT_FOUND")


async def test_differences_are_reported_by_their_places(api: Api, tasks: Tasks) -> None:
    await ordered(api, tasks)

    def dearer(request: Request) -> Answer:
        answer = price(request)
        answer.result.operations.items[0].set.number_value = 12
        answer.result.events[0].payload["total"] = 12
        answer.result.events.insert(0, NewEvent(event_type="order.seen", payload=struct(by="x")))
        return answer

    def ask(request: Request) -> Answer:
        return result(waits=[WaitRequest(message="sure?")])

    tasks.does |= {"price": dearer, "confirm": ask}
    response = await replay(api, "o-1")
    assert outcomes(response) == {2: "DIFFERS", 3: "SAME", 4: "DIFFERS"}
    priced, _, confirmed = response.steps
    assert priced.differs
    assert {
        path: (a.number_value, b.number_value)
        for path, (a, b) in places(priced.differences).items()
    } == {"/total": (10, 12)}
    seen, changed = priced.event_differences
    assert (seen.event_type, seen.HasField("recorded_index"), seen.replayed_index) == (
        "order.seen",
        False,
        0,
    )
    assert seen.differences[0].replayed.struct_value["payload"]["by"] == "x"
    assert (changed.event_type, changed.recorded_index, changed.replayed_index) == (
        "order.priced",
        0,
        1,
    )
    assert list(places(changed.differences)) == ["/payload/total"]
    rest = places(confirmed.instance_differences)
    assert set(rest) == {"/status", "/waits/0", "/output"}
    assert rest["/output"][1] is None
    assert rest["/waits/0"][1].struct_value["message"] == "sure?"
    assert [
        (each.event_type, each.HasField("recorded_index")) for each in (confirmed.event_differences)
    ] == [
        ("workflow.completed", True),
        ("workflow.waiting_for_input", False),
    ]


async def test_a_failed_replay_is_reported_with_its_error(api: Api, tasks: Tasks) -> None:
    await ordered(api, tasks)
    tasks.does |= {
        "price": lambda _: Answer(failure=TaskFailure(reason="NO_PRICE", message="unpriced")),
        "audit": lambda _: result(operations=OperationList(items=[sets("/items/x/y", 1)])),
        "confirm": lambda _: result(events=[NewEvent(event_type="workflow.started")]),
    }
    response = await replay(api, "o-1")
    assert outcomes(response) == {2: "FAILED", 3: "FAILED", 4: "FAILED"}
    assert [step.error.reason for step in response.steps] == [
        "NO_PRICE",
        "PATH_TYPE_MISMATCH",
        "RESPONSE_INVALID",
    ]
    assert all(step.differs for step in response.steps)


async def test_failed_attempts_are_called_where_asked_for(api: Api, tasks: Tasks) -> None:
    await register(api, tasks)
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="order", workflow_instance_id="o-1")
    )
    fails: dict[str, Any] = {
        "price": lambda _: Answer(failure=TaskFailure(reason="NO_PRICE", message="at 12:01"))
    }
    tasks.does |= fails
    await handle(api, tasks, "o-1", "workflow.started", "price")
    assert reasons(await replay(api, "o-1")) == {2: "FAILED_ATTEMPT"}
    tasks.does["price"] = lambda _: Answer(failure=TaskFailure(reason="NO_PRICE", message="12:02"))
    (again,) = (await replay(api, "o-1", failed_attempts=True)).steps
    assert (again.outcome, again.recorded_error.message, again.error.message) == (
        replay_pb2.REPLAY_OUTCOME_SAME,
        "at 12:01",
        "12:02",
    )
    tasks.does["price"] = audit
    (mended,) = (await replay(api, "o-1", failed_attempts=True)).steps
    assert mended.outcome == replay_pb2.REPLAY_OUTCOME_DIFFERS
    assert list(places(mended.differences)) == ["/audits"]
    assert not mended.HasField("error")


async def test_what_can_not_be_replayed_is_skipped_with_the_reason(api: Api, tasks: Tasks) -> None:
    await ordered(api, tasks)
    await register(api, tasks, replayable=False)
    assert set(reasons(await replay(api, "o-1")).values()) == {"NOT_REPLAYABLE"}
    handler_id = await register(api, tasks)
    tasks.does["price"] = lambda _: Answer(pending=PendingCompletion())
    del tasks.does["audit"]
    response = await replay(api, "o-1")
    assert reasons(response) == {2: "PENDING", 3: "NO_LIVE_ENDPOINT", 4: "UNSPECIFIED"}
    assert "does not host audit" in response.steps[1].skip_message
    assert not any(step.differs for step in response.steps)
    tasks.does |= {"audit": audit, "price": price}
    await api.handlers.UnregisterHandler(UnregisterHandlerRequest(handler_id=handler_id))
    response = await replay(api, "o-1")
    assert set(reasons(response).values()) == {"NO_LIVE_ENDPOINT"}
    assert "no live endpoint of claims declares it" in response.steps[0].skip_message


async def test_an_edited_payload_is_not_there_to_be_replayed(api: Api, tasks: Tasks) -> None:
    await register(api, tasks)
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="order", workflow_instance_id="o-1")
    )
    await api.engine.handle("o-1", "workflow.started", failure(permanent=True), by=task("audit"))
    (letter,) = (
        await api.dead_letters.ListDeadLetters(letters.ListDeadLettersRequest())
    ).dead_letters
    await api.dead_letters.RetryDeadLetter(
        letters.RetryDeadLetterRequest(
            dead_letter_id=letter.dead_letter_id, payload=struct(items=[])
        )
    )
    await api.engine.handle("o-1", "workflow.started", Reply(), by=task("audit"), edit=1)
    response = await replay(api, "o-1", failed_attempts=True)
    assert list(reasons(response).values()) == ["UNSPECIFIED", "EDITED_PAYLOAD"]


async def test_an_endpoint_is_called_only_where_the_allowlist_admits_it(
    serve: Any, tasks: Tasks
) -> None:
    api: Api = await serve()
    await ordered(api, tasks)
    strict: Api = await serve(WAYSTATION_HANDLER_ALLOWLIST="127.0.0.1:1")
    response = await replay(strict, "o-1")
    assert set(reasons(response).values()) == {"NO_LIVE_ENDPOINT"}
    assert "is not an allowed endpoint" in response.steps[0].skip_message
    assert tasks.calls == []


async def test_an_endpoint_that_can_not_be_reached_gives_way_to_another(
    api: Api, tasks: Tasks
) -> None:
    await ordered(api, tasks)
    async with serving(Tasks(price=price, audit=audit, confirm=confirm)) as gone:
        await register(api, gone)
    assert outcomes(await replay(api, "o-1")) == {2: "SAME", 3: "SAME", 4: "SAME"}


async def test_a_late_task_is_reported_and_the_replay_ends_before_its_caller_gives_up(
    api: Api, tasks: Tasks
) -> None:
    await ordered(api, tasks)
    tasks.holding = {"audit", "confirm"}
    request = pb.ReplayWorkflowRequest(workflow_instance_id="o-1")
    cut = await api.workflows.ReplayWorkflow(request, timeout=3)
    assert ([step.sequence for step in cut.steps], cut.next_from_sequence) == ([2], 3)
    # One step at least, or a caller in a hurry would never come to an end.
    request.from_sequence = 4
    last = await api.workflows.ReplayWorkflow(request, timeout=1.5)
    assert (outcomes(last), last.next_from_sequence) == ({4: "FAILED"}, 0)
    assert last.steps[0].error.code == "DEADLINE_EXCEEDED"
    await register(api, tasks, timeout=Duration(nanos=200_000_000))
    late = await replay(api, "o-1", from_sequence=3)
    assert outcomes(late) == {3: "FAILED", 4: "FAILED"}
    assert late.steps[0].error.message == "No answer came within 0.2 s."


async def test_a_long_history_comes_in_portions(api: Api, tasks: Tasks) -> None:
    await register(api, tasks)
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="order", workflow_instance_id="o-1")
    )
    await api.engine.handle(
        "o-1",
        "workflow.started",
        Reply(events=tuple(DomainEvent(f"step.{n}", {}) for n in range(104))),
        by=task("price"),
    )
    for number in range(104):
        await handle(api, tasks, "o-1", f"step.{number}", "audit")
    portions = [await replay(api, "o-1", task_ids=["audit"])]
    while portions[-1].next_from_sequence:
        portions.append(
            await replay(
                api, "o-1", task_ids=["audit"], from_sequence=portions[-1].next_from_sequence
            )
        )
    assert [len(portion.steps) for portion in portions] == [100, 4]
    assert [step.sequence for portion in portions for step in portion.steps] == list(range(3, 107))
    assert {step.outcome for portion in portions for step in portion.steps} == {
        replay_pb2.REPLAY_OUTCOME_SAME
    }
