"""One workflow instance in memory: its state, and the moves that every decision is made of.

What clients ask for is decided in `asking`, what becomes of answers in `committing`, what becomes
due in `timers`; the rules are those of docs/states.md. Nothing here calls tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from waystation_worker.errors import WorkflowEnded
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing import groups, waits
from waystation_worker.testing.answers import Raised
from waystation_worker.testing.calling import Branch, SentEvent, number
from waystation_worker.testing.changes import Change, Fault
from waystation_worker.testing.records import (
    EVENT_OF_STATUS,
    NOTICES,
    DeadLetter,
    Delivery,
    Emitted,
    Entry,
    Group,
)
from waystation_worker.values import Json, copied
from waystation_worker.workflows import Failure, Wait

Hosted = tuple[HandlerService, HostedTask]
FindTasks = Callable[[str, str], Sequence[Hosted]]


class Instance:
    """The state of one instance and every move of it."""

    def __init__(
        self,
        workflow_instance_id: str,
        workflow_type: str,
        data: dict[str, Json],
        *,
        correlation_id: str | None,
        find_tasks: FindTasks,
        clock: Callable[[], datetime],
        max_events: int,
        deadline: datetime | None = None,
    ) -> None:
        self.id = workflow_instance_id
        self.type = workflow_type
        self.correlation_id = correlation_id
        self.status = "ACTIVE"
        self.data = data
        self.deadline = deadline
        self.deadline_passed = False
        self.waits: tuple[Wait, ...] = ()
        self.branch_of_wait: dict[str, Branch] = {}
        self.groups: list[Group] = []
        self.groups_opened = 0
        self.output: dict[str, Json] | None = None
        self.failure: Failure | None = None
        self.emitted: dict[str, Emitted] = {}
        self.history: list[Entry] = []
        self.dead_letters: list[DeadLetter] = []
        self.conflicts = 0
        self.is_over = False
        """It has ended, and no retry can make it go on."""
        self._last_ended = ""
        self._find_tasks = find_tasks
        self._max_events = max_events
        self.clock = clock
        # What each version changed, for the conflict rule.
        self.log: list[tuple[int, Sequence[Change]]] = []

    # --- what stands ---------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Raised by one with every entry of history."""
        return len(self.history)

    @property
    def is_open(self) -> bool:
        """Whether it is ACTIVE or WAITING_FOR_INPUT."""
        return self.status in ("ACTIVE", "WAITING_FOR_INPUT")

    @property
    def idle(self) -> str | None:
        """Why nothing will move it; None while something may. A deadline only ends it."""
        if self.status != "ACTIVE" or self.open_letters() or self.pending():
            return None
        return self._last_ended or None

    def pending(self) -> list[Emitted]:
        """Events that are not settled."""
        return [emitted for emitted in self.emitted.values() if emitted.state == "PENDING"]

    def deliveries(self) -> Iterator[Delivery]:
        """Every delivery, oldest event first."""
        for emitted in self.emitted.values():
            yield from emitted.deliveries

    def treatment(self, event: SentEvent) -> Literal["DELIVER", "HOLD", "SKIP"]:
        """What becomes of an event's deliveries now."""
        if self.is_open or event.after_end:
            return "DELIVER"
        return "HOLD" if self.status == "FAILED" and self.open_letters() else "SKIP"

    def open_letters(self) -> list[DeadLetter]:
        """Dead letters that nobody has retried or discarded."""
        return [letter for letter in self.dead_letters if letter.state == "OPEN"]

    def require_open(self) -> None:
        """Raises WorkflowEnded unless it is open."""
        if not self.is_open:
            raise WorkflowEnded(f"{self.id} is {self.status}", code="FAILED_PRECONDITION")

    # --- moves -----------------------------------------------------------------------------------

    def enter(self, status: str) -> None:
        """Sets the status. A FAILED instance may go on, and asks its questions again then."""
        self.status = status
        if status in ("COMPLETED", "CANCELLED"):
            self.waits = ()

    def emit(
        self,
        raised: Raised,
        by: str,
        cause: SentEvent | None,
        *,
        causation_id: str = "",
        branch: Branch | None = None,
        after_end: bool = False,
    ) -> SentEvent:
        """Raises an event, in a branch where that is given and waited for; its tasks are fixed here."""
        inherited = cause.priority if cause is not None else None
        now = self.clock()
        event = SentEvent(
            event_id=number(len(self.emitted) + 1),
            event_type=raised.event_type,
            payload=copied(raised.payload),
            raised_by=by,
            causation_id=cause.event_id if cause is not None else causation_id,
            priority=raised.priority if raised.priority is not None else inherited,
            correlation_id=self.correlation_id,
            metadata={**(cause.metadata if cause is not None else {}), **raised.metadata},
            schema_version=raised.schema_version,
            created_at=now,
            deliver_at=raised.deliver_at
            if raised.delay is None
            else now + timedelta(seconds=raised.delay),
            expires_at=raised.expires_at,
            branch=branch if branch is not None and groups.enter(self, branch) else None,
            after_end=after_end or (cause is not None and cause.after_end),
        )
        deliveries = [
            Delivery(event, service, task, event.deliver_at or now)
            for service, task in self._find_tasks(event.event_type, self.type)
        ]
        self.emitted[event.event_id] = Emitted(event, deliveries)
        return event

    def emit_status(self, by: str, cause: SentEvent | None) -> SentEvent:
        """Raises the event of the status just entered."""
        payload: dict[str, Json] = self.output or {}
        if self.failure is not None:
            failure = self.failure
            payload = {
                "reason": failure.reason,
                "message": failure.message,
                "task_id": failure.task_id,
                "event_id": failure.event_id,
            }
            if failure.details is not None:
                payload["details"] = failure.details
            if self.status == "FAILED":
                payload["open_dead_letters"] = len(self.open_letters())
        elif self.status == "WAITING_FOR_INPUT":
            payload = {"waits": [waits.told(wait) for wait in self.waits]}
        return self.emit(
            Raised(EVENT_OF_STATUS[self.status], payload), by, cause, after_end=not self.is_open
        )

    def record(
        self,
        event: SentEvent,
        by: str,
        result: str,
        changes: Sequence[Change] = (),
        raised: Sequence[SentEvent] = (),
        **more: object,
    ) -> None:
        """Adds an entry of history, which makes the next version."""
        entry = Entry(
            sequence=self.version + 1,
            event_id=event.event_id,
            event_type=event.event_type,
            processed_by=by,
            result=result,
            status=self.status,
            at=self.clock(),
            raised=tuple(one.event_id for one in raised),
        )
        self.history.append(replace(entry, **more))  # type: ignore[arg-type]
        if changes:
            self.log.append((self.version, changes))
        if by not in ("client", "system"):
            self.emitted_of(event).touched = True

    def conclude(self, raised: Sequence[SentEvent]) -> None:
        """Follows the record of what may have ended it. Notices that no task handles settle
        at once; where it is over, no group is waited for."""
        if not self.is_open and not (self.status == "FAILED" and self.open_letters()):
            self.is_over = True
            self.groups.clear()
        for one in raised:
            emitted = self.emitted_of(one)
            if one.event_type in NOTICES and not emitted.deliveries:
                emitted.state = "UNHANDLED"
                self.record(one, "system", "UNHANDLED")

    def ended(self, event: SentEvent, how: str) -> None:
        """Settles the event, unless something of it is open still; its group goes on without what
        is open for the group's sake no longer."""
        emitted = self.emitted_of(event)
        rest = [delivery for delivery in emitted.deliveries if delivery.state != "DONE"]
        if not rest:
            if emitted.state == "PENDING":
                emitted.state = "SETTLED"
            self.note_end(event, how)
        if event.branch is None or self.is_over or emitted.left_group:
            return
        if all(delivery.outside_group for delivery in rest):
            emitted.left_group = True
            groups.leave(self, event.branch)

    def note_end(self, event: SentEvent, how: str) -> None:
        """Should nothing else be open, this is why the instance stands idle."""
        self._last_ended = f"`{event.event_type}` was raised by {event.raised_by}; {how}"

    def emitted_of(self, event: SentEvent) -> Emitted:
        """The event with its deliveries."""
        return self.emitted[event.event_id]

    def check_room(self, more: int) -> None:
        """Raises Fault unless so many more events may be raised."""
        if len(self.emitted) + more > self._max_events:
            limit = f"{self.id} has reached its limit of {self._max_events} events"
            raise Fault("TOO_MANY_EVENTS", limit)

    def skip(self, delivery: Delivery, note: str, attempt: int = 1) -> None:
        """Ends an open delivery as SKIPPED."""
        delivery.state = "DONE"
        self.record(delivery.event, delivery.task.task_id, "SKIPPED", attempt=attempt, note=note)
        self.ended(delivery.event, "it was skipped")

    def skip_event(self, emitted: Emitted, note: str) -> None:
        """Gives up an event of which nothing was committed."""
        for delivery in emitted.deliveries:
            delivery.state = "DONE"
        emitted.state = "SKIPPED"
        self.record(emitted.event, "system", "SKIPPED", note=note)
        self.ended(emitted.event, "it was skipped")
