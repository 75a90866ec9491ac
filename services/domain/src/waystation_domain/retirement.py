"""Retired tasks: what happens to their open deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from waystation_domain import groups
from waystation_domain.commit import NewDeadLetter
from waystation_domain.details import SkipCause
from waystation_domain.draft import Draft
from waystation_domain.endings import end_event, skip_delivery
from waystation_domain.errors import TaskRetired
from waystation_domain.history import record_ended
from waystation_domain.idle import Ending
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    OnFailure,
    Result,
)
from waystation_domain.outcomes import fault_of

STAYS = (DeliveryState.LEASED, DeliveryState.HELD, DeliveryState.DEAD)
"""A call in flight finishes and counts; a held or dead delivery is retired when it would be called."""


def retire(draft: Draft, deliveries: Sequence[tuple[Delivery, Event]]) -> int:
    """Turns a retired task's open deliveries into dead letters TASK_RETIRED, under CONTINUE whatever its spec
    says: removing a task is no failure of the workflow. Returns how many. Deliveries of an instance that
    cannot continue are skipped, those of one that may continue are held.

    The draft must have the facts of the events.
    """
    retired = 0
    for row, event in deliveries:
        if row.state in STAYS:
            continue
        treatment = draft.treatment(event)
        if treatment is Treatment.SKIP:
            skip_delivery(draft, row, event, SkipCause.ENDED)
        elif treatment is Treatment.HOLD:
            draft.put_delivery(replace(row, state=DeliveryState.HELD, due_in=0.0))
        else:
            _dead_letter(draft, row, event)
            retired += 1
    return retired


def _dead_letter(draft: Draft, row: Delivery, event: Event) -> None:
    fault = TaskRetired(
        f"{row.task_id} is retired and gets no more deliveries. For a replacement task publish "
        "the event again, or start a new workflow; a retry needs an endpoint that declares this "
        "task again.",
        task_id=row.task_id,
    )
    error = fault_of(fault).to_json(draft.rules.providers.size_of)
    draft.add_dead_letter(
        NewDeadLetter.of(draft.rules.providers.make_id(), row, event, error, OnFailure.CONTINUE)
    )
    if not row.outside_group:
        groups.fail(draft, event, row.task_id, fault.reason, fault.message)
    draft.end_delivery(event.event_id, row.task_id)
    record_ended(draft, event, row.task_id, Result.FAILED, attempt=row.attempts, error=error)
    end_event(draft, event, Ending.RETIRED, (row.task_id,))
