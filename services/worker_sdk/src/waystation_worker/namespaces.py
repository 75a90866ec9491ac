"""Namespaces, as an admin of every namespace sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from waystation.v1 import namespace_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of
from waystation_worker.pages import items_of
from waystation_worker.times import time_of


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """Limits of one namespace; None does not limit. `max_in_flight`: calls of its tasks at once over all
    routers; `max_stored_bytes`: of data, events and histories, as estimated every minute."""

    max_open_workflows: int | None = None
    max_starts_per_second: float | None = None
    max_in_flight: int | None = None
    max_stored_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """What a namespace uses now; `stored_bytes` is an estimate, `handlers` are live endpoints."""

    open_workflows: int
    workflows: int
    stored_bytes: int
    handlers: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace. `usage` comes with `get` only."""

    name: str
    description: str
    limits: NamespaceLimits
    created_at: datetime | None = None
    updated_at: datetime | None = None
    usage: NamespaceUsage | None = None


class Namespaces:
    """`client.namespaces`: makes, limits, lists and deletes namespaces."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self, name: str, *, description: str = "", limits: NamespaceLimits | None = None
    ) -> Namespace:
        """A new namespace; every server uses it within a second. Raises AlreadyExists."""
        response: pb.CreateNamespaceResponse = await self._connection.call(
            self._connection.namespaces.CreateNamespace,
            message_of(
                pb.CreateNamespaceRequest,
                name=name,
                description=description,
                limits=_limits(limits),
            ),
        )
        return _namespace(response.namespace)

    async def get(self, name: str) -> Namespace:
        """A namespace with what it uses. Raises NotFound."""
        response: pb.GetNamespaceResponse = await self._connection.call(
            self._connection.namespaces.GetNamespace, message_of(pb.GetNamespaceRequest, name=name)
        )
        return _namespace(response.namespace, response.usage)

    async def update(
        self, name: str, *, description: str, limits: NamespaceLimits | None
    ) -> Namespace:
        """Replaces description and limits; None: no limits. Raises NotFound."""
        response: pb.UpdateNamespaceResponse = await self._connection.call(
            self._connection.namespaces.UpdateNamespace,
            message_of(
                pb.UpdateNamespaceRequest,
                name=name,
                description=description,
                limits=_limits(limits),
            ),
        )
        return _namespace(response.namespace)

    def list(self, *, limit: int | None = None) -> AsyncIterator[Namespace]:
        """The namespaces in which the caller has a role, by name."""
        return items_of(
            self._connection,
            lambda: self._connection.namespaces.ListNamespaces,
            pb.ListNamespacesRequest(),
            lambda page: map(_namespace, page.namespaces),
            limit,
        )

    async def delete(self, name: str) -> None:
        """Deletes a namespace without workflows and live handlers. Raises NotFound, WrongState."""
        await self._connection.call(
            self._connection.namespaces.DeleteNamespace,
            message_of(pb.DeleteNamespaceRequest, name=name),
        )


def _limits(limits: NamespaceLimits | None) -> pb.NamespaceLimits:
    message = pb.NamespaceLimits()
    for name in NamespaceLimits.__dataclass_fields__:
        if limits is not None and (value := getattr(limits, name)) is not None:
            setattr(message, name, value)
    return message


def _namespace(message: pb.Namespace, usage: pb.NamespaceUsage | None = None) -> Namespace:
    limits = message.limits
    return Namespace(
        name=message.name,
        description=message.description,
        limits=NamespaceLimits(
            **{
                name: getattr(limits, name)
                for name in NamespaceLimits.__dataclass_fields__
                if limits.HasField(name)
            }
        ),
        created_at=time_of(message, "created_at"),
        updated_at=time_of(message, "updated_at"),
        usage=None
        if usage is None
        else NamespaceUsage(
            usage.open_workflows, usage.workflows, usage.stored_bytes, usage.handlers
        ),
    )
