"""GetFlow: what is registered and what happened as one graph, with what is wrong about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from support.running_api import Api, refusal
from support.scripted_engine import failure, reply, task

from waystation.v1 import flow_pb2
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.system_service_pb2 import GetFlowRequest, GetFlowResponse
from waystation.v1.workflow_service_pb2 import StartWorkflowRequest
from waystation_api.system import flow_report
from waystation_domain.operations import Operation


async def flow(api: Api, **request: object) -> GetFlowResponse:
    response: GetFlowResponse = await api.system.GetFlow(GetFlowRequest(**request))  # type: ignore[arg-type]
    return response


async def claims(api: Api) -> None:
    """Three claims, one read and raised on under a misspelt name, one failing, one not begun."""
    request = RegisterHandlerRequest(service_name="claims", host="127.0.0.1", port=7500)
    request.tasks.add(
        task_id="reader",
        event_types=["workflow.started"],
        workflow_types=["claim"],
        may_emit=["claim.read"],
    )
    request.tasks.add(task_id="scorer", event_types=["claim.read"], workflow_types=["claim"])
    await api.handlers.RegisterHandler(request)
    for name in ("a", "b", "c"):
        await api.workflows.StartWorkflow(
            StartWorkflowRequest(workflow_type="claim", workflow_instance_id=name)
        )
    wrote = reply("claim.raed", change=(Operation("/text", "set", "x"),))
    await api.engine.handle("a", "workflow.started", wrote, by=task("reader"))
    await api.engine.handle("b", "workflow.started", failure(permanent=True), by=task("reader"))


async def test_the_flow_is_what_is_declared_and_what_was_seen(api: Api) -> None:
    await claims(api)
    response = await flow(api)
    assert (response.instances, response.cut_short, response.left_out) == (3, False, 0)
    (claim,) = response.flows
    assert (claim.workflow_type, claim.instances) == ("claim", 3)
    edges = {
        (one.raised_by, one.event_type): (
            flow_pb2.FlowOrigin.Name(one.origin).removeprefix("FLOW_ORIGIN_"),
            one.count,
        )
        for one in claim.raises
    }
    assert edges == {
        ("client", "workflow.started"): ("BOTH", 3),
        ("reader", "claim.raed"): ("OBSERVED", 1),
        ("reader", "claim.read"): ("DECLARED", 0),
        ("reader", "workflow.failed"): ("OBSERVED", 1),
    }
    by_event = {one.event_type: one for one in claim.handlings}
    assert set(by_event) == {"claim.read", "workflow.started"}
    started = by_event["workflow.started"]
    assert (started.task_id, started.origin) == ("reader", flow_pb2.FLOW_ORIGIN_BOTH)
    assert (started.succeeded, started.failed_attempts, started.dead_letters) == (1, 1, 1)
    reader, scorer = claim.tasks
    assert (reader.task_id, reader.service_name, reader.live) == ("reader", "claims", True)
    assert [(one.path, one.operation, one.count) for one in reader.writes] == [("/text", "set", 1)]
    assert list(scorer.spec.event_types) == ["claim.read"]


async def test_findings_come_with_it_the_worst_first(api: Api) -> None:
    await claims(api)
    findings = (await flow(api)).findings
    assert [one.severity for one in findings] == sorted(
        (one.severity for one in findings), reverse=True
    )
    worst = findings[0]
    assert worst.severity == flow_pb2.FLOW_SEVERITY_ERROR
    assert worst.rule == flow_pb2.FLOW_RULE_EMITTED_UNHANDLED
    assert (list(worst.subjects), list(worst.workflow_types)) == (["claim.raed"], ["claim"])
    assert worst.suggestion == "claim.read"
    assert worst.remedy


async def test_one_type_alone_and_one_that_nobody_knows(api: Api) -> None:
    await claims(api)
    await api.workflows.StartWorkflow(StartWorkflowRequest(workflow_type="claims"))
    everything = await flow(api)
    assert [one.workflow_type for one in everything.flows] == ["claim", "claims"]
    alone = await flow(api, workflow_type="claim")
    assert (list(alone.flows), alone.instances) == ([everything.flows[0]], 3)
    assert {name for one in alone.findings for name in one.workflow_types} == {"claim"}
    misspelt = await flow(api, workflow_type="claims")
    assert [one.rule for one in misspelt.findings] == [flow_pb2.FLOW_RULE_START_UNHANDLED]
    assert misspelt.findings[0].suggestion == "claim"
    nobody = await flow(api, workflow_type="nobody")
    assert (list(nobody.flows), list(nobody.findings), nobody.instances) == ([], [], 0)


async def test_what_finds_no_room_is_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await claims(api)
    whole = await flow(api)
    assert (whole.left_out, whole.specs_left_out) == (0, 0)
    (drawn,) = whole.flows
    specs = [one.spec for one in drawn.tasks]
    without = flow_pb2.WorkflowFlow()
    without.CopyFrom(drawn)
    for bare_task in without.tasks:
        bare_task.ClearField("spec")
    # Room for all but the specs, and for one of these.
    parts = [
        flow_pb2.WorkflowFlow(workflow_type=drawn.workflow_type, instances=drawn.instances),
        *without.tasks, *without.events, *without.raises, *without.handlings,
    ]  # fmt: skip
    bare = sum(part.ByteSize() + 8 for part in parts)
    monkeypatch.setattr(flow_report, "MAX_PAGE_BYTES", bare + specs[0].ByteSize() + 8)
    monkeypatch.setattr(flow_report, "FINDINGS_BYTES", whole.findings[0].ByteSize() + 8)
    cut = await flow(api)
    assert [one.HasField("spec") for one in cut.flows[0].tasks] == [True, False]
    assert cut.specs_left_out == 1
    assert list(cut.findings) == [whole.findings[0]]
    assert cut.left_out == len(whole.findings) - 1
    # Not even for all of the graph.
    monkeypatch.setattr(flow_report, "MAX_PAGE_BYTES", bare - 1)
    cut = await flow(api)
    (fewer,) = cut.flows
    assert len(fewer.handlings) == len(drawn.handlings) - 1
    assert (cut.left_out, cut.specs_left_out) == (len(whole.findings), len(specs))
    monkeypatch.setattr(flow_report, "MAX_PAGE_BYTES", 1)
    assert not (await flow(api)).flows


async def test_it_looks_back_as_far_as_requested(api: Api) -> None:
    await claims(api)
    newest = await flow(api, max_instances=2)
    assert (newest.instances, newest.cut_short) == (2, True)
    assert newest.looked_back_to.ToDatetime(UTC) > datetime.now(UTC) - timedelta(hours=1)
    future = Timestamp()
    future.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    none = await flow(api, created_after=future)
    assert (none.instances, none.looked_back_to) == (0, future)
    assert [one.origin for one in none.flows[0].raises] == [flow_pb2.FLOW_ORIGIN_DECLARED] * 2


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"max_instances": -1}, "INVALID_FIELD"),
        ({"workflow_type": "a b"}, "INVALID_ID"),
        ({"created_after": Timestamp(seconds=-(2**40))}, "INVALID_FIELD"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_what_is_asked_wrongly_is_refused(
    field: dict[str, object], reason: str, api: Api
) -> None:
    refused = await refusal(api.system.GetFlow(GetFlowRequest(**field)))  # type: ignore[arg-type]
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert list(field) == [refused.metadata["field"]]
