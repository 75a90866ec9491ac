"""StartWorkflow: once per id and request, within the limits, many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from support.running_api import Api, history, refusal

from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.workflow_service_pb2 import (
    GetWorkflowRequest,
    StartWorkflowRequest,
)
from waystation_domain.limits import MAX_BYTES

Code = grpc.StatusCode


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


def start(**fields: Any) -> StartWorkflowRequest:
    return StartWorkflowRequest(**{"workflow_type": "insurance_claim", **fields})


async def test_a_start_is_stored_with_its_event_and_names_the_tasks(api: Api) -> None:
    nobody = await api.workflows.StartWorkflow(start(data=struct(amount=12.5, items=[1, None])))
    assert (nobody.created, list(nobody.task_ids)) == (True, [])
    await api.handlers.RegisterHandler(
        RegisterHandlerRequest(
            service_name="claims",
            host="127.0.0.1",
            port=7500,
            tasks=[
                TaskSpec(
                    task_id=task_id,
                    event_types=["workflow.*"],
                    workflow_types=["insurance_claim"],
                )
                for task_id in ("b", "a")
            ],
        )
    )
    made = await api.workflows.StartWorkflow(
        start(
            data=struct(a=1),
            payload=struct(b=2),
            workflow_instance_id="claim-7",
            correlation_id="corr",
            priority=200,
            metadata={"traceparent": "00-x"},
        )
    )
    assert list(made.task_ids) == ["a", "b"]
    context = made.context
    assert (context.workflow_instance_id, context.version, context.status) == ("claim-7", 1, 1)
    assert context.correlation_id == "corr"
    assert context.created_at.seconds
    got = await api.workflows.GetWorkflow(GetWorkflowRequest(workflow_instance_id="claim-7"))
    assert [entry.action for entry in await history(api, "claim-7")] == ["start"]
    assert got.context.data["a"] == 1
    event = await api.engine.pending("claim-7", "workflow.started")
    assert event.payload == {"b": 2}
    assert event.priority == 200
    assert event.metadata == {"traceparent": "00-x"}


async def test_the_same_content_is_the_same_instance_and_other_content_is_refused(
    api: Api,
) -> None:
    first = await api.workflows.StartWorkflow(
        start(workflow_instance_id="claim-7", data=struct(a=1, b=[1, 2]))
    )
    again = await api.workflows.StartWorkflow(
        start(workflow_instance_id="claim-7", data=struct(b=[1, 2], a=1), namespace="default")
    )
    assert (first.created, again.created) == (True, False)
    assert again.context.created_at == first.context.created_at
    refused = await refusal(
        api.workflows.StartWorkflow(start(workflow_instance_id="claim-7", data=struct(a=2)))
    )
    assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "WORKFLOW_ALREADY_EXISTS")
    assert refused.metadata == {"workflow_instance_id": "claim-7"}


async def test_a_repeated_request_is_one_start_and_another_body_is_refused(api: Api) -> None:
    first, *others = await asyncio.gather(
        *(api.workflows.StartWorkflow(start(data=struct(a=1), request_id="r-1")) for _ in range(20))
    )
    ids = {answer.context.workflow_instance_id for answer in (first, *others)}
    assert len(ids) == 1
    assert sum(answer.created for answer in (first, *others)) == 1
    refused = await refusal(api.workflows.StartWorkflow(start(data=struct(a=2), request_id="r-1")))
    assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_many_starts_of_one_moment_are_each_answered(api: Api) -> None:
    answers = await asyncio.gather(
        *(
            api.workflows.StartWorkflow(start(workflow_instance_id=f"claim-{number % 150}"))
            for number in range(300)
        )
    )
    assert sum(answer.created for answer in answers) == 150
    assert [answer.context.workflow_instance_id for answer in answers] == [
        f"claim-{number % 150}" for number in range(300)
    ]


def _deep(levels: int) -> Struct:
    made = Struct()
    inner = made
    for _ in range(levels - 1):
        inner = inner.fields["a"].struct_value
    inner.SetInParent()
    return made


def _wide() -> Struct:
    return Struct(
        fields={"a": Value(list_value=ListValue(values=[Value(bool_value=True)] * 10_001))}
    )


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"workflow_type": ""}, Code.INVALID_ARGUMENT, "INVALID_ID", "workflow_type"),
        ({"workflow_type": "a b"}, Code.INVALID_ARGUMENT, "INVALID_ID", "workflow_type"),
        (
            {"workflow_instance_id": "x" * 201},
            Code.INVALID_ARGUMENT,
            "INVALID_ID",
            "workflow_instance_id",
        ),
        ({"correlation_id": "a\r\nb"}, Code.INVALID_ARGUMENT, "INVALID_ID", "correlation_id"),
        ({"request_id": "\0"}, Code.INVALID_ARGUMENT, "INVALID_ID", "request_id"),
        ({"priority": 256}, Code.INVALID_ARGUMENT, "INVALID_PRIORITY", "priority"),
        ({"priority": -1}, Code.INVALID_ARGUMENT, "INVALID_PRIORITY", "priority"),
        (
            {"metadata": {str(n): "" for n in range(33)}},
            Code.INVALID_ARGUMENT,
            "INVALID_FIELD",
            "metadata",
        ),
        ({"data": struct(a="x\0y")}, Code.INVALID_ARGUMENT, "INVALID_STRUCT", "data"),
        ({"data": struct(a=float("nan"))}, Code.INVALID_ARGUMENT, "INVALID_STRUCT", "data"),
        ({"payload": _deep(17)}, Code.INVALID_ARGUMENT, "INVALID_STRUCT", "payload"),
        ({"data": _wide()}, Code.INVALID_ARGUMENT, "INVALID_STRUCT", "data"),
        (
            {"data": struct(a="x" * MAX_BYTES)},
            Code.RESOURCE_EXHAUSTED,
            "CONTEXT_TOO_LARGE",
            "data",
        ),
        (
            {"payload": struct(a="\x01" * (MAX_BYTES // 5))},
            Code.RESOURCE_EXHAUSTED,
            "PAYLOAD_TOO_LARGE",
            "payload",
        ),
        ({"namespace": "acme"}, Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", None),
    ],
)
async def test_what_can_not_be_stored_is_refused_by_name(
    api: Api, fields: dict[str, Any], code: grpc.StatusCode, reason: str, field: str | None
) -> None:
    refused = await refusal(api.workflows.StartWorkflow(start(**fields)))
    assert (refused.code, refused.reason) == (code, reason)
    assert refused.metadata.get("field") == field
    if code is Code.INVALID_ARGUMENT:
        assert refused.fields == (field,)
    assert len(refused.message) < 400
    # Nothing was stored, and the server goes on.
    assert (await api.workflows.StartWorkflow(start())).created


async def test_what_is_deep_and_wide_but_within_the_limits_is_kept_bit_for_bit(api: Api) -> None:
    data = _deep(16)
    data.update({"numbers": [1, 2.5, -0.1, 5e-324, 2**53 - 1], "text": "ä\u2028\U0001f600"})
    made = await api.workflows.StartWorkflow(start(data=data))
    got = await api.workflows.GetWorkflow(
        GetWorkflowRequest(workflow_instance_id=made.context.workflow_instance_id)
    )
    assert got.context.data == data
