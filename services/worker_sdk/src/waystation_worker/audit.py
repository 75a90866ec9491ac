"""The audit log as a client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from waystation.v1 import audit_service_pb2 as pb
from waystation_worker.arguments import flag
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of, texts
from waystation_worker.pages import items_of
from waystation_worker.times import moment, time_of


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One call that changed something, or that was refused.

    `principal` is who called, such as `token:deploy`; empty if it could not show who it is. `peer` is the address
    that it came from. `target` is what it was about, by the fields of the request. `code` is OK, or why it was
    refused, with `reason` (a name of ErrorReason). `calls` above 1: so many equal calls were refused, and this is
    the first of them.
    """

    audit_id: int
    occurred_at: datetime | None
    principal: str
    peer: str
    namespace: str
    method: str
    target: Mapping[str, str]
    request_id: str = ""
    code: str = "OK"
    reason: str = ""
    calls: int = 1
    message: pb.AuditEntry = field(default_factory=pb.AuditEntry, repr=False, compare=False)
    """The whole message."""


class Audit:
    """`client.audit`: who changed what, and whose calls were denied. For admins."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        namespace: str = "",
        principal: str = "",
        methods: Iterable[str] = (),
        target: str = "",
        denied_only: bool = False,
        from_time: datetime | None = None,
        to_time: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """The entries for which all conditions hold, newest first: `async for entry in client.audit.list()`.

        `namespace`: only of this one (default: all in which the caller is an admin). `methods` are names of RPCs,
        `target` is a value such as the id of a workflow.
        """
        request = message_of(
            pb.ListAuditRequest,
            namespace=namespace,
            principal=principal,
            methods=texts(methods, "methods"),
            target=target,
            denied_only=flag(denied_only, "denied_only"),
        )
        if from_time is not None:
            request.from_time.FromDatetime(moment(from_time, "from_time"))
        if to_time is not None:
            request.to_time.FromDatetime(moment(to_time, "to_time"))
        return items_of(
            self._connection,
            lambda: self._connection.audit.ListAudit,
            request,
            lambda page: map(_entry, page.entries),
            limit,
        )


def _entry(entry: pb.AuditEntry) -> AuditEntry:
    return AuditEntry(
        audit_id=entry.audit_id,
        occurred_at=time_of(entry, "occurred_at"),
        principal=entry.principal,
        peer=entry.peer,
        namespace=entry.namespace,
        method=entry.method,
        target=dict(entry.target),
        request_id=entry.request_id,
        code=entry.code,
        reason=entry.reason,
        calls=entry.calls,
        message=entry,
    )
