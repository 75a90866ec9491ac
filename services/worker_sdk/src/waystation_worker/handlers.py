"""Handler services as a client sees them: their endpoints, and what operators do with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from waystation.v1 import handler_pb2
from waystation.v1 import handler_registry_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of, request_id_of
from waystation_worker.pages import items_of
from waystation_worker.times import HOUR, Span, span, time_of
from waystation_worker.workflows import enum_name

_RETIRE_SECONDS = 600.0
"""Each workflow with an open delivery takes a transaction."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One endpoint of a handler service.

    `kind`: LEASED or STATIC. `lease_remaining` is in seconds; None for a static one. `reachable` is
    None before a router has called it; `last_error` says why it is not. `retired_task_ids` are
    those of `task_ids` that an operator retired.
    """

    handler_id: str
    service_name: str
    service_version: str
    host: str
    port: int
    kind: str
    task_ids: tuple[str, ...] = ()
    retired_task_ids: tuple[str, ...] = ()
    reachable: bool | None = None
    last_error: str = ""
    calls_in_flight: int = 0
    registered_at: datetime | None = None
    lease_remaining: float | None = None
    message: handler_pb2.Handler = field(
        default_factory=handler_pb2.Handler, repr=False, compare=False
    )
    """The whole message, with the specs of its tasks."""


class Handlers:
    """`client.handlers`: the endpoints of handler services. A service of this package registers itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, service_name: str = "", *, limit: int | None = None) -> AsyncIterator[Handler]:
        """The endpoints, of one service or all: `async for handler in client.handlers.list()`."""
        request = message_of(
            pb.ListHandlersRequest,
            namespace=self._connection.namespace,
            service_name=service_name,
            with_tasks=True,
        )
        return items_of(
            self._connection,
            lambda: self._connection.handlers.ListHandlers,
            request,
            lambda page: map(_handler, page.handlers),
            limit,
        )

    async def register(
        self,
        service_name: str,
        host: str,
        port: int,
        tasks: Iterable[handler_pb2.TaskSpec],
        *,
        service_version: str = "",
        lease: Span | None = None,
        request_id: str | None = None,
    ) -> Handler:
        """Registers an endpoint that does not register itself, such as one without an SDK.

        It stays until `unregister`; with `lease` (1 s to 1 h) it lapses unless it is renewed in time.
        """
        if not isinstance(tasks, Iterable):
            raise TypeError(f"tasks must be a list, not {type(tasks).__name__}")
        specs = list(tasks)
        for spec in specs:
            if not isinstance(spec, handler_pb2.TaskSpec):
                raise TypeError(f"tasks must be TaskSpec messages, not {type(spec).__name__}")
        request = message_of(
            pb.RegisterHandlerRequest,
            namespace=self._connection.namespace,
            service_name=service_name,
            service_version=service_version,
            host=host,
            port=port,
            kind=handler_pb2.REGISTRATION_KIND_STATIC,
            tasks=specs,
            request_id=request_id_of(request_id),
        )
        if lease is not None:
            request.kind = handler_pb2.REGISTRATION_KIND_LEASED
            request.lease.FromTimedelta(span(lease, "lease", HOUR, shortest=timedelta(seconds=1)))
        stub = self._connection.handlers
        response = await self._connection.call(stub.RegisterHandler, request)
        return _handler(response.handler)

    async def renew(self, handler_id: str) -> float:
        """Renews a leased registration; returns how many seconds of its lease are left."""
        request = message_of(
            pb.RenewHandlerRequest, namespace=self._connection.namespace, handler_id=handler_id
        )
        response: pb.RenewHandlerResponse = await self._connection.call(
            self._connection.handlers.RenewHandler, request
        )
        return response.lease_remaining.ToTimedelta().total_seconds()

    async def unregister(self, handler_id: str, *, request_id: str | None = None) -> None:
        """Removes an endpoint; no error for an unknown one."""
        request = message_of(
            pb.UnregisterHandlerRequest,
            namespace=self._connection.namespace,
            handler_id=handler_id,
            request_id=request_id_of(request_id),
        )
        await self._connection.call(self._connection.handlers.UnregisterHandler, request)

    async def retire_task(self, task_id: str, *, request_id: str | None = None) -> int:
        """Retires a task permanently: it is called no more, and its open deliveries become dead
        letters. Returns how many."""
        request = message_of(
            pb.RetireTaskRequest,
            namespace=self._connection.namespace,
            task_id=task_id,
            request_id=request_id_of(request_id),
        )
        response: pb.RetireTaskResponse = await self._connection.call(
            self._connection.handlers.RetireTask, request, _RETIRE_SECONDS
        )
        return response.retired_deliveries


def _handler(handler: handler_pb2.Handler) -> Handler:
    return Handler(
        handler_id=handler.handler_id,
        service_name=handler.service_name,
        service_version=handler.service_version,
        host=handler.host,
        port=handler.port,
        kind=enum_name(handler_pb2.RegistrationKind, handler.kind, "REGISTRATION_KIND_"),
        task_ids=tuple(task.task_id for task in handler.tasks),
        retired_task_ids=tuple(handler.retired_task_ids),
        reachable=handler.reachable if handler.HasField("reachable") else None,
        last_error=handler.last_error,
        calls_in_flight=handler.calls_in_flight,
        registered_at=time_of(handler, "registered_at"),
        lease_remaining=handler.lease_remaining.ToTimedelta().total_seconds()
        if handler.HasField("lease_remaining")
        else None,
        message=handler,
    )
