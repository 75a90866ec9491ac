"""The text of an entry of history, for people. No decision reads it."""

from __future__ import annotations

from waystation_domain.commit import HistoryEntry
from waystation_domain.details import (
    Action,
    Cancelled,
    DeadLetterRetried,
    FannedIn,
    ForkedFrom,
    SkipCause,
    Skipped,
)

DEADLINE_EXCEEDED = "The workflow did not end before its deadline."


def note_of(entry: HistoryEntry) -> str:
    """The note of an entry; empty if its other fields say everything."""
    match entry.detail:
        case ForkedFrom(workflow_instance_id, sequence):
            return f"forked from {workflow_instance_id} at sequence {sequence}"
        case Cancelled(reason):
            return reason
        case DeadLetterRetried(task_id, edited):
            return f"{task_id} with an edited payload" if edited else task_id
        case FannedIn(settled, well, size, timed_out):
            note = f"{settled} of {size} branches settled, {well} of them successfully"
            return f"{note}, at the timeout" if timed_out else note
        case Skipped(cause):
            return _why_skipped(cause, entry)
    return DEADLINE_EXCEEDED if entry.action == Action.DEADLINE else ""


def _why_skipped(cause: SkipCause, entry: HistoryEntry) -> str:
    match cause:
        case SkipCause.EXPIRED:
            return "it expired"
        case SkipCause.ENDED:
            return f"the workflow is {entry.status.name}"
        case SkipCause.STAYS_ENDED:
            return f"the workflow stays {entry.status.name}"
        case SkipCause.ANSWERED_LATE:
            return "the workflow had ended"
