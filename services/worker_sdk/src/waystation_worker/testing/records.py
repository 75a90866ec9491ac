"""History entries, pending deliveries and dead letters as tests see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from waystation_conversion import entry_to_proto
from waystation_domain.stored import StoredEntry
from waystation_worker.testing.answers import Failed, failed_of
from waystation_worker.values import Json


@dataclass(frozen=True)
class Entry:
    """An entry of history. `processed_by`: a task_id, `client` or `system`; `result`: SUCCESS,
    FAILED, SKIPPED, UNHANDLED. `action`: see `waystation_worker.HistoryEntry`."""

    sequence: int
    event_id: str
    event_type: str
    processed_by: str
    result: str
    status: str
    at: datetime
    attempt: int = 0
    raised: tuple[str, ...] = ()
    failure: Failed | None = None
    next_attempt_at: datetime | None = None
    action: str = ""
    note: str = ""
    wait_id: str = ""
    """The question that it answered, or that timed out."""
    answered_by: str = ""
    opened: tuple[str, ...] = ()
    """The ids of the waits that it opened."""


@dataclass(frozen=True)
class PendingTask:
    """A delivery that was answered with `pending`; it times out at `until`."""

    task_id: str
    event_type: str
    idempotency_key: str
    completion_token: str
    attempt: int
    until: datetime


@dataclass
class DeadLetter:
    """A delivery that failed permanently. `state`: OPEN, RETRIED, DISCARDED."""

    dead_letter_id: str
    event_type: str
    task_id: str
    attempts: int
    failure: Failed
    fails_workflow: bool
    payload: dict[str, Json]
    state: str = "OPEN"


def entry_of(stored: StoredEntry) -> Entry:
    """The entry as a value."""
    entry, message = stored.entry, entry_to_proto(stored)
    return Entry(
        sequence=entry.sequence,
        event_id=entry.event_id or "",
        event_type=entry.event_type,
        processed_by=entry.processed_by,
        result=entry.result.name,
        status=entry.status.name,
        at=stored.processed_at,
        attempt=entry.attempt,
        raised=entry.raised,
        failure=None if entry.error is None else failed_of(entry.error),
        next_attempt_at=stored.next_attempt_at,
        action=entry.action or "",
        note=message.note,
        wait_id=message.wait_id,
        answered_by=message.answered_by,
        opened=tuple(message.opened_wait_ids),
    )
