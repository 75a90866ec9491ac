"""HandlerRegistryService: handler services register their tasks and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

import grpc

from waystation.v1 import (
    handler_pb2,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
)
from waystation_api.handlers.registrations import Registrations
from waystation_api.handlers.retirement import Retirement
from waystation_api.pages import Key, Page, fill
from waystation_api.requests import check_namespace, check_request_id
from waystation_conversion import set_duration, set_timestamp, task_spec_to_proto
from waystation_core.identity.principal import caller
from waystation_core.ports.store import Registration, RegistryStore
from waystation_domain import limits
from waystation_domain.errors import InvalidId

_pb = handler_registry_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class HandlerRegistryService(handler_registry_service_pb2_grpc.HandlerRegistryServiceServicer):
    """For handler services and operators."""

    def __init__(
        self, registry: RegistryStore, registrations: Registrations, retirement: Retirement
    ) -> None:
        self._registry = registry
        self._registrations = registrations
        self._retirement = retirement

    async def RegisterHandler(
        self, request: _pb.RegisterHandlerRequest, context: Context
    ) -> _pb.RegisterHandlerResponse:
        stored, caught_up = await self._registrations.register(request)
        response = _pb.RegisterHandlerResponse(
            caught_up_events=caught_up, namespace=stored.namespace
        )
        handler_to_proto(stored, response.handler)
        return response

    async def RenewHandler(
        self, request: _pb.RenewHandlerRequest, context: Context
    ) -> _pb.RenewHandlerResponse:
        namespace = check_namespace(request.namespace)
        response = _pb.RenewHandlerResponse()
        set_duration(
            response.lease_remaining,
            await self._registry.renew(
                _handler_id(request.handler_id),
                namespace=namespace,
                services=caller().services_in(namespace),
            ),
        )
        return response

    async def UnregisterHandler(
        self, request: _pb.UnregisterHandlerRequest, context: Context
    ) -> _pb.UnregisterHandlerResponse:
        namespace = check_namespace(request.namespace)
        # Repeating it has no further effect, so the id need not be stored.
        check_request_id(request.request_id)
        await self._registrations.unregister(namespace, _handler_id(request.handler_id))
        return _pb.UnregisterHandlerResponse()

    async def RetireTask(
        self, request: _pb.RetireTaskRequest, context: Context
    ) -> _pb.RetireTaskResponse:
        return _pb.RetireTaskResponse(retired_deliveries=await self._retirement.retire(request))

    async def ListHandlers(
        self, request: _pb.ListHandlersRequest, context: Context
    ) -> _pb.ListHandlersResponse:
        namespace = check_namespace(request.namespace)
        if request.service_name:
            limits.check_id(request.service_name, "service_name")
        page = Page(request, (str, str, int, UUID))
        response = _pb.ListHandlersResponse()

        async def look(after: Key | None, limit: int) -> Sequence[Registration]:
            return await self._registry.handlers(
                service_name=request.service_name,
                after=after,
                limit=limit,
                with_tasks=request.with_tasks,
                namespace=namespace,
            )

        response.next_page_token = await fill(
            page,
            response.handlers,
            look,
            handler_to_proto,
            lambda one, _: (one.service_name, one.host, one.port, one.handler_id),
        )
        return response


def handler_to_proto(
    handler: Registration, into: handler_pb2.Handler | None = None
) -> handler_pb2.Handler:
    """A registration as a message."""
    message = handler_pb2.Handler() if into is None else into
    message.handler_id = handler.handler_id
    message.service_name = handler.service_name
    message.service_version = handler.service_version
    message.host = handler.host
    message.port = handler.port
    message.kind = (
        handler_pb2.REGISTRATION_KIND_STATIC
        if handler.static
        else handler_pb2.REGISTRATION_KIND_LEASED
    )
    for task in handler.tasks:
        task_spec_to_proto(task, message.tasks.add())
    set_timestamp(message.registered_at, handler.registered_at)
    set_timestamp(message.began_at, handler.began_at)
    if not handler.static:
        set_duration(message.lease_remaining, handler.lease_remaining)
    if handler.reachable is not None:
        message.reachable = handler.reachable
    message.last_error = handler.last_error
    message.calls_in_flight = handler.calls_in_flight
    message.retired_task_ids.extend(handler.retired_task_ids)
    return message


def _handler_id(value: str) -> str:
    if not value:
        raise InvalidId(
            "handler_id is missing; RegisterHandler and ListHandlers return it.", field="handler_id"
        )
    return limits.check_id(value, "handler_id")
