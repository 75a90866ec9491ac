"""A span for each call of a task, between who raised its event and what the task does.

Its parent is the span in the event's metadata; the events that the task raises carry the span of the call that
raised them. So a workflow is one trace, from its start over every task. It goes on in a new trace, linked to the
old one, behind an answer of a person and behind a delay: otherwise a trace would last for weeks.

Whether a trace is recorded is decided once: by who started the workflow, else by the sampler (OTEL_TRACES_SAMPLER).
For a workflow that came without a trace the id of the trace follows from its own, so that a sampler by ratio decides
the same at each of its tasks, though nothing is written down where it says no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from waystation.v1 import task_handler_service_pb2
from waystation_core.tracing import trace_context
from waystation_core.tracing.exporter import TraceExport
from waystation_core.tracing.trace_context import TRACEPARENT, TRACESTATE, TraceContext
from waystation_domain import limits
from waystation_domain.errors import InvalidField
from waystation_domain.lifecycle import INPUT_PROVIDED, INPUT_TIMED_OUT
from waystation_domain.model import Event, NewEvent
from waystation_domain.outcomes import AttemptError, Outcome, Pending, Reply
from waystation_router.ledger import DeliveryCall, Handling

_LOW_HALF = (1 << 64) - 1

LONG_DELAY = timedelta(minutes=1)
"""An event that was delayed for longer begins a new trace."""


class ExportedSpans:
    """The spans of one router."""

    def __init__(self, export: TraceExport) -> None:
        self._tracer = export.tracer
        self._roots = export.roots
        self._sampler = export.sampler
        self._open: dict[DeliveryCall, tuple[Span, Mapping[str, str]]] = {}

    def begun(
        self,
        handling: Handling,
        call: DeliveryCall,
        request: task_handler_service_pb2.HandleEventRequest,
    ) -> None:
        """See AttemptSpans."""
        instance, metadata = handling.state.instance, handling.event.metadata or {}
        parent = call.trace = trace_context.parse(metadata.get(TRACEPARENT))
        trace_id = _trace_id(instance.namespace, instance.workflow_instance_id)
        if parent is None and not self._is_recorded(trace_id):
            # Asked before a span is made, which costs as much as all else of a call: most are not recorded.
            unsampled = TraceContext(trace_id, trace_id & _LOW_HALF or 1, sampled=False)
            request.traceparent = str(unsampled)
        elif parent is None or parent.sampled:
            span = self._started(handling, call, parent, trace_id)
            own = span.get_span_context()
            call.trace = TraceContext(own.trace_id, own.span_id, own.trace_flags.sampled)
            request.traceparent = str(call.trace)
            if span.is_recording():
                self._open[call] = span, metadata

    def _started(
        self, handling: Handling, call: DeliveryCall, parent: TraceContext | None, trace_id: int
    ) -> Span:
        """`trace_id`: of the trace that begins without a parent."""
        event, instance = handling.event, handling.state.instance
        links, context = [], Context()
        if parent is not None:
            remote = _remote(parent, (event.metadata or {}).get(TRACESTATE))
            if _begins_trace(event):
                links.append(Link(remote))
                trace_id = _trace_id(instance.namespace, event.event_id)
            else:
                context = set_span_in_context(NonRecordingSpan(remote), context)
        with self._roots.following_from(trace_id):
            return self._tracer.start_span(
                f"process {call.task.task_id}",
                context,
                SpanKind.CONSUMER,
                links=links,
                attributes={
                    "messaging.system": "waystation",
                    "messaging.operation.name": "process",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": event.event_type,
                    "messaging.message.id": event.event_id,
                    "waystation.namespace": instance.namespace,
                    "waystation.workflow_type": instance.workflow_type,
                    "waystation.workflow_instance_id": instance.workflow_instance_id,
                    "waystation.task_id": call.task.task_id,
                    "waystation.attempt": call.attempt,
                    "waystation.conflicts": call.conflicts,
                },
            )

    def _is_recorded(self, trace_id: int) -> bool:
        decided = self._sampler.should_sample(None, trace_id, "process", SpanKind.CONSUMER)
        return decided.decision is Decision.RECORD_AND_SAMPLE

    def answered(self, call: DeliveryCall, outcome: Outcome) -> Outcome:
        """See AttemptSpans."""
        span, inherited = self._open.pop(call, (None, {}))
        if span is None:
            return outcome
        if isinstance(outcome, Reply):
            outcome = _continued(outcome, str(call.trace), inherited)
        elif isinstance(outcome, Pending):
            span.set_attribute("waystation.pending", True)
        else:
            reason = outcome.reason if isinstance(outcome, AttemptError) else "CUT"
            span.set_attribute("error.type", reason)
            span.set_status(StatusCode.ERROR)
        span.end()
        return outcome

    def given_up(self, call: DeliveryCall) -> None:
        """See AttemptSpans."""
        # Never ended, so never exported: there was no attempt.
        self._open.pop(call, None)


def _begins_trace(event: Event) -> bool:
    if event.event_type in (INPUT_PROVIDED, INPUT_TIMED_OUT):
        return True
    if event.deliver_at is None or event.created_at is None:
        return False
    return event.deliver_at - event.created_at > LONG_DELAY


def _trace_id(namespace: str, of: str) -> int:
    named = f"{namespace}\0{of}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=16).digest())


def _remote(parent: TraceContext, tracestate: str | None) -> SpanContext:
    return SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )


def _continued(reply: Reply, traceparent: str, inherited: Mapping[str, str]) -> Reply:
    """The reply whose events go on from that span. `inherited` is the metadata that they get besides their own."""

    def continued(event: NewEvent) -> NewEvent:
        own = event.metadata or {}
        if TRACEPARENT in own:
            # The task knows more of the span that raised it.
            return event
        metadata = {**own, TRACEPARENT: traceparent}
        try:
            limits.check_metadata({**inherited, **metadata})
        except InvalidField:
            # No result fails because it is traced.
            return event
        return replace(event, metadata=metadata)

    return replace(
        reply,
        events=tuple(map(continued, reply.events)),
        fan_outs=tuple(
            replace(
                fan_out,
                events=tuple(map(continued, fan_out.events)),
                then=continued(fan_out.then),
            )
            for fan_out in reply.fan_outs
        ),
    )
