"""Traces through OpenTelemetry: what a task does is a span below the router's, and a start carries the caller's.

OpenTelemetry's API is an extra (`waystation-worker[traces]`). Which spans are recorded, and where they go, the program
says, with OpenTelemetry's SDK. Without either nothing here costs anything, and the contexts that come with events are
still handed on to the events that a task raises.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from waystation.v1 import task_handler_service_pb2

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True
    _propagator = TraceContextTextMapPropagator()

_MAX_ENTRIES, _MAX_BYTES = 32, 4096
"""Of the metadata of a start."""


def traceparent_of(request: task_handler_service_pb2.HandleEventRequest) -> str:
    """The span to which a call belongs, as a W3C traceparent: the router's, else that which raised its event; empty
    outside of traces."""
    return request.traceparent or request.event.metadata.get("traceparent", "")


def traced(function: Callable[[Any], Any], is_async: bool) -> Callable[[Any], Any]:
    """The function of a task with a span around each call."""
    if not INSTALLED:
        return function
    call: Callable[[Any], Any]
    if is_async:

        @functools.wraps(function)
        async def call(context: Any) -> object:
            if _sends_no_spans():
                return await function(context)
            with _span(context):
                return await function(context)

    else:

        @functools.wraps(function)
        def call(context: Any) -> object:
            if _sends_no_spans():
                return function(context)
            with _span(context):
                return function(context)

    return call


def add_current_trace(metadata: MutableMapping[str, str]) -> None:
    """Adds the span in which a start is made to the start's metadata, if there is one and it says nothing of its own."""
    if not INSTALLED or "traceparent" in metadata or trace.get_current_span() is trace.INVALID_SPAN:
        return
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    whole = {**metadata, **carrier}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in whole.items())
    # No start is refused because it is traced.
    if len(whole) <= _MAX_ENTRIES and size <= _MAX_BYTES:
        metadata.update(carrier)


def _sends_no_spans() -> bool:
    """Whether the program has not said, by a provider, what becomes of spans."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def _span(context: Any) -> Iterator[None]:
    """`context` is the TaskContext of the call."""
    metadata = context.event.metadata
    carrier = {"traceparent": context.traceparent, "tracestate": metadata.get("tracestate", "")}
    # What a failure says goes to the log, and to nobody else: it may have the workflow's data.
    with trace.get_tracer("waystation_worker").start_as_current_span(
        context.task_id,
        _propagator.extract(carrier, Context()),
        trace.SpanKind.SERVER,
        attributes={
            "waystation.workflow_instance_id": context.workflow_instance_id,
            "waystation.task_id": context.task_id,
            "waystation.attempt": context.attempt,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise
