"""The client: starts, reads and controls workflow instances."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import grpc

from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.aliases import accepts_workflow_id
from waystation_worker.completions import Completing
from waystation_worker.errors import Unavailable, from_rpc_error
from waystation_worker.events import NewEvent
from waystation_worker.history_stream import follow
from waystation_worker.patience import Patience
from waystation_worker.replays import Revisiting
from waystation_worker.starts import NewWorkflow, StartResult, start_all
from waystation_worker.times import Span
from waystation_worker.values import Model, write_struct
from waystation_worker.workflows import (
    EventWithState,
    HistoryEntry,
    PublishedEvent,
    Workflow,
    to_event_entry,
    to_history_entry,
    to_workflow,
)

# The longest single call of a long wait, and its extra time.
_LEG_SECONDS = 60.0
_SLACK_SECONDS = 5.0


class Client(Completing, Revisiting):
    """A client of one Waystation, for asyncio.

        async with Client() as client:
            workflow = await client.run("insurance_claim", {"claim": {"amount": 1200}})
            print(workflow.status, workflow.output)

    `address` defaults to WAYSTATION_ADDRESS, then 127.0.0.1:7400. Every call that changes something
    has a request_id, so a retried call takes effect once. If the server cannot be reached, every
    call is retried for `retry_for` seconds.

    Every method may raise a WaystationError: WorkflowNotFound, WorkflowEnded, ... (see `errors`),
    and Unavailable if the server could not be reached or did not answer in time. Values that are
    not valid JSON, and times out of range, raise TypeError or ValueError before anything is sent.
    """

    @accepts_workflow_id
    async def start(
        self,
        workflow_type: str,
        data: Mapping[str, Any] | Model | None = None,
        *,
        payload: Mapping[str, Any] | Model | None = None,
        workflow_instance_id: str | None = None,
        correlation_id: str | None = None,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        workflow_timeout: Span | None = None,
        request_id: str | None = None,
    ) -> Workflow:
        """Starts an instance without waiting for it.

        `data` is the initial data, `payload` the payload of `workflow.started` (default: the same).
        If the instance is still open after `workflow_timeout` (at most 366 days), it becomes FAILED
        with the reason WORKFLOW_DEADLINE_EXCEEDED. If the id exists already with the same content,
        the existing instance is returned with `created` False; with other content,
        WorkflowAlreadyExists is raised.
        """
        return await self._start(
            NewWorkflow(
                workflow_type=workflow_type,
                data=data,
                payload=payload,
                workflow_instance_id=workflow_instance_id,
                correlation_id=correlation_id,
                priority=priority,
                metadata=metadata,
                workflow_timeout=workflow_timeout,
                request_id=request_id,
            )
        )

    async def start_many(
        self,
        workflows: Iterable[NewWorkflow] | AsyncIterable[NewWorkflow],
        *,
        at_once: int = 1_000,
    ) -> AsyncIterator[StartResult]:
        """Starts many instances; yields what became of each, in the order of `workflows`:

            async for result in client.start_many(NewWorkflow(workflow_type="claim", data=d) for d in claims):
                print(result.error or result.workflow.id)

        `at_once` starts are in flight at a time, and `workflows` is read no faster than they are answered.
        One that is refused stops no other one.
        """
        results = start_all(workflows, self._start, at_once)
        async with contextlib.aclosing(results):
            async for result in results:
                yield result

    @accepts_workflow_id
    async def run(
        self,
        workflow_type: str,
        data: Mapping[str, Any] | Model | None = None,
        *,
        payload: Mapping[str, Any] | Model | None = None,
        workflow_instance_id: str | None = None,
        correlation_id: str | None = None,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        workflow_timeout: Span | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Workflow:
        """Starts an instance and waits for it. The arguments are those of `start` and `wait`."""
        new = NewWorkflow(
            workflow_type=workflow_type,
            data=data,
            payload=payload,
            workflow_instance_id=workflow_instance_id,
            correlation_id=correlation_id,
            priority=priority,
            metadata=metadata,
            workflow_timeout=workflow_timeout,
            request_id=request_id,
        )
        end = None if timeout is None else time.monotonic() + timeout
        leg = _leg(end)
        request = pb.RunWorkflowRequest(
            start=new._message(self._namespace), timeout=timedelta(seconds=leg)
        )
        response = await self._call_streamed(request, leg + _SLACK_SECONDS)
        if response.outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT and not _over(end):
            waited = await self._wait(response.context.workflow_instance_id, end)
            context, outcome = waited.context, waited.outcome
        else:
            context, outcome = response.context, response.outcome
        return to_workflow(
            context, outcome=outcome, created=response.created, task_ids=response.task_ids
        )

    @accepts_workflow_id
    async def wait(self, workflow_instance_id: str, *, timeout: float | None = None) -> Workflow:
        """Waits until the instance has ended, waits for input or is idle; `outcome` says which.

        After `timeout` seconds (None: no limit) the outcome is TIMED_OUT.
        """
        end = None if timeout is None else time.monotonic() + timeout
        response = await self._wait(workflow_instance_id, end)
        return to_workflow(response.context, outcome=response.outcome)

    @accepts_workflow_id
    async def get(self, workflow_instance_id: str, *, at_sequence: int = 0) -> Workflow:
        """The instance as it is now, or as it was after an entry of its history."""
        request = pb.GetWorkflowRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            at_sequence=at_sequence,
        )
        response = await self._call(self._workflows.GetWorkflow, request)
        return to_workflow(response.context)

    @accepts_workflow_id
    async def provide_input(
        self,
        workflow_instance_id: str,
        input: Mapping[str, Any] | Model,
        *,
        wait_id: str | None = None,
        answered_by: str = "",
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow:
        """Answers a wait; `wait_id` is not needed if exactly one wait is open. `answered_by` is the
        name or id of the person who answers (at most 200 characters)."""
        request = pb.ProvideInputRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            wait_id=wait_id or "",
            answered_by=answered_by,
            expected_version=expected_version,
            request_id=request_id or str(uuid.uuid4()),
        )
        request.input.SetInParent()
        write_struct(input, request.input, "input")
        response = await self._call(self._workflows.ProvideInput, request)
        return to_workflow(response.context, event_id=response.event_id)

    @accepts_workflow_id
    async def publish(
        self,
        workflow_instance_id: str,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        schema_version: str = "",
        delay: Span | None = None,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> PublishedEvent:
        """Raises an event in an open instance. The other arguments are those of `NewEvent`."""
        event = NewEvent(
            event_type,
            payload,
            priority=priority,
            metadata=metadata,
            schema_version=schema_version,
            delay=delay,
            deliver_at=deliver_at,
            expires_at=expires_at,
        )
        request = pb.PublishEventRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            event=event._message(),
            expected_version=expected_version,
            request_id=request_id or str(uuid.uuid4()),
        )
        response = await self._call(self._workflows.PublishEvent, request)
        return PublishedEvent(response.event_id, tuple(response.task_ids))

    @accepts_workflow_id
    async def cancel(
        self,
        workflow_instance_id: str,
        reason: str = "",
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow:
        """Ends an open instance as CANCELLED; no error if it is CANCELLED already."""
        request = pb.CancelWorkflowRequest(
            namespace=self._namespace,
            workflow_instance_id=workflow_instance_id,
            reason=reason,
            expected_version=expected_version,
            request_id=request_id or str(uuid.uuid4()),
        )
        response = await self._call(self._workflows.CancelWorkflow, request)
        return to_workflow(response.context)

    @accepts_workflow_id
    async def events(self, workflow_instance_id: str) -> AsyncIterator[EventWithState]:
        """All events of the instance, oldest first: `async for entry in client.events(id)`."""
        token = ""
        while True:
            request = pb.ListEventsRequest(
                namespace=self._namespace,
                workflow_instance_id=workflow_instance_id,
                page_size=1000,
                page_token=token,
            )
            response = await self._call(self._workflows.ListEvents, request)
            for entry in response.events:
                yield to_event_entry(entry)
            token = response.next_page_token
            if not token:
                return

    @accepts_workflow_id
    async def watch(
        self, workflow_instance_id: str, *, from_sequence: int = 0
    ) -> AsyncIterator[HistoryEntry]:
        """The instance's history as it is committed: `async for entry in client.watch(id)`.

        Yields every entry from `from_sequence` on (0: from the start), each once and in order. Ends
        when the instance has ended and no entry will follow unless an operator acts. Reconnects if
        the connection or the server fails, or three heartbeats are missing; `retry_for` counts from
        the last message.
        """

        def open_stream(sequence: int) -> Any:
            return self._workflows.WatchWorkflow(
                pb.WatchWorkflowRequest(
                    namespace=self._namespace,
                    workflow_instance_id=workflow_instance_id,
                    from_sequence=sequence,
                )
            )

        entries = follow(open_stream, from_sequence, Patience(self._retry_for))
        try:
            async with contextlib.aclosing(entries):
                async for entry in entries:
                    yield to_history_entry(entry)
        except grpc.aio.AioRpcError as error:
            raise self._explained(from_rpc_error(error)) from error
        except Unavailable as error:
            raise self._explained(error) from None

    @accepts_workflow_id
    async def explain(self, workflow_instance_id: str) -> pb.ExplainWorkflowResponse:
        """What the instance waits for, since when, and who or what can unblock it."""
        request = pb.ExplainWorkflowRequest(
            namespace=self._namespace, workflow_instance_id=workflow_instance_id
        )
        response: pb.ExplainWorkflowResponse = await self._call(
            self._workflows.ExplainWorkflow, request
        )
        return response

    async def _start(self, new: NewWorkflow) -> Workflow:
        response = await self._call_streamed(new._message(self._namespace))
        return to_workflow(response.context, created=response.created, task_ids=response.task_ids)

    async def _wait(self, workflow_instance_id: str, end: float | None) -> pb.WaitWorkflowResponse:
        while True:
            leg = _leg(end)
            request = pb.WaitWorkflowRequest(
                namespace=self._namespace,
                workflow_instance_id=workflow_instance_id,
                timeout=timedelta(seconds=leg),
            )
            response: pb.WaitWorkflowResponse = await self._call_streamed(
                request, leg + _SLACK_SECONDS
            )
            if response.outcome != workflow_pb2.WAIT_OUTCOME_TIMED_OUT or _over(end):
                return response


def _leg(end: float | None) -> float:
    return _LEG_SECONDS if end is None else min(_LEG_SECONDS, max(0.0, end - time.monotonic()))


def _over(end: float | None) -> bool:
    return end is not None and time.monotonic() >= end
