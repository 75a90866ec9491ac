"""AuditService: shows the audit log to admins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import grpc

from waystation.v1 import audit_service_pb2, audit_service_pb2_grpc
from waystation_api.filters import audit_filter
from waystation_api.pages import Key, Page, fill
from waystation_api.requests import check_namespace
from waystation_conversion import set_timestamp
from waystation_core.identity.principal import EVERY, Principal, caller
from waystation_core.ports.store import AuditStore, StoredAuditEntry
from waystation_core.rpc.roles import Role

_pb = audit_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class AuditService(audit_service_pb2_grpc.AuditServiceServicer):
    """For admins."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def ListAudit(
        self, request: _pb.ListAuditRequest, context: Context
    ) -> _pb.ListAuditResponse:
        # Another caller may see less: the token of a page holds only where it begins.
        namespace = check_namespace(request.namespace) if request.namespace else ""
        filter = audit_filter(request, _visible(caller(), namespace))
        page = Page(request, (datetime, int))
        response = _pb.ListAuditResponse()

        async def look(after: Key | None, limit: int) -> Sequence[StoredAuditEntry]:
            place = (after[0], after[1]) if after is not None else None
            return await self._store.entries(filter, after=place, limit=limit)

        response.next_page_token = await fill(
            page,
            response.entries,
            look,
            entry_to_proto,
            lambda one, _: (one.occurred_at, one.audit_id),
        )
        return response


def _visible(principal: Principal, namespace: str) -> Sequence[str] | None:
    """The namespaces whose entries a caller may see, of the one that it asks for or of all; None: all, and the
    entries of the installation."""
    own = [each for each, roles in principal.grants.items() if Role.ADMIN in roles]
    if EVERY in own:
        return [namespace] if namespace else None
    return [each for each in own if not namespace or each == namespace]


def entry_to_proto(stored: StoredAuditEntry) -> _pb.AuditEntry:
    """An entry as a message."""
    entry = stored.entry
    message = _pb.AuditEntry(
        audit_id=stored.audit_id,
        principal=entry.principal,
        peer=entry.peer,
        namespace=entry.namespace,
        method=entry.method,
        target=dict(entry.target),
        request_id=entry.request_id,
        code=entry.code,
        reason=entry.reason,
        calls=entry.calls,
    )
    set_timestamp(message.occurred_at, stored.occurred_at)
    return message
