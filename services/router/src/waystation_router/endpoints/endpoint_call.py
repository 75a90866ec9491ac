"""One call: from the directory, through an endpoint, to its one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Protocol

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_router.endpoints.outcomes import CallOutcome, Cancelled


class Carrier(Protocol):
    """Where a call is: at an endpoint, or in the directory while it waits for one."""

    def abandon(self, call: EndpointCall) -> None:
        """The call has its outcome; its result is not needed any more."""
        ...

    def release(self, call: EndpointCall) -> None:
        """The call is no longer here."""
        ...


class EndpointCall:
    """A call whose outcome can be awaited, at any time and by anyone. It is no task of its own."""

    __slots__ = (
        "alone",
        "carrier",
        "event_id",
        "event_type",
        "namespace",
        "outcome",
        "payload",
        "sent_at",
        "service_name",
        "task_id",
        "timeout",
        "timer",
        "token",
        "tried",
        "wait_until",
        "workflow_type",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        service_name: str,
        request: pb.HandleEventRequest,
        timeout: float,
        *,
        alone: bool,
    ) -> None:
        self.service_name = service_name
        self.task_id = request.task_id
        self.event_id = request.event.event_id
        self.event_type = request.event.event_type
        self.workflow_type = request.context.workflow_type
        self.namespace = request.context.namespace
        self.token = (request.idempotency_key, request.attempt)
        # Encoded once, however many endpoints are tried, and joined into messages as it is.
        self.payload = request.SerializeToString()
        self.timeout = timeout
        self.alone = alone
        self.outcome: asyncio.Future[CallOutcome] = loop.create_future()
        self.outcome.add_done_callback(self._abandoned)
        self.carrier: Carrier | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.sent_at = 0.0
        self.wait_until = 0.0
        self.tried: set[object] = set()

    def __await__(self) -> Generator[object, None, CallOutcome]:
        return self.outcome.__await__()

    def cancel(self) -> None:
        """Cancels the call: the handler is notified, and the outcome is Cancelled. Does nothing if there is
        an outcome already."""
        if not self.outcome.done():
            self.end(Cancelled(), abandon=True)

    def end(self, outcome: CallOutcome, *, abandon: bool = False) -> None:
        """Sets the outcome, unless there is one. `abandon`: its carrier still has the call."""
        carrier = self.leave()
        if carrier is not None and abandon:
            carrier.abandon(self)
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def leave(self) -> Carrier | None:
        """Removes the call from its carrier and stops its timer."""
        carrier, self.carrier = self.carrier, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if carrier is not None:
            carrier.release(self)
        return carrier

    def _abandoned(self, outcome: asyncio.Future[CallOutcome]) -> None:
        """The task that awaited it was cancelled, and the future with it."""
        if outcome.cancelled():
            carrier = self.leave()
            if carrier is not None:
                carrier.abandon(self)
