"""Answers of tasks, read as hostile input."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from waystation.v1.event_pb2 import NewEvent
from waystation.v1.operation_pb2 import Operation, OperationList, PathSet, RemoveOperation
from waystation.v1.result_pb2 import TaskFailure, TaskResult, WorkflowCompletion, WorkflowFailing
from waystation.v1.task_handler_service_pb2 import HandleEventResponse
from waystation.v1.wait_pb2 import WaitRequest
from waystation_conversion import reply_from_proto
from waystation_domain import model, operations
from waystation_domain.limits import MAX_BYTES
from waystation_domain.outcomes import AttemptError, Completion, Failing, Patch, Replacement, Reply
from waystation_domain.outcomes import WaitRequest as Asked


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


def answer(**fields: Any) -> HandleEventResponse:
    return HandleEventResponse(result=TaskResult(**fields))


def test_an_empty_result_is_a_reply_that_read_everything() -> None:
    assert reply_from_proto(answer()) == Reply()


@pytest.mark.parametrize("sent", [b"", b"\xa2\x06\x02{}"], ids=["nothing", "an arm of later"])
def test_an_answer_without_an_outcome_takes_no_effect(sent: bytes) -> None:
    refused = reply_from_proto(HandleEventResponse.FromString(sent))
    assert isinstance(refused, AttemptError)
    assert (refused.reason, refused.permanent) == ("RESPONSE_INVALID", True)
    assert refused.metadata == {"problem": "no outcome"}


def test_a_full_answer_is_read_as_it_was_meant() -> None:
    full = answer(
        events=[
            NewEvent(
                event_type="claim.processed",
                payload=struct(a=1),
                priority=0,
                metadata={"k": "v"},
                schema_version="2",
            ),
            NewEvent(event_type="claim.noted"),
        ],
        operations=OperationList(
            items=[
                Operation(path="/a~1b", set=Value(null_value=0)),  # type: ignore[arg-type]
                Operation(path="/gone", remove=RemoveOperation()),
                Operation(path="/n", increment=2.0),
                Operation(path="/n", maximum=2.5),
                Operation(path="/list", append=Value(list_value=ListValue())),
                Operation(path="/set", add_to_set=Value(string_value="x")),
            ]
        ),
        waits=[
            WaitRequest(message="How much?", wait_id="w-a", input_schema=struct(type="object")),
            WaitRequest(message="And who?"),
        ],
        reads=PathSet(paths=["", "/a"]),
    )
    reply = reply_from_proto(full)
    assert isinstance(reply, Reply)
    assert reply.events == (
        model.NewEvent("claim.processed", {"a": 1}, 0, {"k": "v"}, "2"),
        model.NewEvent("claim.noted", {}),
    )
    assert reply.change == (
        operations.Operation("/a~1b", "set", None),
        operations.Operation("/gone", "remove"),
        operations.Operation("/n", "increment", 2),
        operations.Operation("/n", "maximum", 2.5),
        operations.Operation("/list", "append", []),
        operations.Operation("/set", "add_to_set", "x"),
    )
    assert reply.waits == (Asked("How much?", "w-a", {"type": "object"}), Asked("And who?"))
    assert reply.reads == ("", "/a")


def test_having_read_nothing_differs_from_not_having_said() -> None:
    nothing = reply_from_proto(answer(reads=PathSet()))
    assert isinstance(nothing, Reply)
    assert nothing.reads == ()


def test_the_other_forms_of_a_change_and_an_output() -> None:
    patched = reply_from_proto(answer(data_patch=struct(a=None)))
    assert isinstance(patched, Reply)
    assert patched.change == Patch({"a": None})
    done = reply_from_proto(
        answer(data=Struct(), complete=WorkflowCompletion(output=struct(paid=1)))
    )
    assert isinstance(done, Reply)
    assert (done.change, done.end) == (Replacement({}), Completion({"paid": 1}))
    failed = reply_from_proto(
        answer(fail=WorkflowFailing(reason="FRAUD", message="odd\0", details=struct(score=97)))
    )
    assert isinstance(failed, Reply)
    assert failed.end == Failing("FRAUD", "odd\N{REPLACEMENT CHARACTER}", {"score": 97})


def _wide(number: int) -> Struct:
    return Struct(
        fields={"a": Value(list_value=ListValue(values=[Value(bool_value=True)] * number))}
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"events": [NewEvent()]}, "INVALID_EVENT_TYPE"),
        ({"events": [NewEvent(event_type="a b")]}, "INVALID_EVENT_TYPE"),
        ({"events": [NewEvent(event_type="workflow.started")]}, "reserved event type"),
        ({"events": [NewEvent(event_type="a", priority=256)]}, "INVALID_PRIORITY"),
        ({"events": [NewEvent(event_type="a", schema_version="x" * 201)]}, "INVALID_FIELD"),
        ({"events": [NewEvent(event_type="a", payload=struct(a="\0"))]}, "INVALID_STRUCT"),
        ({"events": [NewEvent(event_type="a", metadata={"": "x"})]}, "INVALID_FIELD"),
        ({"data": struct(a=math.inf)}, "INVALID_STRUCT"),
        ({"data": _wide(10_001)}, "INVALID_STRUCT"),
        ({"operations": {"items": [{"path": "/a"}]}}, "operation without kind"),
        ({"operations": {"items": [{"path": "a", "remove": {}}]}}, "INVALID_PATH"),
        ({"operations": {"items": [{"path": "/~2", "remove": {}}]}}, "INVALID_PATH"),
        ({"operations": {"items": [{"path": "/a", "increment": math.nan}]}}, "INVALID_STRUCT"),
        (
            {"operations": {"items": [{"path": "/a", "set": {"string_value": "\0"}}]}},
            "INVALID_STRUCT",
        ),
        (
            {"operations": OperationList(items=[Operation(path="/a", increment=1)] * 10_001)},
            "too many operations",
        ),
        ({"reads": PathSet(paths=["a.b"])}, "INVALID_PATH"),
        ({"complete": {}, "waits": [{"message": "?"}]}, "contradicting statuses"),
        (
            {"complete": {}, "events": [NewEvent(event_type="workflow.failed")]},
            "contradicting statuses",
        ),
        ({"complete": {"output": struct(a=math.inf)}}, "INVALID_STRUCT"),
        ({"fail": {"message": "no name"}}, "end without reason"),
        ({"waits": [{}]}, "wait without message"),
        ({"waits": [{"message": "?", "wait_id": "a b"}]}, "INVALID_ID"),
        ({"waits": [{"message": "x" * 5000}]}, "INVALID_FIELD"),
        ({"waits": [{"message": "?", "answer_path": "a"}]}, "INVALID_PATH"),
        ({"waits": [{"message": "?", "answer_path": "/$waystation.x"}]}, "INVALID_PATH"),
        ({"waits": [{"message": "?", "answer_path": "/a" * 16}]}, "INVALID_PATH"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_a_permanent_failure(
    fields: dict[str, Any], problem: str
) -> None:
    outcome = reply_from_proto(answer(**fields))
    assert isinstance(outcome, AttemptError)
    assert (outcome.reason, outcome.permanent) == ("RESPONSE_INVALID", True)
    assert outcome.metadata is not None
    assert problem in (outcome.metadata.get("rule"), outcome.metadata["problem"])
    assert len(outcome.message) < 400


def test_a_failure_without_a_message_has_its_reason_as_message() -> None:
    for failure, said in ((TaskFailure(reason="LATE"), "LATE"), (TaskFailure(), "TASK_FAILURE")):
        outcome = reply_from_proto(HandleEventResponse(failure=failure))
        assert isinstance(outcome, AttemptError)
        assert (outcome.reason, outcome.message) == (said, said)


def test_limits_of_size_and_number_keep_their_reasons() -> None:
    many = reply_from_proto(answer(events=[NewEvent(event_type="a")] * 1001))
    large = reply_from_proto(
        answer(events=[NewEvent(event_type="a", payload=struct(a="x" * MAX_BYTES))])
    )
    form = reply_from_proto(
        answer(waits=[WaitRequest(message="?", input_schema=struct(a="x" * 64 * 1024))])
    )
    assert isinstance(form, AttemptError)
    assert (form.reason, form.metadata and form.metadata["field"]) == (
        "PAYLOAD_TOO_LARGE",
        "waits[0].input_schema",
    )
    assert isinstance(many, AttemptError)
    assert isinstance(large, AttemptError)
    assert (many.code, many.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_EVENTS")
    assert (large.code, large.reason) == ("RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE")


def test_a_failure_counts_whatever_else_is_wrong_with_it() -> None:
    plain = reply_from_proto(
        HandleEventResponse(
            failure=TaskFailure(
                reason="POLICY_MISSING",
                message="no policy",
                permanent=True,
                retry_after=Duration(seconds=5, nanos=500_000_000),
                metadata=struct(policy="p-1"),
            )
        )
    )
    assert plain == AttemptError(
        "TASK_FAILURE", "POLICY_MISSING", "no policy", True, 5.5, {"policy": "p-1"}
    )
    odd = reply_from_proto(
        HandleEventResponse(
            failure=TaskFailure(
                reason="r\0" * 500,
                message="m\0" * 9000,
                retry_after=Duration(seconds=10**9),
                metadata=struct(a="\0"),
            )
        )
    )
    assert isinstance(odd, AttemptError)
    assert not odd.permanent
    assert "\0" not in odd.reason + odd.message
    assert (len(odd.reason), len(odd.message), odd.retry_after) == (200, 4096, 86_400.0)
    assert odd.metadata is not None
    assert list(odd.metadata) == ["left_out"]
