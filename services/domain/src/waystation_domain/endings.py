"""The end of events and deliveries: recorded, and reported to their group."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_domain import groups
from waystation_domain.details import SkipCause, Skipped
from waystation_domain.draft import Draft
from waystation_domain.history import record_ended
from waystation_domain.idle import Ending
from waystation_domain.lifecycle import DEAD_LETTER_DISCARDED
from waystation_domain.model import SYSTEM, Delivery, Event, Result


def end_event(draft: Draft, event: Event, ending: Ending, task_ids: Sequence[str] = ()) -> None:
    """Records how an event ended, and of which tasks, once nothing of it is open. Its group no longer waits
    for it."""
    if ending is Ending.UNHANDLED and event.event_type == DEAD_LETTER_DISCARDED:
        lost = event.payload
        left = draft.note_ended(
            event, Ending.NEWS_OF_DISCARD, (lost["task_id"],), lost["event_type"]
        )
    else:
        left = draft.note_ended(event, ending, task_ids)
    if left is not None:
        groups.leave(draft, left)


def skip_event(draft: Draft, event: Event, cause: SkipCause) -> None:
    """Records that an event was skipped before it had deliveries."""
    record_ended(draft, event, SYSTEM, Result.SKIPPED, detail=Skipped(cause))
    end_event(draft, event, Ending.SKIPPED)


def skip_delivery(draft: Draft, row: Delivery, event: Event, cause: SkipCause) -> None:
    """Ends an open delivery as SKIPPED."""
    draft.end_delivery(event.event_id, row.task_id)
    attempt, detail = max(row.attempts, 1), Skipped(cause)
    record_ended(draft, event, row.task_id, Result.SKIPPED, attempt=attempt, detail=detail)
    end_event(draft, event, Ending.SKIPPED)
