"""Flows as messages: cut, so that an answer has a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from waystation.v1 import flow_pb2, system_service_pb2
from waystation_api.pages import MAX_PAGE_BYTES, Room
from waystation_conversion import task_spec_to_proto
from waystation_domain.flow import graph, lint
from waystation_domain.flow.findings import Finding

FINDINGS_BYTES = 1024 * 1024


def fill_flow(
    flows: Sequence[graph.Flow],
    findings: Sequence[Finding],
    response: system_service_pb2.GetFlowResponse,
) -> int:
    """Fills flows and findings; returns how many items had no room. Specs come last: a graph can be drawn
    without them, and one may take a MiB."""
    room = Room(MAX_PAGE_BYTES)
    left_out = 0
    for one in flows:
        message = response.flows.add(workflow_type=one.workflow_type, instances=one.instances)
        if room.takes(message):
            left_out += _fill(one, message, room)
        else:
            del response.flows[-1]
            left_out += 1
    specs = {task.task_id: task.spec for one in flows for task in one.tasks}
    for flow in response.flows:
        for task in flow.tasks:
            spec = specs[task.task_id]
            if spec is None:
                continue
            spec_message = task_spec_to_proto(spec)
            if room.takes(spec_message):
                task.spec.CopyFrom(spec_message)
            else:
                response.specs_left_out += 1
    reported_findings = (_finding(one) for one in findings[: lint.MAX_FINDINGS])
    left_out += max(len(findings) - lint.MAX_FINDINGS, 0)
    return left_out + _some(reported_findings, response.findings, Room(FINDINGS_BYTES))


def _some(messages: Iterable[Message], into: Any, room: Room) -> int:
    """Adds those that there is room for; returns how many are left out."""
    left_out = 0
    for message in messages:
        if room.takes(message):
            into.append(message)
        else:
            left_out += 1
    return left_out


def _fill(one: graph.Flow, message: flow_pb2.WorkflowFlow, room: Room) -> int:
    tasks = (
        flow_pb2.FlowTask(
            task_id=task.task_id,
            service_name=task.spec.service_name if task.spec is not None else "",
            live=task.live,
            succeeded=task.succeeded,
            writes=[
                flow_pb2.FlowWrite(path=path, operation=kind, count=count)
                for (path, kind), count in task.writes
            ],
        )
        for task in one.tasks
    )
    events = (
        flow_pb2.FlowEvent(
            event_type=event.event_type,
            raised=event.raised,
            unhandled=event.unhandled,
            skipped=event.skipped,
        )
        for event in one.events
    )
    raises = (
        flow_pb2.FlowRaise(
            raised_by=raised.raised_by,
            event_type=raised.event_type,
            origin=int(raised.origin),  # type: ignore[arg-type]
            count=raised.count,
        )
        for raised in one.raises
    )
    handlings = (
        flow_pb2.FlowHandling(
            event_type=handling.event_type,
            task_id=handling.task_id,
            origin=int(handling.origin),  # type: ignore[arg-type]
            succeeded=handling.succeeded,
            failed_attempts=handling.failed_attempts,
            dead_letters=handling.dead_letters,
            skipped=handling.skipped,
        )
        for handling in one.handlings
    )
    return (
        _some(tasks, message.tasks, room)
        + _some(events, message.events, room)
        + _some(raises, message.raises, room)
        + _some(handlings, message.handlings, room)
    )


def _finding(finding: Finding) -> flow_pb2.FlowFinding:
    return flow_pb2.FlowFinding(
        severity=int(finding.severity),  # type: ignore[arg-type]
        rule=int(finding.rule),  # type: ignore[arg-type]
        workflow_types=finding.workflow_types,
        subjects=finding.subjects,
        message=finding.message,
        remedy=finding.remedy,
        suggestion=finding.suggestion,
        paths=finding.paths,
    )
