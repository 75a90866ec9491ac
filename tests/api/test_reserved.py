"""What is kept for later, and numbers that may have been rounded: refused at every door of the API."""

from __future__ import annotations

from typing import Any

import pytest
from api.test_forks import sourced
from api.test_unknown_fields import CHANGES, METHODS
from google.protobuf.message_factory import GetMessageClass
from support.doors import json_doors, metadata_doors, prepared
from support.running_api import Api, refusal, refused_at

from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.operation_pb2 import Operation, OperationList

# What a task answers has its own test: tests/rpc/test_reserved_answers.py.
OURS = [path for path in CHANGES if "DeliveryCompletion" not in path]
JSON = [(path, *door) for path in OURS for door in json_doors(METHODS[path].input_type)]
METADATA = [(path, *door) for path in OURS for door in metadata_doors(METHODS[path].input_type)]

REFUSED = [
    ({"a": [{"$waystation.blob": "b-1"}]}, "/a/0/$waystation.blob"),
    ({"a": {"b": [1, 2.0**53]}}, "/a/b/1"),
    ({"a": -1e300}, "/a"),
]


def _ids(rows: list[Any]) -> list[str]:
    return [f"{path.rpartition('/')[2]}.{place}" for path, place, _ in rows]


def test_the_doors_are_all_there() -> None:
    assert {
        "StartWorkflow.data",
        "StartWorkflow.payload",
        "RunWorkflow.start.data",
        "ProvideInput.input",
        "PublishEvent.event.payload",
        "RetryDeadLetter.payload",
        "ForkWorkflow.edits.items.set",
        "ForkWorkflow.event.payload",
    } <= set(_ids(JSON))


@pytest.mark.parametrize(("path", "place", "write"), JSON, ids=_ids(JSON))
async def test_json_is_refused_by_place(api: Api, path: str, place: str, write: Any) -> None:
    await sourced(api)
    for value, where in REFUSED:
        request = prepared(GetMessageClass(METHODS[path].input_type)())
        write(request, value)
        refused = await refused_at(api, path, request)
        assert (refused.reason, refused.metadata["path"]) == ("INVALID_STRUCT", where)
        assert place.endswith(refused.metadata["field"].rpartition(".")[2])


@pytest.mark.parametrize(("path", "place", "write"), METADATA, ids=_ids(METADATA))
async def test_metadata_is_refused_by_key(api: Api, path: str, place: str, write: Any) -> None:
    await sourced(api)
    request = prepared(GetMessageClass(METHODS[path].input_type)())
    write(request, {"traceparent": "00-1", "waystation-principal": "ada"})
    refused = await refused_at(api, path, request)
    assert refused.reason == "INVALID_FIELD"
    assert refused.metadata["key"] == "waystation-principal"
    assert place.endswith(refused.metadata["field"])


async def test_numbers_and_paths_of_edits_are_refused_too(api: Api) -> None:
    await sourced(api)

    async def refused_edit(edit: Operation) -> tuple[str, str]:
        edits = OperationList(items=[edit])
        request = pb.ForkWorkflowRequest(workflow_instance_id="o-1", at_sequence=2, edits=edits)
        found = await refusal(api.workflows.ForkWorkflow(request))
        return found.reason, found.metadata["path"]

    large = Operation(path="/total", increment=2.0**53)
    assert (await refused_edit(large))[0] == "INVALID_STRUCT"
    sum_of_both = Operation(path="/total", increment=2.0**53 - 1)
    assert await refused_edit(sum_of_both) == ("INVALID_FIELD", "/total")
    ours = Operation(path="/a/$waystation.blob", increment=1)
    assert await refused_edit(ours) == ("INVALID_PATH", "/a/$waystation.blob")


@pytest.mark.parametrize(
    "event_type", ["user.input.assigned", "user.input.", "waystation.tick", "workflow.paused"]
)
async def test_event_types_of_the_system_are_refused(api: Api, event_type: str) -> None:
    await sourced(api)
    event = NewEvent(event_type=event_type)
    for call in (
        api.workflows.PublishEvent(pb.PublishEventRequest(workflow_instance_id="o-1", event=event)),
        api.workflows.ForkWorkflow(
            pb.ForkWorkflowRequest(workflow_instance_id="o-1", at_sequence=2, event=event)
        ),
    ):
        refused = await refusal(call)
        assert refused.reason == "RESERVED_EVENT_TYPE"
        assert refused.metadata.get("event_type") == event_type


def registrations(service: str = "claims", **spec: Any) -> handlers_pb.RegisterHandlerRequest:
    given = {"task_id": "t", "event_types": ["a"], "workflow_types": ["order"], **spec}
    return handlers_pb.RegisterHandlerRequest(
        service_name=service, host="127.0.0.1", port=7500, tasks=[TaskSpec(**given)]
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (registrations(task_id="client"), "tasks[0].task_id"),
        (registrations(task_id="system"), "tasks[0].task_id"),
        (registrations(task_id="waystation.schedule"), "tasks[0].task_id"),
        (registrations(task_id="a:b"), "tasks[0].task_id"),
        (registrations(workflow_types=["waystation.batch"]), "tasks[0].workflow_types"),
        (registrations("waystation.internal"), "service_name"),
        (pb.StartWorkflowRequest(workflow_type="waystation.batch"), "workflow_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_names_are_refused(api: Api, request_: Any, field: str) -> None:
    if isinstance(request_, pb.StartWorkflowRequest):
        call = api.workflows.StartWorkflow(request_)
    else:
        call = api.handlers.RegisterHandler(request_)
    refused = await refusal(call)
    assert (refused.reason, refused.metadata["field"]) == ("INVALID_ID", field)


async def test_names_that_are_only_like_it_are_taken(api: Api) -> None:
    taken = registrations("waystations", task_id="client.x", workflow_types=["*", "waystation"])
    assert (await api.handlers.RegisterHandler(taken)).handler.service_name == "waystations"
    started = pb.StartWorkflowRequest(workflow_type="waystation", metadata={"waystation": "x"})
    assert (await api.workflows.StartWorkflow(started)).created
