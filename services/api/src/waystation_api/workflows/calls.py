"""StartWorkflow, RunWorkflow and WaitWorkflow, as unary calls and as items of a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from waystation.v1 import workflow_service_pb2
from waystation_api.handlers.tasks import task_ids
from waystation_api.requests import check_instance
from waystation_api.workflows import waiters
from waystation_api.workflows.starts import Starter, start_from_proto
from waystation_api.workflows.waiters import Waiters
from waystation_conversion import context_to_proto, seconds_from_proto
from waystation_core.registries import Registries
from waystation_domain import lifecycle
from waystation_domain.errors import InvalidField

_pb = workflow_service_pb2

Stored = Callable[[str, bool], Awaitable[None]]
"""Called as soon as a start is committed, with the instance's id, and whether it is new."""


class WorkflowCalls:
    """Processes them. Each method fills the given response. `remaining` is how many seconds the caller waits;
    None: for ever. `line` names the queue that is served in turn with others: items of one stream do not
    delay those of another."""

    def __init__(self, starter: Starter, waiters: Waiters, registries: Registries) -> None:
        self._starter = starter
        self._waiters = waiters
        self._registries = registries

    async def start(
        self,
        request: _pb.StartWorkflowRequest,
        response: _pb.StartWorkflowResponse,
        *,
        line: str = "",
    ) -> None:
        """Raises what `start_from_proto` and `Starter.start` raise."""
        size = request.ByteSize()
        started = await self._starter.start(start_from_proto(request), size, line)
        response.created = started.created
        context_to_proto(started.instance, into=response.context)
        response.task_ids.extend(
            await task_ids(
                self._registries.of(started.instance.namespace),
                lifecycle.STARTED,
                started.instance.workflow_type,
            )
        )

    async def run(
        self,
        request: _pb.RunWorkflowRequest,
        response: _pb.RunWorkflowResponse,
        *,
        remaining: float | None,
        stored: Stored | None = None,
        line: str = "",
    ) -> None:
        """Raises as `start`."""
        if not request.HasField("start"):
            raise InvalidField("start is missing; set the workflow to run.", field="start")
        seconds = _seconds(request, remaining)
        size = request.start.ByteSize()
        start = start_from_proto(request.start)
        namespace = start.instance.namespace
        requested_id = start.instance.workflow_instance_id
        # Subscribed before the start is committed, so the first read is not needed.
        with self._waiters.waiter((namespace, requested_id)) as waiter:
            started = await self._starter.start(start, size, line)
            instance_id = started.instance.workflow_instance_id
            if stored is not None:
                await stored(instance_id, started.created)
            if instance_id == requested_id:
                response.outcome = await waiter.wait(
                    seconds,
                    started.instance if started.created else None,
                    into=response.context,
                )
        if instance_id != requested_id:
            # A repeated request: the instance is that of the first call.
            with self._waiters.waiter((namespace, instance_id)) as waiter:
                response.outcome = await waiter.wait(seconds, into=response.context)
        response.created = started.created
        response.task_ids.extend(
            await task_ids(
                self._registries.of(namespace),
                lifecycle.STARTED,
                response.context.workflow_type,
            )
        )

    async def wait(
        self,
        request: _pb.WaitWorkflowRequest,
        response: _pb.WaitWorkflowResponse,
        *,
        remaining: float | None,
    ) -> None:
        """Raises InvalidId, InvalidField, NamespaceNotFound, WorkflowNotFound, StoreUnavailable."""
        place = check_instance(request)
        seconds = _seconds(request, remaining)
        with self._waiters.waiter(place) as waiter:
            response.outcome = await waiter.wait(seconds, into=response.context)


def _seconds(
    request: _pb.RunWorkflowRequest | _pb.WaitWorkflowRequest, remaining: float | None
) -> float:
    """How long to wait: as requested, cut so that the answer arrives before the caller's deadline."""
    seconds = waiters.DEFAULT_SECONDS
    if request.HasField("timeout"):
        seconds = seconds_from_proto(request.timeout, "timeout", most=waiters.MAX_SECONDS)
    if remaining is not None:
        seconds = min(seconds, max(remaining - waiters.MARGIN_SECONDS, 0.0))
    return seconds
