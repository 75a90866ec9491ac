"""Spans of calls: their parents, their traces, and the events that go on from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import StatusCode
from router.given import INSTANCE

from waystation.v1.task_handler_service_pb2 import HandleEventRequest
from waystation_core.tracing.exporter import TraceExport
from waystation_core.tracing.root_traces import RootTraces
from waystation_domain.model import Event, NewEvent
from waystation_domain.outcomes import AttemptError, FanOut, Outcome, Reply
from waystation_domain.task_spec import TaskSpec
from waystation_router.exported_spans import ExportedSpans
from waystation_router.ledger import DeliveryCall

TASK = TaskSpec("score", "claims", ("asked",), ("claim",))
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


class Calls:
    """Calls of one router with an exporter."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.sent = InMemorySpanExporter()
        roots = RootTraces()
        provider = TracerProvider(sampler=sampler, id_generator=roots, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.sent))
        self.spans = ExportedSpans(TraceExport(provider, roots))

    def make(
        self,
        metadata: Mapping[str, str] | None,
        outcome: Outcome | None = None,
        *,
        instance_id: str = "claim-1",
        **event: Any,
    ) -> tuple[str, Outcome]:
        """The traceparent that the handler got, and the outcome that the router goes on with."""
        raised = Event("e-1", "asked", {}, "split", version=2, metadata=metadata)
        instance = replace(INSTANCE, workflow_instance_id=instance_id)
        handling: Any = SimpleNamespace(
            event=replace(raised, **event), state=SimpleNamespace(instance=instance)
        )
        call, request = DeliveryCall(TASK, attempt=2), HandleEventRequest()
        self.spans.begun(handling, call, request)
        return request.traceparent, self.spans.answered(call, outcome or Reply())

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        return tuple(self.sent.get_finished_spans())


def test_a_call_is_a_span_below_the_one_that_raised_its_event() -> None:
    calls = Calls()
    traceparent, _ = calls.make({"traceparent": PARENT, "tracestate": "vendor=1"})
    [span] = calls.ended
    assert span.name == "process score"
    assert traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.context.trace_state.get("vendor") == "1"
    assert span.attributes is not None
    assert span.attributes["waystation.workflow_instance_id"] == "claim-1"
    assert span.attributes["waystation.attempt"] == 2


def test_events_go_on_from_the_call_that_raised_them_unless_the_task_says_otherwise() -> None:
    own = NewEvent("own", {}, metadata={"traceparent": PARENT})
    group = FanOut((NewEvent("part", {}),), NewEvent("all", {}))
    calls = Calls()
    traceparent, outcome = calls.make(
        {"traceparent": PARENT},
        Reply((NewEvent("next", {}, metadata={"a": "1"}), own), fan_outs=(group,)),
    )
    assert isinstance(outcome, Reply)
    raised = {event.event_type: event.metadata for event in outcome.all_events}
    assert raised == {
        "next": {"a": "1", "traceparent": traceparent},
        "own": {"traceparent": PARENT},
        "part": {"traceparent": traceparent},
        "all": {"traceparent": traceparent},
    }


def test_a_result_never_fails_for_its_trace() -> None:
    full = {f"key-{n}": "x" for n in range(32)}
    reply = Reply((NewEvent("next", {}),))
    assert Calls().make(full, reply)[1] == reply


def test_a_failure_says_its_reason_and_nothing_that_it_tells() -> None:
    calls = Calls()
    calls.make(None, AttemptError("INTERNAL", "KeyError", "the secret of claim-1"))
    [span] = calls.ended
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "KeyError"
    assert "secret" not in span.to_json()


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "user.input.provided"},
        {"created_at": NOW, "deliver_at": NOW + timedelta(hours=1)},
    ],
)
def test_behind_a_long_wait_a_trace_begins_that_is_linked_to_the_old_one(
    event: dict[str, Any],
) -> None:
    calls = Calls()
    calls.make({"traceparent": PARENT}, **event)
    [span] = calls.ended
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != TRACE
    [link] = span.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == f"{TRACE}-{SPAN}"


def test_who_started_the_workflow_decides_whether_it_is_recorded() -> None:
    calls = Calls()
    reply = Reply((NewEvent("next", {}),))
    assert calls.make({"traceparent": PARENT[:-2] + "00"}, reply) == ("", reply)
    assert calls.ended == ()


def test_a_sampler_by_ratio_decides_the_same_at_each_task_of_a_workflow() -> None:
    calls = Calls(ParentBased(TraceIdRatioBased(0.5)))
    reply = Reply((NewEvent("next", {}),))
    decided = {}
    for n in range(40):
        # No trace came with its start, and nothing is written down where the sampler says no.
        said = [calls.make(None, reply, instance_id=f"claim-{n}") for _ in range(3)]
        flags = {traceparent[-2:] for traceparent, _ in said}
        assert len(flags) == 1
        assert len({traceparent[:35] for traceparent, _ in said}) == 1
        [decided[n]] = flags
        if decided[n] == "00":
            assert {outcome == reply for _, outcome in said} == {True}
    assert set(decided.values()) == {"00", "01"}


@pytest.mark.parametrize(
    "broken", ["", "00-1", PARENT.upper(), "ff" + PARENT[2:], PARENT + "-more"]
)
def test_what_is_no_trace_context_is_ignored(broken: str) -> None:
    calls = Calls()
    calls.make({"traceparent": broken})
    [span] = calls.ended
    assert span.parent is None
