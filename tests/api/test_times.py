"""What is no time and no span is refused at every door, by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from support.running_api import Api, refusal

from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import delivery_completion_service_pb2 as completion_pb
from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import system_service_pb2 as system_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec

YEAR_ZERO = Timestamp(seconds=-62_135_596_801)
YEAR_10000 = Timestamp(seconds=253_402_300_800)
NO_SPAN = Duration(seconds=315_576_000_001, nanos=10**9)

TIMES: list[tuple[str, str, Any]] = [
    ("system.GetFlow", "created_after", system_pb.GetFlowRequest),
]
FILTERED: list[tuple[str, Any, dict[str, Any]]] = [
    ("workflows.ListWorkflows", pb.ListWorkflowsRequest, {}),
    ("dead_letters.ListDeadLetters", letters_pb.ListDeadLettersRequest, {}),
    ("dead_letters.RetryDeadLetters", letters_pb.RetryDeadLettersRequest, {"request_id": "r-1"}),
    (
        "dead_letters.DiscardDeadLetters",
        letters_pb.DiscardDeadLettersRequest,
        {"request_id": "r-1"},
    ),
]


def _of(api: Api, name: str) -> Any:
    stub, method = name.split(".")
    return getattr(getattr(api, stub), method)


@pytest.mark.parametrize("when", [YEAR_ZERO, YEAR_10000], ids=["year 0", "year 10000"])
async def test_what_is_no_time_is_refused_at_every_door(api: Api, when: Timestamp) -> None:
    asked: list[tuple[str, str, Message]] = [
        (name, field, request(**{field: when})) for name, field, request in TIMES
    ]
    for name, request, more in FILTERED:
        for field in ("created_after", "created_before"):
            asked.append((name, f"filter.{field}", request(filter={field: when}, **more)))
    for field in ("deliver_at", "expires_at"):
        event = NewEvent(event_type="a.b", **{field: when})
        publish = pb.PublishEventRequest(workflow_instance_id="w", event=event)
        asked.append(("workflows.PublishEvent", f"event.{field}", publish))
    for name, field, message in asked:
        refused = await refusal(_of(api, name)(message))
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", (field,)), name
        # What has no default can't be omitted.
        assert ("omit it" in refused.message) is (field != "extension"), refused.message


async def test_what_is_no_span_is_refused_at_every_door(api: Api) -> None:
    start = pb.StartWorkflowRequest(workflow_type="w", timeout=NO_SPAN)
    event = NewEvent(event_type="a.b", delay=NO_SPAN)
    registration = handlers_pb.RegisterHandlerRequest(
        service_name="s", host="127.0.0.1", port=1, tasks=[TaskSpec(task_id="a")]
    )
    asked: list[tuple[str, str, Message]] = [
        ("workflows.StartWorkflow", "timeout", start),
        ("workflows.RunWorkflow", "timeout", pb.RunWorkflowRequest(start=start)),
        ("workflows.RunWorkflow", "timeout", pb.RunWorkflowRequest(start={}, timeout=NO_SPAN)),
        (
            "workflows.WaitWorkflow",
            "timeout",
            pb.WaitWorkflowRequest(workflow_instance_id="w", timeout=NO_SPAN),
        ),
        (
            "workflows.PublishEvent",
            "event.delay",
            pb.PublishEventRequest(workflow_instance_id="w", event=event),
        ),
        (
            "completions.ExtendDelivery",
            "extension",
            completion_pb.ExtendDeliveryRequest(completion_token="t", extension=NO_SPAN),
        ),
        ("handlers.RegisterHandler", "lease", _with(registration, lease=NO_SPAN)),
    ]
    for field in ("timeout", "initial_backoff", "max_backoff"):
        spec = TaskSpec(task_id="a", event_types=["b"], workflow_types=["c"], **{field: NO_SPAN})  # type: ignore[arg-type]
        asked.append(
            ("handlers.RegisterHandler", f"tasks[0].{field}", _with(registration, tasks=[spec]))
        )
    for name, field, message in asked:
        refused = await refusal(_of(api, name)(message))
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", (field,)), name


def _with(request: Any, **fields: Any) -> Any:
    changed = type(request)()
    changed.CopyFrom(request)
    for field in fields:
        changed.ClearField(field)
    changed.MergeFrom(type(request)(**fields))
    return changed
