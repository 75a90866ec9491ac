"""The one table of status, and which event types belong to the system.

ACTIVE <-> WAITING_FOR_INPUT
ACTIVE, WAITING_FOR_INPUT -> COMPLETED, FAILED, CANCELLED
FAILED -> ACTIVE            by the first retry of one of its dead letters
"""

from __future__ import annotations

from enum import Enum

from waystation_domain import reserved
from waystation_domain.errors import ReservedEventType, ResponseInvalid
from waystation_domain.model import Event, Instance, Status

STARTED = "workflow.started"
WAITING = "workflow.waiting_for_input"
COMPLETED = "workflow.completed"
FAILED = "workflow.failed"
CANCELLED = "workflow.cancelled"
DEAD_LETTER_DISCARDED = "workflow.dead_letter.discarded"
INPUT_PROVIDED = "user.input.provided"
INPUT_TIMED_OUT = "user.input.timed_out"

EVENT_OF_STATUS = {
    Status.WAITING_FOR_INPUT: WAITING,
    Status.COMPLETED: COMPLETED,
    Status.FAILED: FAILED,
    Status.CANCELLED: CANCELLED,
}
"""Entering a status raises its event."""

NOTICES = frozenset({*EVENT_OF_STATUS.values(), DEAD_LETTER_DISCARDED})
"""Events of a status. It is normal that no task handles one."""

STATUS_OF_EVENT = {COMPLETED: Status.COMPLETED, FAILED: Status.FAILED}
"""A task that raises one of these sets that status."""

_MOVES = {
    Status.ACTIVE: {
        Status.WAITING_FOR_INPUT,
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
    },
    Status.WAITING_FOR_INPUT: {
        Status.ACTIVE,
        Status.WAITING_FOR_INPUT,
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
    },
    Status.COMPLETED: set(),
    Status.FAILED: {Status.ACTIVE},
    Status.CANCELLED: set(),
}


def may_move(before: Status, after: Status) -> bool:
    """Whether the table allows the change."""
    return after in _MOVES[before]


def is_reserved(event_type: str) -> bool:
    """Whether only the system raises this type (tasks may raise those of STATUS_OF_EVENT)."""
    return event_type.startswith(reserved.EVENTS)


def check_task_event(event_type: str) -> None:
    """Raises ResponseInvalid unless a task may raise this type."""
    if is_reserved(event_type) and event_type not in STATUS_OF_EVENT:
        raise ResponseInvalid(
            _RESERVED.format(event_type), problem="reserved event type", event_type=event_type
        )


def check_client_event(event_type: str) -> None:
    """Raises ReservedEventType unless a client may publish this type."""
    if is_reserved(event_type):
        raise ReservedEventType(_RESERVED.format(event_type), event_type=event_type)


_RESERVED = "Event type {} is reserved for the system; choose another name."


class Treatment(Enum):
    """How an event is treated, by the status of its instance."""

    DELIVER = "deliver"
    SKIP = "skip"
    HOLD = "hold"


def treatment(instance: Instance, event: Event) -> Treatment:
    """How an event's deliveries are treated now. Events that the end of the instance raised are delivered.
    Other events are skipped if the instance cannot continue, and held if it is FAILED and may continue."""
    if instance.status.is_open or event.after_end:
        return Treatment.DELIVER
    return Treatment.SKIP if is_over(instance) else Treatment.HOLD


def is_over(instance: Instance) -> bool:
    """Whether the instance has ended and no retry of a dead letter can continue it."""
    if instance.status is Status.FAILED:
        return instance.dead_letters == 0
    return not instance.status.is_open


def ends_a_wait(status: int, *, idle: bool) -> bool:
    """Whether `WaitWorkflow` answers now: the instance has ended, waits for input, or is idle."""
    return status != Status.ACTIVE or idle
