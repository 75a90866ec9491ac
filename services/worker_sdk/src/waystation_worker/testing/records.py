"""What the memory of a workflow is made of, and the names that belong to the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.answers import Failed, Raised
from waystation_worker.testing.calling import Branch, SentEvent
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
DEAD_LETTER_DISCARDED = "workflow.dead_letter.discarded"
NOTICES = frozenset({*EVENT_OF_STATUS.values(), DEAD_LETTER_DISCARDED})
"""What tells what became of a workflow. That no task handles one is usual."""
ENDS = {"workflow.completed": "COMPLETED", "workflow.failed": "FAILED"}
INPUT_TIMED_OUT = "user.input.timed_out"
STATUS = Change("set", "status")
"""The status as a place: it has no leading slash, so nothing in the data touches it."""


@dataclass
class Delivery:
    """One event offered to one task. `state`: OPEN, PENDING (its result follows, at the latest when
    it is `due`), DEAD (a dead letter that failed the workflow) or DONE. `attempts` are those that
    were counted."""

    event: SentEvent
    service: HandlerService
    task: HostedTask
    due: datetime
    state: Literal["OPEN", "PENDING", "DEAD", "DONE"] = "OPEN"
    attempts: int = 0
    edit: int = 0
    payload: dict[str, Json] | None = None
    doubled: int = 0
    """The attempt whose duplicate was called."""
    outside_group: bool = False
    """A retry of what had its final outcome: the event's group does not wait for it."""

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
    left_group: bool = False
    """Its group no longer waits for it."""
    expired: bool = False
    """Its time is over; what was tried goes on."""

    @property
    def time(self) -> datetime:
        """When it is to be delivered."""
        return self.event.deliver_at or self.event.created_at


@dataclass
class Group:
    """A fan-out group that has not fired."""

    group_id: str
    then: Raised
    """What is raised when it is settled, its priority and metadata as inherited."""
    need: int
    size: int
    cause: SentEvent
    task_id: str
    outer: Branch | None
    """The branch that waits for this group."""
    deadline: datetime | None
    open: dict[int, int] = field(default_factory=dict)
    """How much is open in each branch that is not settled: events, questions and inner groups."""
    well: int = 0
    """Branches that settled without a failure."""
    failed: list[dict[str, Json]] = field(default_factory=list)
    """What failed, the first of each branch, as `then` will tell it."""


@dataclass(frozen=True)
class Entry:
    """An entry of history. `processed_by`: a task_id, `client` or `system`; `result`: SUCCESS,
    FAILED, SKIPPED, UNHANDLED. `action` is what client or system did: as in
    `waystation_worker.HistoryEntry`."""

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
    answered_by: str = ""
    opened: tuple[str, ...] = ()
    """The ids of the questions that it asked."""


@dataclass(frozen=True)
class PendingTask:
    """A task that answered that its result follows, at the latest `until` then."""

    task_id: str
    event_type: str
    idempotency_key: str
    completion_token: str
    attempt: int
    until: datetime


@dataclass
class DeadLetter:
    """A delivery that was given up. `state`: OPEN, RETRIED, DISCARDED."""

    dead_letter_id: str
    event_type: str
    task_id: str
    attempts: int
    failure: Failed
    fails_workflow: bool
    payload: dict[str, Json]
    state: str = "OPEN"
    delivery: Delivery = field(repr=False, compare=False, kw_only=True)
