"""Results that arrive after the call: a delivery whose task answered `pending` is completed, failed or
extended.

The result is applied as if the task had just been called and had answered at once: it was computed from no
context, so it conflicts with nothing. As with every late result, it counts while the delivery has no final
outcome; but the delivery must have a row.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from waystation_domain import failures, replies
from waystation_domain.actions import require_open
from waystation_domain.commit import EventFacts
from waystation_domain.completion_tokens import Attempt
from waystation_domain.draft import Draft
from waystation_domain.endings import end_event
from waystation_domain.idle import Ending
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.outcomes import AttemptError, CallResult, Reply, Verdict
from waystation_domain.task_spec import TaskSpec

PENDING_TIMED_OUT = AttemptError(
    code="DEADLINE_EXCEEDED",
    reason="PENDING_TIMED_OUT",
    message="The task answered `pending`, and its result did not come in time.",
)


class AttemptState(Enum):
    """Whether the delivery of an attempt is pending."""

    PENDING = "pending"
    IN_CALL = "in call"
    """Its task has not answered yet, or the answer is not committed."""
    OVER = "over"
    """The delivery has its final outcome, or this attempt was cut."""


def attempt_state(
    facts: EventFacts, attempt: Attempt, *, fenced: bool
) -> tuple[AttemptState, Delivery | None]:
    """The state of an attempt, and the delivery's row. With `fenced` an attempt is over when the next one has
    begun; without it the late result of an earlier attempt counts too."""
    row = facts.deliveries.get(attempt.task_id)
    if row is None:
        return (AttemptState.IN_CALL if facts.in_outbox else AttemptState.OVER), None
    if row.edit != attempt.edit or (fenced and row.attempts >= attempt.attempt):
        return AttemptState.OVER, row
    if row.state is DeliveryState.PENDING:
        return AttemptState.PENDING, row
    if row.state is DeliveryState.LEASED:
        return AttemptState.IN_CALL, row
    return AttemptState.OVER, row


def complete(
    draft: Draft, event: Event, task: TaskSpec, row: Delivery, outcome: Reply | AttemptError
) -> bool:
    """Completes a pending delivery, or fails its attempt; False while another delivery has the instance's
    turn. Raises WorkflowEnded, and the error of a broken rule; the delivery then stays pending."""
    if draft.treatment(event) is not Treatment.DELIVER:
        require_open(draft.instance)
    if row.outside_group:
        event = replace(event, branch=None)
    result = CallResult(
        task=task,
        attempt=row.attempts + 1,
        base_version=draft.instance.version,
        outcome=outcome,
        edit=row.edit,
    )
    if isinstance(outcome, AttemptError):
        failures.count(draft, event, result, row, outcome, router_id="")
    else:
        if replies.obstacle(draft, event, result, outcome) is Verdict.WAIT:
            return False
        replies.succeed(draft, event, result, outcome)
    end_event(draft, event, Ending.HANDLED, (task.task_id,))
    return True


def extend(draft: Draft, row: Delivery, seconds: float) -> None:
    """Gives a pending delivery more time, from now."""
    draft.put_delivery(replace(row, due_in=seconds))
