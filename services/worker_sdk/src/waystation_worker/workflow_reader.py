"""What a client reads of workflow instances; nothing here changes one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TypedDict, Unpack, overload

from waystation.v1 import history_pb2, status_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.aliases import by_workflow_id
from waystation_worker.arguments import flag
from waystation_worker.connection import Connection
from waystation_worker.history_stream import watch
from waystation_worker.messages import message_of, texts
from waystation_worker.pages import enum_numbers, items_of, write_filter
from waystation_worker.replays import ReplayStep, replay_all
from waystation_worker.times import Span
from waystation_worker.workflows import (
    EventWithState,
    HistoryEntry,
    Workflow,
    to_event_entry,
    to_history_entry,
    to_workflow,
)


class WorkflowFilter(TypedDict, total=False):
    """Which instances: all conditions must hold, a list means any of its values."""

    workflow_types: Iterable[str]
    statuses: Iterable[str]
    """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED, CANCELLED."""
    idle: bool
    """Only idle ones, or with False only others."""
    created_after: datetime
    """Started at or after this time."""
    created_before: datetime
    correlation_ids: Iterable[str]
    id_prefix: str
    """The beginning of the id."""


class WorkflowReader:
    """The reading part of `Client`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @overload
    async def get(self, workflow_instance_id: str, *, at_sequence: int = 0) -> Workflow: ...

    @overload
    async def get(self, *, workflow_id: str, at_sequence: int = 0) -> Workflow: ...

    @by_workflow_id
    async def get(self, workflow_instance_id: str, *, at_sequence: int = 0) -> Workflow:
        """The instance as it is now, or as it was after an entry of its history."""
        request = message_of(
            pb.GetWorkflowRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            at_sequence=at_sequence,
        )
        response = await self._connection.call(self._connection.workflows.GetWorkflow, request)
        return to_workflow(response.context)

    def list(
        self, *, limit: int | None = None, **conditions: Unpack[WorkflowFilter]
    ) -> AsyncIterator[Workflow]:
        """The instances that match, newest first: `async for workflow in client.list(statuses=["FAILED"])`.

        The conditions are those of WorkflowFilter. They come without `data`, `output`, the schemas of
        waits and the details of failures: `get` has these. Pages are read as you iterate.
        """
        request = message_of(pb.ListWorkflowsRequest, namespace=self._connection.namespace)
        enums = {"statuses": (status_pb2.WorkflowStatus, "WORKFLOW_STATUS_")}
        write_filter({**conditions}, WorkflowFilter.__annotations__, enums, request.filter)
        return items_of(
            self._connection,
            lambda: self._connection.workflows.ListWorkflows,
            request,
            lambda page: map(to_workflow, page.workflows),
            limit,
        )

    async def find_ids(self, prefix: str, *, limit: int = 20) -> tuple[str, ...]:
        """The first ids that begin so, at most `limit` (100), in the order of their characters."""
        request = message_of(
            pb.FindWorkflowIdsRequest,
            namespace=self._connection.namespace,
            prefix=prefix,
            limit=limit,
        )
        response = await self._connection.call(self._connection.workflows.FindWorkflowIds, request)
        return tuple(response.workflow_instance_ids)

    @overload
    def events(self, workflow_instance_id: str) -> AsyncIterator[EventWithState]: ...

    @overload
    def events(self, *, workflow_id: str) -> AsyncIterator[EventWithState]: ...

    @by_workflow_id
    def events(self, workflow_instance_id: str) -> AsyncIterator[EventWithState]:
        """All events of the instance, oldest first: `async for entry in client.events(id)`."""
        request = message_of(
            pb.ListEventsRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
        )
        return items_of(
            self._connection,
            lambda: self._connection.workflows.ListEvents,
            request,
            lambda page: map(to_event_entry, page.events),
        )

    @overload
    def watch(
        self, workflow_instance_id: str, *, from_sequence: int = 0
    ) -> AsyncIterator[HistoryEntry]: ...

    @overload
    def watch(self, *, workflow_id: str, from_sequence: int = 0) -> AsyncIterator[HistoryEntry]: ...

    @by_workflow_id
    async def watch(
        self, workflow_instance_id: str, *, from_sequence: int = 0
    ) -> AsyncIterator[HistoryEntry]:
        """The instance's history as it is committed: `async for entry in client.watch(id)`.

        Yields every entry from `from_sequence` on (0: from the start), each once and in order. Ends
        when the instance has ended and no entry will follow unless an operator acts. Reconnects if
        the connection or the server fails, or three heartbeats are missing; `retry_for` counts from
        the last message.
        """
        entries = watch(self._connection, workflow_instance_id, from_sequence)
        async with contextlib.aclosing(entries):
            async for entry in entries:
                yield to_history_entry(entry)

    @overload
    async def explain(self, workflow_instance_id: str) -> pb.ExplainWorkflowResponse: ...

    @overload
    async def explain(self, *, workflow_id: str) -> pb.ExplainWorkflowResponse: ...

    @by_workflow_id
    async def explain(self, workflow_instance_id: str) -> pb.ExplainWorkflowResponse:
        """What the instance waits for, since when, and who or what can unblock it."""
        request = message_of(
            pb.ExplainWorkflowRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
        )
        response: pb.ExplainWorkflowResponse = await self._connection.call(
            self._connection.workflows.ExplainWorkflow, request
        )
        return response

    @overload
    def history(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        event_types: Iterable[str] = (),
        results: Iterable[str] = (),
        actions: Iterable[str] = (),
        newest_first: bool = False,
        with_change: bool = True,
    ) -> AsyncIterator[HistoryEntry]: ...

    @overload
    def history(
        self,
        *,
        workflow_id: str,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        event_types: Iterable[str] = (),
        results: Iterable[str] = (),
        actions: Iterable[str] = (),
        newest_first: bool = False,
        with_change: bool = True,
    ) -> AsyncIterator[HistoryEntry]: ...

    @by_workflow_id
    def history(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        event_types: Iterable[str] = (),
        results: Iterable[str] = (),
        actions: Iterable[str] = (),
        newest_first: bool = False,
        with_change: bool = True,
    ) -> AsyncIterator[HistoryEntry]:
        """The entries of the instance's history: `async for entry in client.history(id)`.

        A range of sequence numbers (0: the first, the last), optionally only entries of these
        tasks, event types, results (such as `FAILED`) or actions (such as `input`). Without
        `with_change` the messages of the entries have no `change`. Pages are read as you iterate.
        Raises ValueError for an unknown result.
        """
        request = message_of(
            pb.ListHistoryRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            view=history_pb2.HISTORY_VIEW_FULL
            if flag(with_change, "with_change")
            else history_pb2.HISTORY_VIEW_BASIC,
            newest_first=newest_first,
            filter=message_of(
                history_pb2.HistoryFilter,
                from_sequence=from_sequence,
                to_sequence=to_sequence,
                task_ids=texts(task_ids, "task_ids"),
                event_types=texts(event_types, "event_types"),
                results=enum_numbers(
                    history_pb2.HistoryResult, "HISTORY_RESULT_", results, "results"
                ),
                actions=texts(actions, "actions"),
            ),
        )
        return items_of(
            self._connection,
            lambda: self._connection.workflows.ListHistory,
            request,
            lambda page: map(to_history_entry, page.entries),
        )

    @overload
    async def replay(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        failed_attempts: bool = False,
        timeout: Span = 120.0,
    ) -> tuple[ReplayStep, ...]: ...

    @overload
    async def replay(
        self,
        *,
        workflow_id: str,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        failed_attempts: bool = False,
        timeout: Span = 120.0,
    ) -> tuple[ReplayStep, ...]: ...

    @by_workflow_id
    async def replay(
        self,
        workflow_instance_id: str,
        *,
        from_sequence: int = 0,
        to_sequence: int = 0,
        task_ids: Iterable[str] = (),
        failed_attempts: bool = False,
        timeout: Span = 120.0,
    ) -> tuple[ReplayStep, ...]:
        """Calls replayable tasks again on recorded events, with `dry_run`, and reports the
        differences. Changes nothing.

        A range of sequence numbers (0: the first, the last), optionally only of these tasks; with
        `failed_attempts` also failed attempts. The server replays the range in portions; `timeout`
        limits each portion.
        """
        request = message_of(
            pb.ReplayWorkflowRequest,
            namespace=self._connection.namespace,
            workflow_instance_id=workflow_instance_id,
            from_sequence=from_sequence,
            to_sequence=to_sequence,
            task_ids=texts(task_ids, "task_ids"),
            failed_attempts=failed_attempts,
        )
        return await replay_all(self._connection, request, timeout)
