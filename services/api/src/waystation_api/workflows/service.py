"""WorkflowService: each method reads its request, calls the module that does the work, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc

from waystation.v1 import blocker_pb2, workflow_service_pb2, workflow_service_pb2_grpc
from waystation_api.explanation.blocker import Blocker
from waystation_api.explanation.endpoints import Registered
from waystation_api.explanation.events import broker_trouble
from waystation_api.explanation.explain import MAX_BLOCKERS, Facts, explain
from waystation_api.handlers.tasks import task_ids
from waystation_api.pages import MAX_PAGE_BYTES, Room
from waystation_api.requests import (
    check_expected_version,
    check_instance,
    check_instance_id,
)
from waystation_api.workflows.backlog import Backlog
from waystation_api.workflows.call_streams import CallStreams
from waystation_api.workflows.calls import WorkflowCalls
from waystation_api.workflows.changes import Change, Changes
from waystation_api.workflows.forks import Forks
from waystation_api.workflows.reads import Reads
from waystation_api.workflows.replays import Replays
from waystation_api.workflows.waiters import InstanceReader
from waystation_api.workflows.watches import Watches
from waystation_conversion import (
    context_to_proto,
    error_to_proto,
    new_event_from_proto,
    payload_from_proto,
    set_timestamp,
)
from waystation_core.ports.broker import Broker
from waystation_core.ports.store import QueryStore
from waystation_core.registries import Registries
from waystation_domain import lifecycle, limits
from waystation_domain.errors import InvalidField
from waystation_domain.model import DeliveryState

_pb = workflow_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"

_LONGEST_MESSAGE = 8_000
"""Characters of one blocker's text."""

INSTANCE_ID_KEY = "waystation-workflow-instance-id"
CREATED_KEY = "waystation-workflow-created"


class WorkflowService(workflow_service_pb2_grpc.WorkflowServiceServicer):
    """For clients."""

    def __init__(
        self,
        *,
        calls: WorkflowCalls,
        streams: CallStreams,
        reader: InstanceReader,
        reads: Reads,
        watches: Watches,
        changes: Changes,
        replays: Replays,
        forks: Forks,
        registries: Registries,
        backlog: Backlog,
        queries: QueryStore,
        broker: Broker,
    ) -> None:
        self._calls = calls
        self._streams = streams
        self._reader = reader
        self._reads = reads
        self._watches = watches
        self._changes = changes
        self._replays = replays
        self._forks = forks
        self._registries = registries
        self._backlog = backlog
        self._queries = queries
        self._broker = broker

    # --- starting and waiting --------------------------------------------------------------

    async def StartWorkflow(
        self, request: _pb.StartWorkflowRequest, context: Context
    ) -> _pb.StartWorkflowResponse:
        response = _pb.StartWorkflowResponse()
        await self._calls.start(request, response)
        return response

    async def RunWorkflow(
        self, request: _pb.RunWorkflowRequest, context: Context
    ) -> _pb.RunWorkflowResponse:
        async def send_id(workflow_instance_id: str, created: bool) -> None:
            await context.send_initial_metadata(
                (
                    (INSTANCE_ID_KEY, workflow_instance_id),
                    (CREATED_KEY, "true" if created else "false"),
                )
            )

        response = _pb.RunWorkflowResponse()
        await self._calls.run(
            request,
            response,
            remaining=context.time_remaining(),
            stored=send_id if request.early_id else None,
        )
        return response

    async def WaitWorkflow(
        self, request: _pb.WaitWorkflowRequest, context: Context
    ) -> _pb.WaitWorkflowResponse:
        response = _pb.WaitWorkflowResponse()
        await self._calls.wait(request, response, remaining=context.time_remaining())
        return response

    async def RunWorkflows(self, messages: AsyncIterator[bytes], context: Context) -> None:
        await self._streams.serve(messages, context.write)

    # --- reading ---------------------------------------------------------------------------

    async def GetWorkflow(
        self, request: _pb.GetWorkflowRequest, context: Context
    ) -> _pb.GetWorkflowResponse:
        return await self._reads.get(request)

    async def ListWorkflows(
        self, request: _pb.ListWorkflowsRequest, context: Context
    ) -> _pb.ListWorkflowsResponse:
        return await self._reads.list_workflows(request)

    async def FindWorkflowIds(
        self, request: _pb.FindWorkflowIdsRequest, context: Context
    ) -> _pb.FindWorkflowIdsResponse:
        return await self._reads.find_ids(request)

    async def ListEvents(
        self, request: _pb.ListEventsRequest, context: Context
    ) -> _pb.ListEventsResponse:
        return await self._reads.list_events(request)

    async def ListHistory(
        self, request: _pb.ListHistoryRequest, context: Context
    ) -> _pb.ListHistoryResponse:
        return await self._reads.list_history(request)

    async def ExplainWorkflow(
        self, request: _pb.ExplainWorkflowRequest, context: Context
    ) -> _pb.ExplainWorkflowResponse:
        place = check_instance(request)
        instance = await self._reader.read(place)
        registry = self._registries.of(instance.namespace)
        work = await self._queries.open_work(instance.key, limit=MAX_BLOCKERS)
        pools = await self._queries.pools()
        await registry.refresh()
        waited_for = [
            fact.delivery.task_id
            for fact in work.deliveries.shown
            if fact.delivery.state is DeliveryState.NO_ENDPOINT
        ]
        registered = Registered(
            registry.snapshot,
            registry.resolve,
            await registry.endpoints_of(waited_for),
        )
        # Read last: what was settled in between is then seen as settled.
        instance = await self._reader.read(place)
        explanation = explain(
            Facts(instance, work, pools, broker_trouble(self._broker.status())), registered
        )
        response = _pb.ExplainWorkflowResponse(summary=explanation.summary)
        context_to_proto(instance, with_data=False, into=response.context)
        room = Room(MAX_PAGE_BYTES)
        for blocker in explanation.blockers:
            message = _blocker_to_proto(blocker)
            if not room.takes(message):
                break
            response.blockers.append(message)
        response.blockers_left_out = (
            explanation.left_out + len(explanation.blockers) - len(response.blockers)
        )
        return response

    async def WatchWorkflow(self, request: _pb.WatchWorkflowRequest, context: Context) -> None:
        await self._watches.watch(request, context)

    # --- changing --------------------------------------------------------------------------

    async def ProvideInput(
        self, request: _pb.ProvideInputRequest, context: Context
    ) -> _pb.ProvideInputResponse:
        change = _change("ProvideInput", request)
        if request.wait_id:
            limits.check_id(request.wait_id, "wait_id")
        if not request.HasField("input"):
            raise InvalidField("input is missing; send the answer to the wait.", field="input")
        answer = payload_from_proto(request.input, "input")
        answered_by = limits.check_short_text(request.answered_by, "answered_by")
        instance, result = await self._changes.provide_input(
            change, request.wait_id, answer, answered_by
        )
        response = _pb.ProvideInputResponse(event_id=result["event_id"])
        context_to_proto(instance, into=response.context)
        return response

    async def PublishEvent(
        self, request: _pb.PublishEventRequest, context: Context
    ) -> _pb.PublishEventResponse:
        change = _change("PublishEvent", request)
        if not request.HasField("event"):
            raise InvalidField("event is missing; set the event to raise.", field="event")
        new = new_event_from_proto(request.event)
        lifecycle.check_client_event(new.event_type)
        with self._backlog.room():
            instance, result = await self._changes.publish(change, new)
        response = _pb.PublishEventResponse(event_id=result["event_id"])
        response.task_ids.extend(
            await task_ids(
                self._registries.of(instance.namespace), new.event_type, instance.workflow_type
            )
        )
        return response

    async def CancelWorkflow(
        self, request: _pb.CancelWorkflowRequest, context: Context
    ) -> _pb.CancelWorkflowResponse:
        change = _change("CancelWorkflow", request)
        reason = limits.check_text(request.reason, "reason")
        response = _pb.CancelWorkflowResponse()
        context_to_proto(await self._changes.cancel(change, reason), into=response.context)
        return response

    # --- what was, and another course from there -------------------------------------------

    async def ReplayWorkflow(
        self, request: _pb.ReplayWorkflowRequest, context: Context
    ) -> _pb.ReplayWorkflowResponse:
        return await self._replays.replay(request, context.time_remaining())

    async def ForkWorkflow(
        self, request: _pb.ForkWorkflowRequest, context: Context
    ) -> _pb.ForkWorkflowResponse:
        return await self._forks.fork(request)


def _change(
    rpc: str,
    request: _pb.ProvideInputRequest | _pb.PublishEventRequest | _pb.CancelWorkflowRequest,
) -> Change:
    """What all changes have in common. It empties fields of the request."""
    instance_id = check_instance_id(request.workflow_instance_id)
    expected = None
    if request.HasField("expected_version"):
        expected = check_expected_version(request.expected_version)
    return Change.of(rpc, request, workflow_instance_id=instance_id, expected_version=expected)


def _blocker_to_proto(blocker: Blocker) -> blocker_pb2.Blocker:
    message = blocker_pb2.Blocker()
    message.kind = getattr(blocker_pb2, f"BLOCKER_KIND_{blocker.kind}")
    set_timestamp(message.since, blocker.since)
    message.message = blocker.message[:_LONGEST_MESSAGE]
    message.remedy = blocker.remedy
    message.event_id = blocker.event_id
    message.event_type = blocker.event_type
    message.task_id = blocker.task_id
    message.service_name = blocker.service_name
    message.wait_id = blocker.wait_id
    message.dead_letter_id = blocker.dead_letter_id
    message.attempts = blocker.attempts
    message.pool = blocker.pool
    message.endpoint = blocker.endpoint
    set_timestamp(message.due_at, blocker.due_at)
    if blocker.last_error is not None:
        # Their details may be large, and there are many blockers.
        error_to_proto({**blocker.last_error, "metadata": None}, message.last_error)
    message.group_id = blocker.group_id
    return message
