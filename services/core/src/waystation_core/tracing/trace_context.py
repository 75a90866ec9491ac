"""W3C trace contexts as the header `traceparent` has them. https://www.w3.org/TR/trace-context/"""

from __future__ import annotations

import re
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
OF_TRACES = (TRACEPARENT, TRACESTATE)
"""The keys of an event's metadata."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


class TraceContext(NamedTuple):
    """A span of some process, and whether its trace is recorded."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}"


def parse(traceparent: str | None) -> TraceContext | None:
    """What it says; None for what is not one: the standard has such a thing ignored."""
    found = _FORM.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    context = TraceContext(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED))
    return context if context.trace_id and context.span_id else None


def log_fields(context: TraceContext | None) -> dict[str, str]:
    """`trace_id` and `span_id` of a line of log; none without a trace."""
    if context is None:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
