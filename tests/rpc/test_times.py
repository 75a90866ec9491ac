"""Every time and every span that can be sent, at the edges of what its type holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from waystation.v1.event_pb2 import NewEvent
from waystation.v1.result_pb2 import FanOut, PendingCompletion, TaskFailure
from waystation.v1.task_handler_service_pb2 import HandleEventResponse
from waystation.v1.wait_pb2 import WaitRequest
from waystation_conversion import (
    reply_from_proto,
    seconds_from_proto,
    timestamp_from_proto,
)
from waystation_conversion.times import retry_after_from_proto
from waystation_conversion.unexpected import refuses_unexpected
from waystation_domain.errors import InvalidField
from waystation_domain.outcomes import AttemptError

YEAR_ONE, YEAR_10000 = -62_135_596_800, 253_402_300_800

NO_TIMES = [
    Timestamp(seconds=YEAR_10000),
    Timestamp(seconds=YEAR_ONE - 1),
    Timestamp(seconds=2**63 - 1),
    Timestamp(seconds=-(2**63)),
    Timestamp(nanos=-1),
    Timestamp(nanos=10**9),
    Timestamp(nanos=-(2**31)),
]
NO_SPANS = [
    Duration(seconds=-1),
    Duration(seconds=10_000 * 366 * 86_400),
    Duration(seconds=2**63 - 1, nanos=2**31 - 1),
    Duration(seconds=-(2**63), nanos=-(2**31)),
    Duration(nanos=10**9),
    Duration(seconds=1, nanos=-1),
    Duration(seconds=-1, nanos=1),
]


@pytest.mark.parametrize("value", NO_TIMES, ids=str)
def test_what_is_no_time_is_refused(value: Timestamp) -> None:
    with pytest.raises(InvalidField) as refused:
        timestamp_from_proto(value, "created_after")
    assert refused.value.metadata["field"] == "created_after"


def test_the_first_and_the_last_second_are_times() -> None:
    first = timestamp_from_proto(Timestamp(seconds=YEAR_ONE), "f")
    last = timestamp_from_proto(Timestamp(seconds=YEAR_10000 - 1, nanos=10**9 - 1), "f")
    assert first == datetime.min.replace(tzinfo=UTC)
    assert last == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("value", NO_SPANS, ids=str)
def test_what_is_no_span_is_refused(value: Duration) -> None:
    with pytest.raises(InvalidField) as refused:
        seconds_from_proto(value, "deadline", most=1000.0)
    assert refused.value.metadata["field"] == "deadline"


def test_bounds_of_spans_are_reported_in_readable_units() -> None:
    with pytest.raises(InvalidField) as refused:
        seconds_from_proto(
            Duration(seconds=31_622_401), "timeout", least=0.001, most=366 * 86_400.0
        )
    assert refused.value.message.startswith(
        "timeout is 366 days 1 s; it must be 0.001 s to 366 days."
    )
    assert refused.value.metadata["value"] == "31622401s"


@pytest.mark.parametrize("value", NO_SPANS, ids=str)
def test_a_delay_that_must_not_matter_is_cut(value: Duration) -> None:
    assert 0 <= retry_after_from_proto(value) <= 86_400.0


@pytest.mark.parametrize("value", NO_TIMES, ids=str)
@pytest.mark.parametrize("field", ["deliver_at", "expires_at"])
def test_an_answer_with_what_is_no_time_ends_its_attempt(field: str, value: Timestamp) -> None:
    event = NewEvent(event_type="a.b")
    getattr(event, field).CopyFrom(value)
    refused = reply_from_proto(HandleEventResponse(result={"events": [event]}))
    assert isinstance(refused, AttemptError)
    assert (refused.reason, refused.permanent) == ("RESPONSE_INVALID", True)


@pytest.mark.parametrize("value", NO_SPANS, ids=str)
def test_an_answer_with_what_is_no_span_ends_its_attempt(value: Duration) -> None:
    then = NewEvent(event_type="a.c")
    for answer in (
        HandleEventResponse(result={"events": [NewEvent(event_type="a.b", delay=value)]}),
        HandleEventResponse(result={"waits": [WaitRequest(message="?", timeout=value)]}),
        HandleEventResponse(result={"fan_outs": [FanOut(then=then, timeout=value)]}),
        HandleEventResponse(pending=PendingCompletion(timeout=value)),
    ):
        refused = reply_from_proto(answer)
        assert isinstance(refused, AttemptError)
        assert refused.reason == "RESPONSE_INVALID"


@pytest.mark.parametrize("value", NO_SPANS, ids=str)
def test_a_failure_counts_whatever_it_says_of_its_delay(value: Duration) -> None:
    failure = TaskFailure(message="no", reason="MINE", retry_after=value)
    error = reply_from_proto(HandleEventResponse(failure=failure))
    assert isinstance(error, AttemptError)
    assert error.reason == "MINE"
    assert error.retry_after is not None
    assert 0 <= error.retry_after <= 24 * 3600


def test_what_no_check_foresaw_ends_the_attempt_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_: object, **__: object) -> None:
        raise OverflowError("date value out of range")

    name = "waystation_conversion.replies.new_event_from_proto"
    monkeypatch.setattr(name, surprise)
    error = reply_from_proto(HandleEventResponse(result={"events": [NewEvent(event_type="a.b")]}))
    assert isinstance(error, AttemptError)
    assert (error.reason, error.permanent) == ("RESPONSE_INVALID", True)
    assert "OverflowError" not in error.message


def test_what_no_check_foresaw_in_a_request_is_the_requests_fault() -> None:
    @refuses_unexpected("payload")
    def convert(value: object) -> None:
        raise TypeError("nobody thought of that")

    with pytest.raises(InvalidField, match="payload cannot be read"):
        convert(1)
