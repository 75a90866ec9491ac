"""Bad input at the API's doors: each row gets its typed answer, nothing is stored, others are answered."""

from __future__ import annotations

from typing import Any

import pytest
from support.running_api import Api, refusal

from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec

PATH = "/waystation.v1.WorkflowService/"


def field(number: int, value: bytes) -> bytes:
    length, out = len(value), bytearray([number << 3 | 2])
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    return bytes(out) + bytes([length]) + value


def start_of(part: bytes, number: int) -> bytes:
    """A StartWorkflowRequest whose data has one list of so many parts."""
    value = field(6, field(1, part) * number)
    return field(2, b"claim") + field(3, field(1, field(1, b"a") + field(2, value)))


DEEP = b"\x08\x00"
for _ in range(60):
    DEEP = field(6, field(1, DEEP))

RAW = [
    ("StartWorkflow", start_of(b"\x08\x00", 1_900_000), "INVALID_STRUCT"),
    ("StartWorkflow", start_of(b"\x2a\x00", 700_000), "INVALID_STRUCT"),
    ("StartWorkflow", start_of(b"", 3_900_000), "INVALID_STRUCT"),
    ("StartWorkflow", start_of(DEEP, 1), "INVALID_STRUCT"),
    ("StartWorkflow", field(1, b"x" * 9_000_000), "PAYLOAD_TOO_LARGE"),
    ("StartWorkflow", b"\x12\xff\xff\xff\xff", "INVALID_FIELD"),
    ("StartWorkflow", field(2, b"\xff\xfe"), "INVALID_FIELD"),
    ("ListWorkflows", field(2, b"\x10\x01" * 100_000), "INVALID_FIELD"),
    ("ListWorkflows", field(2, field(2, b"\x01" * 5_000)), "INVALID_FIELD"),
    ("ListWorkflows", field(2, field(1, b"t") * 5_000), "INVALID_FIELD"),
    ("ListWorkflows", b"\x98\x06\x01" * 2_500_000, "PAYLOAD_TOO_LARGE"),
]


@pytest.mark.parametrize(
    ("method", "data", "reason"), RAW, ids=[f"{row[0]} {len(row[1])} {row[2]}" for row in RAW]
)
async def test_bytes_that_hold_too_much_are_refused_by_name(
    api: Api, method: str, data: bytes, reason: str
) -> None:
    call: Any = api.channel.unary_unary(PATH + method)
    assert (await refusal(call(data))).reason == reason
    found = await api.workflows.ListWorkflows(pb.ListWorkflowsRequest())
    assert not found.workflows


IDS = ["", "x" * 1_001, "a b", "a\r\nb", "\u202ea", "e\u0301", "a\0", "a/b"]


@pytest.mark.parametrize("text", IDS, ids=lambda text: ascii(text)[:12])
async def test_what_is_no_id_is_refused_at_every_door(api: Api, text: str) -> None:
    for call in (
        api.workflows.StartWorkflow(pb.StartWorkflowRequest(workflow_type=text)),
        api.workflows.GetWorkflow(pb.GetWorkflowRequest(workflow_instance_id=text)),
        api.handlers.RegisterHandler(
            handlers_pb.RegisterHandlerRequest(
                service_name="s", host="127.0.0.1", port=7, tasks=[TaskSpec(task_id=text)]
            )
        ),
    ):
        refused = await refusal(call)
        assert refused.reason == "INVALID_ID"
        assert len(refused.message) < 400
    event = pb.PublishEventRequest(workflow_instance_id="w", event=NewEvent(event_type=text))
    assert (await refusal(api.workflows.PublishEvent(event))).reason == "INVALID_EVENT_TYPE"
