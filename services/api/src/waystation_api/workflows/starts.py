"""Starting workflows: concurrent starts are one statement."""

from __future__ import annotations

from collections.abc import Sequence

from waystation.v1 import workflow_service_pb2
from waystation_api.batches import Batcher
from waystation_api.namespaces.limits import StartLimits
from waystation_api.requests import check_namespace, check_request_id, digest_of
from waystation_api.workflows.backlog import Backlog
from waystation_conversion import (
    payload_from_proto,
    refuses_unexpected,
    seconds_from_proto,
)
from waystation_core.background import Contact
from waystation_core.identity.principal import caller
from waystation_core.ids import new_id
from waystation_core.ports.store import AuditedCall, EngineStore, Started
from waystation_core.providers import PROVIDERS
from waystation_core.relay.relay import Relay
from waystation_domain import actions, limits, reserved
from waystation_domain.errors import (
    ContextTooLarge,
    NamespaceNotFound,
    RequestIdReused,
    StoreUnavailable,
    WorkflowAlreadyExists,
)

BATCH = 200
WORKERS = 2
MOST_HELD = 5_000
"""Starts that may wait for the database; more are refused."""
MOST_HELD_BYTES = 64 * 1024 * 1024
"""The same for the bytes of their requests."""


@refuses_unexpected("request")
def start_from_proto(request: workflow_service_pb2.StartWorkflowRequest) -> actions.Start:
    """The start of a request, within the limits. It empties fields of the request."""
    namespace = check_namespace(request.namespace)
    request_id = check_request_id(request.request_id)
    reserved.check_name(request.workflow_type, "workflow_type")
    if request.workflow_instance_id:
        limits.check_id(request.workflow_instance_id, "workflow_instance_id")
    if request.correlation_id:
        limits.check_id(request.correlation_id, "correlation_id")
    if request.HasField("priority"):
        limits.check_priority(request.priority)
    deadline = None
    if request.HasField("timeout"):
        deadline = seconds_from_proto(
            request.timeout, "timeout", least=0.001, most=limits.MAX_DELAY_SECONDS
        )
    return actions.start(
        providers=PROVIDERS,
        workflow_instance_id=request.workflow_instance_id or new_id(),
        workflow_type=request.workflow_type,
        data=payload_from_proto(request.data, "data", error=ContextTooLarge),
        payload=payload_from_proto(request.payload, "payload")
        if request.HasField("payload")
        else None,
        correlation_id=request.correlation_id or None,
        priority=request.priority if request.HasField("priority") else None,
        metadata=limits.check_metadata(request.metadata) if request.metadata else None,
        digest=digest_of(request),
        request_id=request_id,
        namespace=namespace,
        deadline=deadline,
        principal=caller().name,
    )


class Starter:
    """Stores new instances and announces their first events."""

    def __init__(
        self,
        store: EngineStore,
        relay: Relay,
        backlog: Backlog,
        contact: Contact,
        limits: StartLimits,
    ) -> None:
        self._limits = limits
        self._store = store
        self._relay = relay
        self._backlog = backlog
        self._contact = contact
        self._batch: Batcher[actions.Start, Started] = Batcher(
            self._carry_out,
            limit=BATCH,
            workers=WORKERS,
            most_held=MOST_HELD,
            most_bytes=MOST_HELD_BYTES,
        )

    async def start(
        self,
        start: actions.Start,
        size_bytes: int,
        line: str = "",
        *,
        by: AuditedCall | None = None,
    ) -> Started:
        """The instance, new or existing with the same content. `size_bytes` is about its size while it waits;
        queues, and the workflow types in each of them, are served in turn. With `by` it is stored alone, with the
        entry of that call. Raises WorkflowAlreadyExists,
        RequestIdReused, BacklogFull, NamespaceLimitReached, RateLimited, StoreUnavailable."""
        namespace = start.instance.namespace
        await self._limits.admit(namespace)
        with self._backlog.room():
            if by is None:
                queue = f"{line}/{namespace}/{start.instance.workflow_type}"
                started = await self._batch(start, size_bytes, queue)
            else:
                [started] = await self._carry_out([start], by=by)
        if started.namespace_gone:
            raise NamespaceNotFound.of(namespace)
        if started.request_reused:
            # Of a fork's request_id, the part before the slash is its scope.
            raise RequestIdReused.of(str(start.request_id).rpartition("/")[2])
        if not started.same_content:
            workflow_instance_id = start.instance.workflow_instance_id
            raise WorkflowAlreadyExists(
                f"Workflow {workflow_instance_id} exists already with other content; "
                "choose another id, or omit it.",
                workflow_instance_id=workflow_instance_id,
            )
        return started

    async def close(self) -> None:
        await self._batch.close()

    async def _carry_out(
        self, batch: Sequence[actions.Start], *, by: AuditedCall | None = None
    ) -> list[Started]:
        try:
            answers = await self._store.start(batch, by=by)
        except StoreUnavailable as error:
            self._contact.failed(error)
            raise
        self._contact.succeeded()
        created = [start for start, answer in zip(batch, answers, strict=True) if answer.created]
        if created:
            self._relay.started(created)
        return answers
