"""The numbers of states, kinds and results in SQL: made from the enums, and written nowhere else.

So an enum that gets another member changes the statements with it. Partial indexes were made with the
numbers of their day: `tables` names them from here, and a test holds it equal to what migrations made.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from waystation_domain.dead_letters import can_be_retried
from waystation_domain.model import DeadLetterState, DeliveryState, Result, Status, TimerKind
from waystation_domain.retirement import STAYS


class EndpointKind(IntEnum):
    """How the registration of an endpoint ends. Only the store needs it."""

    LEASED = 1
    STATIC = 2


def one_of(column: str, members: Iterable[IntEnum]) -> str:
    """A condition: the column has the number of one of these. Written with OR, like the conditions of partial
    indexes."""
    return "(" + " OR ".join(f"{column} = {int(member)}" for member in members) + ")"


ACTIVE = int(Status.ACTIVE)
COMPLETED = int(Status.COMPLETED)
OPEN = tuple(status for status in Status if status.is_open)
"""Statuses of instances that have not ended."""

FAILED = int(Result.FAILED)
UNHANDLED = int(Result.UNHANDLED)
FINAL = (Result.SUCCESS, Result.SKIPPED)
"""Results that a delivery has at most once."""

READY = int(DeliveryState.READY)
LEASED = int(DeliveryState.LEASED)
HELD = int(DeliveryState.HELD)
DEAD = int(DeliveryState.DEAD)
PENDING = int(DeliveryState.PENDING)
PARKED = (DeliveryState.NO_ENDPOINT, DeliveryState.AT_CAPACITY)
"""Deliveries that wait for an endpoint or for a place."""
CALLABLE = tuple(state for state in DeliveryState if state not in STAYS)
"""Deliveries that are open and not in call, held or dead."""
FOR_AN_OPERATOR = tuple(state for state in DeliveryState if state.waits_for_operator)

OPEN_LETTER = int(DeadLetterState.OPEN)
RETRYABLE = "(l.state = {} AND ({} OR e.after_end))".format(
    OPEN_LETTER,
    one_of("i.status", [each for each in Status if can_be_retried(each, after_end=False)]),
)
"""A condition on a dead letter `l`, its event `e` and its instance `i`."""

EVENT_TIMER = int(TimerKind.EVENT)
DEADLINE_TIMER = int(TimerKind.DEADLINE)
