"""ForkWorkflow: another instance from any sequence number; the source stays as it is."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from api.recorded import everything
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from support.running_api import Api, history, refusal
from support.scripted_engine import reply

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.operation_pb2 import Operation, OperationList, RemoveOperation
from waystation_domain.model import NewEvent as DomainEvent
from waystation_domain.operations import Operation as Change
from waystation_domain.outcomes import Completion, Reply, WaitRequest

Code = grpc.StatusCode


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


def sets(path: str, value: Any) -> Operation:
    made = Operation(path=path)
    made.set.CopyFrom(value if isinstance(value, Value) else Value(number_value=value))
    return made


async def sourced(api: Api) -> None:
    """`o-1`: #2 priced it, #3 asked, #4 was answered, #5 completed it."""
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(
            workflow_type="order",
            workflow_instance_id="o-1",
            data=struct(items=["tea"]),
            payload=struct(by="shop"),
            correlation_id="case-1",
            priority=7,
            metadata={"traceparent": "00-1"},
        )
    )
    await api.engine.handle(
        "o-1",
        "workflow.started",
        Reply(
            events=(DomainEvent("order.priced", {"total": 4}, schema_version="v2"),),
            change=(Change("/total", "set", 4),),
        ),
    )
    await api.engine.handle("o-1", "order.priced", Reply(waits=(WaitRequest("sure?"),)))
    await api.workflows.ProvideInput(
        pb.ProvideInputRequest(workflow_instance_id="o-1", input=struct(sure=True))
    )
    await api.engine.handle(
        "o-1",
        "user.input.provided",
        Reply(end=Completion({"paid": 4}), change=(Change("/total", "remove"),)),
    )


async def fork(api: Api, at: int, **fields: Any) -> pb.ForkWorkflowResponse:
    response: pb.ForkWorkflowResponse = await api.workflows.ForkWorkflow(
        pb.ForkWorkflowRequest(workflow_instance_id="o-1", at_sequence=at, **fields)
    )
    return response


async def got(api: Api, workflow_instance_id: str, at: int = 0) -> Any:
    response = await api.workflows.GetWorkflow(
        pb.GetWorkflowRequest(workflow_instance_id=workflow_instance_id, at_sequence=at)
    )
    return response.context


async def test_a_fork_begins_with_the_data_of_then_and_the_event_of_that_entry(api: Api) -> None:
    await sourced(api)
    made = await fork(
        api,
        2,
        new_workflow_instance_id="o-2",
        edits=OperationList(
            items=[
                sets("/rebate/percent", 10),
                Operation(path="/items", remove=RemoveOperation()),
            ]
        ),
    )
    assert (made.created, made.event_type, list(made.task_ids)) == (True, "workflow.started", [])
    context = await got(api, "o-2")
    assert context.workflow_type == "order"
    assert context.data == struct(total=4, rebate={"percent": 10})
    assert (context.status, context.version, context.correlation_id) == (1, 1, "case-1")
    (entry,) = await history(api, "o-2")
    assert (entry.action, entry.processed_by) == ("fork", "client")
    assert entry.note == "forked from o-1 at sequence 2"
    assert (await got(api, "o-2", at=1)).data == context.data
    event = await api.engine.pending("o-2", "workflow.started")
    assert (event.payload, event.raised_by, event.causation_id) == ({"by": "shop"}, "client", None)
    assert (event.priority, event.metadata, event.correlation_id) == (
        7,
        {"traceparent": "00-1"},
        "case-1",
    )
    # It goes on as any other: the source's waits and its end are not its own.
    await api.engine.handle("o-2", "workflow.started", reply("order.priced"))
    assert not (await got(api, "o-2")).waits


async def test_every_sequence_can_be_forked_and_the_source_stays(
    api: Api, database_url: str
) -> None:
    await sourced(api)
    before = everything(database_url)
    version = (await got(api, "o-1")).version
    for at in range(1, version + 1):
        made = await fork(api, at, event=NewEvent(event_type="order.again"))
        assert made.context.data == (await got(api, "o-1", at=at)).data
        assert (made.context.status, len(made.context.waits)) == (1, 0)
        assert not made.context.HasField("output")
    after = everything(database_url)
    assert all(set(rows) <= set(after[name]) for name, rows in before.items())


async def test_the_event_is_the_given_one_or_that_of_an_entry(api: Api) -> None:
    await sourced(api)
    # What is done again is the entry after the moment that it is forked from.
    again = await fork(api, 2, event_of_sequence=3)
    event = await api.engine.pending(again.context.workflow_instance_id, "order.priced")
    assert (event.payload, event.schema_version) == ({"total": 4}, "v2")
    answered = await fork(api, 4)
    event = await api.engine.pending(answered.context.workflow_instance_id, "user.input.provided")
    assert event.payload["input"] == {"sure": True}
    given = await fork(
        api, 2, event=NewEvent(event_type="workflow.started", payload=struct(by="me"), priority=9)
    )
    event = await api.engine.pending(given.context.workflow_instance_id, "workflow.started")
    assert (event.payload, event.priority) == ({"by": "me"}, 9)


async def test_a_fork_happens_once_per_request_and_per_id_and_content(api: Api) -> None:
    await sourced(api)
    # A start with the same request_id is another request.
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="order", request_id="r-1")
    )
    first, *others = await asyncio.gather(*(fork(api, 2, request_id="r-1") for _ in range(10)))
    ids = {made.context.workflow_instance_id for made in (first, *others)}
    assert len(ids) == 1
    assert sum(made.created for made in (first, *others)) == 1
    refused = await refusal(fork(api, 1, request_id="r-1"))
    assert (refused.reason, refused.metadata) == ("REQUEST_ID_REUSED", {"request_id": "r-1"})
    assert (await fork(api, 2, new_workflow_instance_id="o-2")).created
    assert not (await fork(api, 2, new_workflow_instance_id="o-2")).created
    for at, workflow_instance_id in ((1, "o-2"), (2, "o-1")):
        refused = await refusal(fork(api, at, new_workflow_instance_id=workflow_instance_id))
        assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "WORKFLOW_ALREADY_EXISTS")


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"at_sequence": 0}, "INVALID_FIELD", "at_sequence"),
    ({"at_sequence": 99}, "INVALID_FIELD", "at_sequence"),
    ({"event_of_sequence": 99}, "INVALID_FIELD", "event_of_sequence"),
    ({"event_of_sequence": 0}, "INVALID_FIELD", "event_of_sequence"),
    # Entry 6 is of `workflow.completed`, which says of its instance that it is.
    ({"at_sequence": 6}, "INVALID_FIELD", "event"),
    ({"event": NewEvent(event_type="workflow.completed")}, "RESERVED_EVENT_TYPE", None),
    ({"event": NewEvent(event_type="user.input.provided")}, "RESERVED_EVENT_TYPE", None),
    (
        {"event": NewEvent(event_type="a", delay=Duration(seconds=1))},
        "INVALID_FIELD",
        "event.delay",
    ),
    ({"new_workflow_instance_id": "a b"}, "INVALID_ID", "new_workflow_instance_id"),
    ({"edits": OperationList(items=[sets("/total/x", 1)])}, "INVALID_FIELD", "edits"),
    ({"edits": OperationList(items=[Operation(path="/x")])}, "INVALID_FIELD", "edits"),
    ({"edits": OperationList(items=[sets("x", 1)])}, "INVALID_PATH", None),
    (
        {"edits": OperationList(items=[sets("/x", Value(string_value="x" * 1024 * 1024))])},
        "CONTEXT_TOO_LARGE",
        None,
    ),
    ({"workflow_instance_id": "nobody"}, "WORKFLOW_NOT_FOUND", None),
]
"""What is asked, the reason of the refusal, and the field that it names."""


async def test_what_can_not_be_forked_is_refused(api: Api) -> None:
    await sourced(api)
    await api.engine.handle("o-1", "workflow.completed", None)
    for fields, reason, field in REFUSED:
        request = pb.ForkWorkflowRequest(
            **{"workflow_instance_id": "o-1", "at_sequence": 2, **fields}
        )
        refused = await refusal(api.workflows.ForkWorkflow(request))
        assert refused.reason == reason, fields
        if field is not None:
            assert refused.metadata["field"] == field
    listed = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest())
    assert len(listed.workflows) == 1
