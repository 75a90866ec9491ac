"""Rows of dead letters as domain values."""

from __future__ import annotations

from waystation_core.ports.store import DeadLetterFact
from waystation_core.store import rows, states
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.model import DeadLetterState, OnFailure

_OPEN = (
    *("l.dead_letter_id::text", "l.task_id", "l.attempts", "l.on_failure", "l.edit", "l.payload"),
    # Without its metadata, which may be large.
    "json_build_object('reason', l.error->>'reason', 'message', l.error->>'message')",
)
OPEN_COLUMNS = rows.Columns((*_OPEN, *rows.EVENT_COLUMNS))
"""The columns of `open_dead_letter`."""

SHOWN_COLUMNS = rows.Columns(
    (
        *rows.EVENT_COLUMNS.but({"e.payload": "COALESCE(l.payload, e.payload)"}),
        *("l.dead_letter_id::text", "l.task_id", "i.workflow_instance_id", "i.workflow_type"),
        *("l.attempts", "l.error", "l.on_failure", "l.state", "l.created_at", "l.resolved_at"),
        states.RETRYABLE,
    )
)
"""The columns of `dead_letter_fact`."""


def open_dead_letter(row: rows.Row) -> OpenDeadLetter:
    """From OPEN_COLUMNS."""
    return OpenDeadLetter(
        dead_letter_id=row[0],
        event=rows.event(row[len(_OPEN) :]),
        task_id=row[1],
        attempts=row[2],
        on_failure=OnFailure(row[3]),
        edit=row[4],
        payload=row[5],
        error=row[6],
    )


def dead_letter_fact(row: rows.Row) -> DeadLetterFact:
    """From an event's columns and those of its dead letter."""
    rest = row[rows.EVENT_WIDTH :]
    return DeadLetterFact(
        dead_letter_id=rest[0],
        event=rows.event(row),
        task_id=rest[1],
        workflow_instance_id=rest[2],
        workflow_type=rest[3],
        attempts=rest[4],
        error=rest[5],
        on_failure=OnFailure(rest[6]),
        state=DeadLetterState(rest[7]),
        created_at=rest[8],
        resolved_at=rest[9],
        retryable=rest[10],
    )
