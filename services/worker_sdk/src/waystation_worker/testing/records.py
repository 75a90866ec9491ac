"""What the memory of a workflow is made of, and the names that belong to the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.answers import Failed
from waystation_worker.testing.calling import SentEvent
from waystation_worker.testing.changes import Change
from waystation_worker.values import Json

STARTED = "workflow.started"
INPUT = "user.input.provided"
EVENT_OF_STATUS = {
    "WAITING_FOR_INPUT": "workflow.waiting_for_input",
    "COMPLETED": "workflow.completed",
    "FAILED": "workflow.failed",
    "CANCELLED": "workflow.cancelled",
}
ENDS = {"workflow.completed": "COMPLETED", "workflow.failed": "FAILED"}
RESERVED = (INPUT, "user.input.timed_out")
STATUS = Change("set", "status")
"""The status as a place: it has no leading slash, so nothing in the data touches it."""


@dataclass
class Delivery:
    """One event offered to one task. `state`: OPEN, DEAD (a dead letter that failed the workflow)
    or DONE. `attempts` are those that were counted."""

    event: SentEvent
    service: HandlerService
    task: HostedTask
    due: datetime
    state: Literal["OPEN", "DEAD", "DONE"] = "OPEN"
    attempts: int = 0
    edit: int = 0
    payload: dict[str, Json] | None = None
    doubled: int = 0
    """The attempt whose duplicate was called."""

    @property
    def key(self) -> str:
        """The idempotency key."""
        key = f"{self.event.event_id}:{self.task.task_id}"
        return f"{key}:edit-{self.edit}" if self.edit else key


@dataclass
class Emitted:
    """An event with its deliveries. `state`: PENDING, SETTLED, UNHANDLED, SKIPPED."""

    event: SentEvent
    deliveries: list[Delivery]
    state: str = "PENDING"
    touched: bool = False
    """Something of it was committed, so its tasks are fixed."""


@dataclass(frozen=True)
class Entry:
    """An entry of history. `processed_by`: a task_id, `client` or `system`; `result`: SUCCESS,
    FAILED, SKIPPED, UNHANDLED."""

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


@dataclass
class DeadLetter:
    """A delivery that was given up. `state`: OPEN, RETRIED, DISCARDED."""

    event_type: str
    task_id: str
    attempts: int
    failure: Failed
    fails_workflow: bool
    payload: dict[str, Json]
    state: str = "OPEN"
    delivery: Delivery = field(repr=False, compare=False, kw_only=True)
