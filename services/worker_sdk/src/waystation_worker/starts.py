"""A workflow to start, and many of them at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from dataclasses import dataclass
from typing import Any

from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.arguments import whole
from waystation_worker.errors import WaystationError
from waystation_worker.messages import message_of, request_id_of
from waystation_worker.times import MILLISECOND, Span, span
from waystation_worker.tracing import add_current_trace
from waystation_worker.values import Model, write_struct
from waystation_worker.workflows import Workflow


@dataclass(frozen=True, kw_only=True)
class NewWorkflow:
    """One workflow to start; the fields are the arguments of `Client.start`."""

    workflow_type: str
    data: Mapping[str, Any] | Model | None = None
    payload: Mapping[str, Any] | Model | None = None
    workflow_instance_id: str | None = None
    correlation_id: str | None = None
    priority: int | None = None
    metadata: Mapping[str, str] | None = None
    workflow_timeout: Span | None = None
    request_id: str | None = None

    def _message(self, namespace: str) -> pb.StartWorkflowRequest:
        request = message_of(
            pb.StartWorkflowRequest,
            namespace=namespace,
            workflow_type=self.workflow_type,
            workflow_instance_id=self.workflow_instance_id or "",
            correlation_id=self.correlation_id,
            priority=self.priority,
            metadata=self.metadata,
            request_id=request_id_of(self.request_id),
        )
        add_current_trace(request.metadata)
        if self.data is not None:
            write_struct(self.data, request.data, "data")
        if self.payload is not None:
            request.payload.SetInParent()
            write_struct(self.payload, request.payload, "payload")
        if self.workflow_timeout is not None:
            request.timeout.FromTimedelta(
                span(self.workflow_timeout, "workflow_timeout", shortest=MILLISECOND)
            )
        return request


@dataclass(frozen=True, slots=True)
class StartResult:
    """What became of one of many starts: `workflow`, or `error`."""

    new: NewWorkflow
    workflow: Workflow | None = None
    error: Exception | None = None
    """A WaystationError, or the TypeError or ValueError of a value that JSON cannot represent."""


async def start_all(
    workflows: Iterable[NewWorkflow] | AsyncIterable[NewWorkflow],
    start: Callable[[NewWorkflow], Awaitable[Workflow]],
    at_once: int,
) -> AsyncGenerator[StartResult, None]:
    """Starts them with up to `at_once` calls in flight; yields the results in the order of the workflows."""

    whole(at_once, "at_once", 1)
    if not isinstance(workflows, (Iterable, AsyncIterable)):
        raise TypeError(
            f"start_many takes a list or another iterable of NewWorkflow, not {type(workflows).__name__}"
        )

    async def one(new: NewWorkflow) -> StartResult:
        if not isinstance(new, NewWorkflow):
            raise TypeError(f"start_many takes NewWorkflow, not {type(new).__name__}")
        try:
            return StartResult(new, workflow=await start(new))
        except (WaystationError, TypeError, ValueError) as error:
            return StartResult(new, error=error)

    in_flight: deque[asyncio.Task[StartResult]] = deque()
    try:
        async for new in _each(workflows):
            if len(in_flight) >= at_once:
                yield await in_flight.popleft()
            in_flight.append(asyncio.create_task(one(new)))
            while in_flight and in_flight[0].done():
                yield in_flight.popleft().result()
        while in_flight:
            yield await in_flight.popleft()
    finally:
        for task in in_flight:
            task.cancel()


async def _each(
    workflows: Iterable[NewWorkflow] | AsyncIterable[NewWorkflow],
) -> AsyncIterator[NewWorkflow]:
    if isinstance(workflows, AsyncIterable):
        async for new in workflows:
            yield new
    else:
        for new in workflows:
            yield new
            # What is in flight has its turn, too.
            await asyncio.sleep(0)
