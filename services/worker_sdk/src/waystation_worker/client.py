"""The client: starts and controls workflow instances, and completes pending deliveries.

It is long because a method about an instance has its signature twice: type checkers know both names of the id.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, overload

from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import completions, waits
from waystation_worker.aliases import accepts_workflow_id, by_workflow_id
from waystation_worker.audit import Audit
from waystation_worker.connection import CALL_SECONDS, Connection
from waystation_worker.dead_letters import DeadLetters
from waystation_worker.events import NewEvent
from waystation_worker.handlers import Handlers
from waystation_worker.messages import message_of, request_id_of
from waystation_worker.namespaces import Namespaces
from waystation_worker.replays import fork_edits
from waystation_worker.result import TaskResult
from waystation_worker.starts import NewWorkflow, StartResult, start_all
from waystation_worker.system import System
from waystation_worker.times import Span
from waystation_worker.tokens import Tokens
from waystation_worker.values import Model, write_struct
from waystation_worker.workflow_reader import WorkflowReader
from waystation_worker.workflows import PublishedEvent, Workflow, to_workflow

_START_SECONDS = CALL_SECONDS


class Client(WorkflowReader):
    """A client of one Waystation, for asyncio.

        async with Client() as client:
            workflow = await client.run("insurance_claim", {"claim": {"amount": 1200}})
            print(workflow.status, workflow.output)

    `address` defaults to WAYSTATION_ADDRESS, then 127.0.0.1:7400; `token`, which says who is calling,
    to WAYSTATION_TOKEN, then to what the file WAYSTATION_TOKEN_FILE has, also after it is replaced.
    `namespace` defaults to WAYSTATION_NAMESPACE, then the token's only one, then `default`. Every call that changes something
    has a request_id, so a retried call takes effect once. If the server cannot be reached, every
    call is retried for `retry_for` (10 s). Durations are seconds or timedeltas.

    Every method may raise a WaystationError: WorkflowNotFound, WorkflowEnded, ... (see `errors`),
    and Unavailable if the server could not be reached or did not answer in time. Values that are
    not valid JSON, and times out of range, raise TypeError or ValueError before anything is sent.

    `dead_letters`, `handlers` and `system` have what operators need, `tokens`, `namespaces` and `audit` what admins
    need.

    The methods for a pending delivery take its completion token. They raise DeliveryNotFound if the
    delivery is not pending (it was completed, failed or timed out), and WorkflowEnded. With the token
    of an attempt that timed out you can still complete an open delivery, but not fail or extend it.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        namespace: str = "",
        retry_for: Span = 10.0,
    ) -> None:
        super().__init__(Connection(address, token=token, namespace=namespace, retry_for=retry_for))
        self.dead_letters = DeadLetters(self._connection)
        self.handlers = Handlers(self._connection)
        self.system = System(self._connection)
        self.tokens = Tokens(self._connection)
        self.namespaces = Namespaces(self._connection)
        self.audit = Audit(self._connection)

    @property
    def address(self) -> str:
        return self._connection.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled. A later call connects again."""
        await self._connection.close()

    @accepts_workflow_id
    async def start(
        self,
        workflow_type: str,
        data: Mapping[str, Any] | Model | None = None,
        *,
        payload: Mapping[str, Any] | Model | None = None,
        workflow_instance_id: str | None = None,
        workflow_id: str | None = None,
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
        workflow_id: str | None = None,
        correlation_id: str | None = None,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        workflow_timeout: Span | None = None,
        request_id: str | None = None,
        timeout: Span | None = None,
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
        return await waits.run(self._connection, new, timeout)

    @overload
    async def wait(self, workflow_instance_id: str, *, timeout: Span | None = None) -> Workflow: ...

    @overload
    async def wait(self, *, workflow_id: str, timeout: Span | None = None) -> Workflow: ...

    @by_workflow_id
    async def wait(self, workflow_instance_id: str, *, timeout: Span | None = None) -> Workflow:
        """Waits until the instance has ended, waits for input or is idle; `outcome` says which.

        After `timeout` (None: no limit) the outcome is TIMED_OUT.
        """
        return await waits.wait(self._connection, workflow_instance_id, timeout)

    @overload
    async def provide_input(
        self,
        workflow_instance_id: str,
        input: Mapping[str, Any] | Model,
        *,
        wait_id: str | None = None,
        answered_by: str = "",
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow: ...

    @overload
    async def provide_input(
        self,
        *,
        workflow_id: str,
        input: Mapping[str, Any] | Model,
        wait_id: str | None = None,
        answered_by: str = "",
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow: ...

    @by_workflow_id
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
        request = message_of(
            pb.ProvideInputRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            wait_id=wait_id or "",
            answered_by=answered_by,
            expected_version=expected_version,
            request_id=request_id_of(request_id),
        )
        request.input.SetInParent()
        write_struct(input, request.input, "input")
        response = await self._connection.call(self._connection.workflows.ProvideInput, request)
        return to_workflow(response.context, event_id=response.event_id)

    @overload
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
    ) -> PublishedEvent: ...

    @overload
    async def publish(
        self,
        *,
        workflow_id: str,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        schema_version: str = "",
        delay: Span | None = None,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> PublishedEvent: ...

    @by_workflow_id
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
        request = message_of(
            pb.PublishEventRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            event=event._message(),
            expected_version=expected_version,
            request_id=request_id_of(request_id),
        )
        response = await self._connection.call(self._connection.workflows.PublishEvent, request)
        return PublishedEvent(response.event_id, tuple(response.task_ids))

    @overload
    async def cancel(
        self,
        workflow_instance_id: str,
        reason: str = "",
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow: ...

    @overload
    async def cancel(
        self,
        *,
        workflow_id: str,
        reason: str = "",
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow: ...

    @by_workflow_id
    async def cancel(
        self,
        workflow_instance_id: str,
        reason: str = "",
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Workflow:
        """Ends an open instance as CANCELLED; no error if it is CANCELLED already."""
        request = message_of(
            pb.CancelWorkflowRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            reason=reason,
            expected_version=expected_version,
            request_id=request_id_of(request_id),
        )
        response = await self._connection.call(self._connection.workflows.CancelWorkflow, request)
        return to_workflow(response.context)

    @overload
    async def fork(
        self,
        workflow_instance_id: str,
        at_sequence: int,
        *,
        new_id: str | None = None,
        edits: TaskResult | Mapping[str, Any] | None = None,
        event: NewEvent | None = None,
        event_of_sequence: int = 0,
        request_id: str | None = None,
    ) -> Workflow: ...

    @overload
    async def fork(
        self,
        *,
        workflow_id: str,
        at_sequence: int,
        new_id: str | None = None,
        edits: TaskResult | Mapping[str, Any] | None = None,
        event: NewEvent | None = None,
        event_of_sequence: int = 0,
        request_id: str | None = None,
    ) -> Workflow: ...

    @by_workflow_id
    async def fork(
        self,
        workflow_instance_id: str,
        at_sequence: int,
        *,
        new_id: str | None = None,
        edits: TaskResult | Mapping[str, Any] | None = None,
        event: NewEvent | None = None,
        event_of_sequence: int = 0,
        request_id: str | None = None,
    ) -> Workflow:
        """Starts a new instance from the state of this one after an entry of its history.

        `edits` change its data first: a mapping of paths to values, or the changes of a TaskResult.
        It starts with `event`, by default the event that the entry handled, or with the event of
        another entry: `fork(id, 6, event_of_sequence=7)` repeats entry 7.
        """
        request = message_of(
            pb.ForkWorkflowRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            at_sequence=at_sequence,
            new_workflow_instance_id=new_id or "",
            edits=None if edits is None else fork_edits(edits),
            request_id=request_id_of(request_id),
        )
        if event is not None and event_of_sequence:
            raise ValueError("event and event_of_sequence exclude each other; give one of them")
        if event is not None:
            request.event.CopyFrom(event._message())
        elif event_of_sequence:
            request.event_of_sequence = event_of_sequence
        response = await self._connection.call(self._connection.workflows.ForkWorkflow, request)
        return to_workflow(response.context, created=response.created)

    async def complete_delivery(
        self, completion_token: str, result: TaskResult, *, request_id: str | None = None
    ) -> None:
        """Completes a pending delivery with its result."""
        await completions.complete(self._connection, completion_token, result, request_id)

    async def fail_delivery(
        self,
        completion_token: str,
        reason: str,
        message: str = "",
        *,
        permanent: bool = False,
        retry_after: Span | None = None,
        metadata: Mapping[str, Any] | Model | None = None,
        request_id: str | None = None,
    ) -> None:
        """Fails the attempt of a pending delivery.

        It is retried by the task's policy, or after `retry_after` (at most 24 h); `permanent` means
        no retry, like Reject. `metadata` (JSON) is stored with the attempt.
        """
        failure = completions.task_failure(reason, message, permanent, retry_after, metadata)
        await completions.fail(self._connection, completion_token, failure, request_id)

    async def extend_delivery(
        self, completion_token: str, extension: Span, *, request_id: str | None = None
    ) -> datetime:
        """Sets the deadline of a pending delivery to `extension` (at most 24 h) from now; returns
        the new deadline."""
        return await completions.extend(self._connection, completion_token, extension, request_id)

    async def _start(self, new: NewWorkflow) -> Workflow:
        # A server with too much to do may have started it, and not said so in time: the same request tells.
        response = await self._connection.call_streamed(
            new._message(self._connection.namespace), _START_SECONDS, late_again=True
        )
        return to_workflow(response.context, created=response.created, task_ids=response.task_ids)
