"""Rows of `handlers`, as registrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waystation_core.ports.store import Registration
from waystation_core.store import task_specs
from waystation_core.store.rows import Columns
from waystation_core.store.states import EndpointKind

HANDLER_COLUMNS = Columns(
    (
        *("h.handler_id::text", "h.service_name", "h.service_version", "h.host", "h.port"),
        *(f"h.kind = {EndpointKind.STATIC}", "h.lease_seconds"),
        "GREATEST(extract(epoch FROM h.lease_until - now())::float8, 0)",
        *("h.registered_at", "h.tasks", "h.began_at", "h.namespace"),
    )
)

LIVE = "(h.lease_until IS NULL OR h.lease_until > now())"
"""Of a row: its lease is valid, or it is static."""


def registration(row: Sequence[Any]) -> Registration:
    """From HANDLER_COLUMNS."""
    return Registration(
        handler_id=row[0],
        service_name=row[1],
        service_version=row[2],
        host=row[3],
        port=row[4],
        static=row[5],
        lease_seconds=row[6],
        lease_remaining=row[7],
        registered_at=row[8],
        tasks=tuple(task_specs.from_json(spec, row[11]) for spec in row[9]),
        began_at=row[10],
        namespace=row[11],
    )
