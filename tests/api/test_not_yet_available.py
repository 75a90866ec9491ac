"""What the contract has and this release does not: all of it is refused by name, nothing else is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from support.running_api import Api, refusal

from waystation.v1 import task_completion_service_pb2 as completions
from waystation.v1 import task_handler_service_pb2 as tasks
from waystation.v1 import workflow_service_pb2 as workflows
from waystation.v1.event_pb2 import NewEvent
from waystation_core.domain.results import AttemptError
from waystation_core.rpc.conversion import reply_from_proto

_SOON = Duration(seconds=1)
_THEN = Timestamp(seconds=4_000_000_000)

CALLS: dict[str, tuple[str, str, Any]] = {
    "CompleteTask": ("completions", "CompleteTask", completions.CompleteTaskRequest()),
    "FailTask": ("completions", "FailTask", completions.FailTaskRequest()),
    "ExtendTask": ("completions", "ExtendTask", completions.ExtendTaskRequest()),
    "StartWorkflowRequest.deadline": (
        "workflows",
        "StartWorkflow",
        workflows.StartWorkflowRequest(workflow_type="t", deadline=_SOON),
    ),
    **{
        f"NewEvent.{field}": (
            "workflows",
            "PublishEvent",
            workflows.PublishEventRequest(
                workflow_instance_id="w-1", event={"event_type": "a", field: value}
            ),
        )
        for field, value in (("delay", _SOON), ("deliver_at", _THEN), ("expires_at", _THEN))
    },
}
"""By feature: the service, the method and a request that asks for it."""

ANSWERS: dict[str, tasks.HandleEventResponse] = {
    "NewEvent.delay": tasks.HandleEventResponse(events=[NewEvent(event_type="a", delay=_SOON)]),
    "NewEvent.deliver_at": tasks.HandleEventResponse(
        events=[NewEvent(event_type="a", deliver_at=_THEN)]
    ),
    "NewEvent.expires_at": tasks.HandleEventResponse(
        events=[NewEvent(event_type="a", expires_at=_THEN)]
    ),
    "WaitRequest.timeout": tasks.HandleEventResponse(
        wait=tasks.WaitRequest(message="?", timeout=_SOON)
    ),
    "HandleEventResponse.fan_outs": tasks.HandleEventResponse(fan_outs=[tasks.FanOut()]),
    "HandleEventResponse.pending": tasks.HandleEventResponse(pending=tasks.PendingCompletion()),
}
"""By feature: a task's answer that asks for it."""


@pytest.mark.parametrize("feature", CALLS)
async def test_calls_are_refused_naming_the_feature(api: Api, feature: str) -> None:
    service, method, request = CALLS[feature]
    refused = await refusal(getattr(getattr(api, service), method)(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_YET_AVAILABLE")
    assert refused.metadata == {"feature": feature}


@pytest.mark.parametrize("feature", ANSWERS)
def test_answers_fail_for_good_naming_the_feature(feature: str) -> None:
    outcome = reply_from_proto(ANSWERS[feature])
    assert isinstance(outcome, AttemptError)
    assert (outcome.reason, outcome.permanent) == ("NOT_YET_AVAILABLE", True)
    assert outcome.metadata == {"feature": feature}


def test_nothing_else_is_refused_so() -> None:
    services = Path(__file__).parents[2] / "services"
    named = set()
    for file in services.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "NotYetAvailable"
            ):
                (argument,) = node.args
                named.add(ast.unparse(argument))
    written = {name.strip("'\"") for name in named if name[0] in "'\""}
    # This one is put together from the message at hand; both tables above spell it out.
    assert named - {repr(name) for name in written} == {
        "f'{feature}.{later}'",
    }
    put_together = {name for name in CALLS if name.startswith("NewEvent.")}
    assert written == (set(CALLS) | set(ANSWERS)) - put_together
