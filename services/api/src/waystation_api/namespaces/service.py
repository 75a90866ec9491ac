"""The servicer of NamespaceService."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import grpc
import structlog

from waystation.v1 import namespace_service_pb2, namespace_service_pb2_grpc
from waystation_api.audit.audited_call import audited_call
from waystation_api.namespaces.messages import (
    description_from_proto,
    limits_from_proto,
    name_from_proto,
    namespace_to_proto,
    usage_to_proto,
)
from waystation_api.pages import Key, Page, fill
from waystation_core.identity.principal import EVERY, caller
from waystation_core.ports.store import NamespaceStore, StoredNamespace
from waystation_core.registries import Registries
from waystation_domain.errors import NamespaceNotFound

_pb = namespace_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"

log = structlog.get_logger(__name__)


class NamespaceService(namespace_service_pb2_grpc.NamespaceServiceServicer):
    """For admins of every namespace; others see those in which they have a role."""

    def __init__(self, namespaces: NamespaceStore, registries: Registries) -> None:
        self._namespaces = namespaces
        self._registries = registries

    async def CreateNamespace(
        self, request: _pb.CreateNamespaceRequest, context: Context
    ) -> _pb.CreateNamespaceResponse:
        stored = await self._namespaces.create_namespace(
            name_from_proto(request.name),
            description_from_proto(request.description),
            limits_from_proto(request.limits),
            by=audited_call(),
        )
        log.info("namespace_created", namespace=stored.name, by=caller().name)
        await self._registries.refresh()
        return _pb.CreateNamespaceResponse(namespace=namespace_to_proto(stored))

    async def GetNamespace(
        self, request: _pb.GetNamespaceRequest, context: Context
    ) -> _pb.GetNamespaceResponse:
        name = name_from_proto(request.name)
        if not caller().roles_in(name):
            raise NamespaceNotFound.of(name)
        stored = await self._namespaces.namespace(name)
        usage = await self._namespaces.namespace_usage(name)
        return _pb.GetNamespaceResponse(
            namespace=namespace_to_proto(stored), usage=usage_to_proto(usage)
        )

    async def UpdateNamespace(
        self, request: _pb.UpdateNamespaceRequest, context: Context
    ) -> _pb.UpdateNamespaceResponse:
        stored = await self._namespaces.update_namespace(
            name_from_proto(request.name),
            description_from_proto(request.description),
            limits_from_proto(request.limits),
            by=audited_call(),
        )
        log.info("namespace_updated", namespace=stored.name, by=caller().name)
        await self._registries.refresh()
        return _pb.UpdateNamespaceResponse(namespace=namespace_to_proto(stored))

    async def ListNamespaces(
        self, request: _pb.ListNamespacesRequest, context: Context
    ) -> _pb.ListNamespacesResponse:
        page = Page(request, (str,))
        grants = caller().grants
        among = None if EVERY in grants else list(grants)
        response = _pb.ListNamespacesResponse()

        async def look(after: Key | None, limit: int) -> Sequence[StoredNamespace]:
            return await self._namespaces.list_namespaces(
                after=after[0] if after is not None else "", limit=limit, among=among
            )

        response.next_page_token = await fill(
            page, response.namespaces, look, namespace_to_proto, lambda one, _: (one.name,)
        )
        return response

    async def DeleteNamespace(
        self, request: _pb.DeleteNamespaceRequest, context: Context
    ) -> _pb.DeleteNamespaceResponse:
        name = name_from_proto(request.name)
        await self._namespaces.delete_namespace(name, by=audited_call())
        log.info("namespace_deleted", namespace=name, by=caller().name)
        await self._registries.refresh()
        return _pb.DeleteNamespaceResponse()
