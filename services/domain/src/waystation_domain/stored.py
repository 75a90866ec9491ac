"""Values of an instance's past, with what the store added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation_domain.commit import HistoryEntry
from waystation_domain.model import DeadLetterState, Event, JsonObject, OnFailure, Result


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry of history with its times."""

    entry: HistoryEntry
    processed_at: datetime
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterFact:
    """A dead letter as lists show it. `event.payload` is the payload as last tried."""

    dead_letter_id: str
    event: Event
    task_id: str
    workflow_instance_id: str
    workflow_type: str
    attempts: int
    error: JsonObject
    on_failure: OnFailure
    state: DeadLetterState
    created_at: datetime
    resolved_at: datetime | None
    retryable: bool
    """See `dead_letters.can_be_retried`."""


def event_state(is_open: bool, results: Sequence[int]) -> str:
    """The state of an event, from its open rows and its entries in history."""
    if is_open:
        return "PENDING"
    if results and results[-1] == Result.UNHANDLED:
        return "UNHANDLED"
    if results and all(result == Result.SKIPPED for result in results):
        return "SKIPPED"
    return "SETTLED"
