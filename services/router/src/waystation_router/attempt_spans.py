"""Where calls of tasks become spans, if this router has an exporter."""

from __future__ import annotations

from typing import Protocol

from waystation.v1 import task_handler_service_pb2
from waystation_core.tracing.exporter import TraceExport
from waystation_domain.outcomes import Outcome
from waystation_router.ledger import DeliveryCall, Handling


class AttemptSpans(Protocol):
    """Is told of each call of a task."""

    def begun(
        self,
        handling: Handling,
        call: DeliveryCall,
        request: task_handler_service_pb2.HandleEventRequest,
    ) -> None:
        """A task is called now with this request."""

    def answered(self, call: DeliveryCall, outcome: Outcome) -> Outcome:
        """The call has ended so; returns what the router goes on with."""

    def given_up(self, call: DeliveryCall) -> None:
        """The call did not come to be, or nobody needs its result."""


class NoSpans:
    """Nothing is traced, and trace contexts are handed on as they are."""

    def begun(
        self,
        handling: Handling,
        call: DeliveryCall,
        request: task_handler_service_pb2.HandleEventRequest,
    ) -> None:
        """See AttemptSpans."""

    def answered(self, call: DeliveryCall, outcome: Outcome) -> Outcome:
        """See AttemptSpans."""
        return outcome

    def given_up(self, call: DeliveryCall) -> None:
        """See AttemptSpans."""


def attempt_spans(export: TraceExport | None) -> AttemptSpans:
    """Those that an exporter gets."""
    if export is None:
        return NoSpans()
    # Only here: it imports OpenTelemetry, which is an extra.
    from waystation_router.exported_spans import ExportedSpans

    return ExportedSpans(export)
