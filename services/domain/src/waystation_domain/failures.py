"""Attempts that did not succeed: whether they count, when the next one follows, and the dead letter."""

from __future__ import annotations

from dataclasses import replace

from waystation_domain import groups
from waystation_domain.commit import NewDeadLetter
from waystation_domain.draft import Draft
from waystation_domain.history import record_attempt
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    Failure,
    OnFailure,
    Result,
    Status,
)
from waystation_domain.outcomes import AttemptError, CallResult, Cut, Verdict
from waystation_domain.retry_policy import delay
from waystation_domain.status_events import raise_status_event, settle_unhandled_now
from waystation_domain.task_spec import TaskSpec


def count(
    draft: Draft,
    event: Event,
    result: CallResult,
    row: Delivery,
    outcome: AttemptError | Cut,
    *,
    router_id: str,
) -> Verdict:
    """Counts an error or a cut call of an open delivery, once. `router_id` is empty for a failure that
    DeliveryCompletionService reported.

    The first cut call is free: its delivery becomes a suspect. A suspect's attempt is in its row before the
    call, so there the lease decides whether this result is the expected one.
    """
    if row.state is DeliveryState.LEASED and row.leased_by != router_id:
        # Another router calls it now; that call will count.
        return Verdict.DUPLICATE
    if row.state is DeliveryState.PENDING and router_id:
        # Another call was answered `pending`: only its completion or its deadline counts.
        return Verdict.DUPLICATE
    recorded = row.attempts >= result.attempt
    if recorded and not (row.suspect and row.state is DeliveryState.LEASED):
        return Verdict.DUPLICATE
    if isinstance(outcome, AttemptError):
        # A task that answers did not crash.
        fail(draft, event, result, replace(row, suspect=False), outcome)
    elif not row.suspect:
        draft.put_delivery(
            replace(row, state=DeliveryState.READY, suspect=True, leased_by=None, due_in=0.0)
        )
    elif not recorded or not outcome.alone:
        # It was called before it became a suspect, beside other calls: that proves nothing.
        return Verdict.DUPLICATE
    else:
        error = AttemptError(
            code="UNAVAILABLE",
            reason="CALL_CUT",
            message=f"{outcome.message}; the call was alone on its endpoint, so it is considered the cause",
        )
        # The claim may have recorded one attempt more than was made: without one left, a router does not
        # call.
        fail(draft, event, result, replace(row, attempts=result.attempt), error)
    return Verdict.APPLIED


def is_last(error: AttemptError, attempts: int, task: TaskSpec) -> bool:
    """Whether no attempt follows this error, the so-manyth of a delivery."""
    return error.permanent or attempts >= task.retry.max_attempts


def fail(
    draft: Draft, event: Event, result: CallResult, row: Delivery, error: AttemptError
) -> None:
    """Ends a failed attempt: with a retry later, or with a dead letter."""
    task = result.task
    attempts = max(row.attempts, result.attempt)
    stored = error.to_json(draft.rules.providers.size_of)
    row = replace(row, attempts=attempts, leased_by=None, due_in=0.0, last_error=stored)
    if not is_last(error, attempts, task):
        wait = error.retry_after
        if wait is None:
            wait = delay(attempts, task.retry, draft.rules.providers.chance())
        record_attempt(
            draft, event, result, Result.FAILED, error=stored, will_retry=True, retry_in=wait
        )
        draft.put_delivery(replace(row, state=DeliveryState.READY, due_in=wait))
        return
    before = draft.snapshot()
    # An event that the end of an instance raised cannot end it again.
    on_failure = OnFailure.CONTINUE if event.after_end else task.on_failure
    draft.add_dead_letter(
        NewDeadLetter.of(draft.rules.providers.make_id(), row, event, stored, on_failure)
    )
    raised: list[Event] = []
    if on_failure is OnFailure.FAIL_WORKFLOW:
        draft.put_delivery(replace(row, state=DeliveryState.DEAD))
        draft.move_to(Status.FAILED)
        draft.touch(
            failure=Failure(
                reason=stored["reason"],
                message=stored["message"],
                task_id=task.task_id,
                event_id=event.event_id,
            )
        )
        raised = [raise_status_event(draft, raised_by=task.task_id, cause=event)]
    else:
        groups.fail(draft, event, task.task_id, stored["reason"], stored["message"])
        draft.end_delivery(event.event_id, task.task_id)
    record_attempt(draft, event, result, Result.FAILED, before=before, raised=raised, error=stored)
    settle_unhandled_now(draft, raised)
