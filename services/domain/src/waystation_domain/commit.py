"""What one transaction writes for one instance: decided by the domain, written by the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from waystation_domain.conflicts import STATUS_WRITE, Write
from waystation_domain.details import Detail
from waystation_domain.model import (
    Delivery,
    Event,
    Instance,
    Json,
    JsonObject,
    OnFailure,
    Result,
    Status,
    Timer,
    TimerKind,
)
from waystation_domain.operations import Operation, write_of


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry of history. `sequence` is the version that it makes."""

    sequence: int
    event_id: str | None
    event_type: str
    processed_by: str
    result: Result
    status: Status
    attempt: int = 0
    base_version: int = 0
    will_retry: bool = False
    retry_in: float | None = None
    """Seconds from the commit to the next attempt."""
    duration_us: int | None = None
    error: JsonObject | None = None
    change: list[Json] | None = None
    """Operations in their stored form."""
    raised: tuple[str, ...] = ()
    service_name: str | None = None
    service_version: str | None = None
    endpoint: str | None = None
    action: str | None = None
    """The name of an `Action`, or a name that only a later release knows."""
    detail: Detail | None = None
    effects: JsonObject | None = None
    """What else it changed of the instance: status, waits, output, failure. Used to fold history."""
    principal: str | None = None
    """Who made the call behind it; None for entries of tasks and of the system."""


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    """A delivery that failed permanently."""

    dead_letter_id: str
    event_id: str
    event_type: str
    task_id: str
    attempts: int
    error: JsonObject
    on_failure: OnFailure
    edit: int = 0
    payload: JsonObject | None = None

    @classmethod
    def of(
        cls,
        dead_letter_id: str,
        row: Delivery,
        event: Event,
        error: JsonObject,
        on_failure: OnFailure,
    ) -> NewDeadLetter:
        """The dead letter of a delivery, with its attempts and the payload that an operator edited."""
        return cls(
            dead_letter_id=dead_letter_id,
            event_id=event.event_id,
            event_type=event.event_type,
            task_id=row.task_id,
            attempts=row.attempts,
            error=error,
            on_failure=on_failure,
            edit=row.edit,
            payload=row.payload,
        )


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What is open of one event. It is settled if it has no timer, no outbox row and no open delivery."""

    in_outbox: bool
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    """Open rows by task_id."""
    announcements: int = 0
    """How often the event was announced, if known."""
    timed: bool = False
    """A delayed event whose time has not come. Read only where timers matter."""

    @property
    def is_open(self) -> bool:
        """Whether the event is not settled."""
        return self.in_outbox or bool(self.deliveries) or self.timed

    @property
    def holds_group(self) -> bool:
        """Whether the event's group, if it has one, waits for it."""
        return (
            self.in_outbox
            or self.timed
            or any(not delivery.outside_group for delivery in self.deliveries.values())
        )


SETTLED = EventFacts(in_outbox=False)


@dataclass(frozen=True, slots=True)
class LoggedWrites:
    """What the commit of one version wrote; the conflict rule compares results with it."""

    version: int
    writes: tuple[Write, ...]


@dataclass(slots=True)
class InstanceCommit:
    """Everything that changes of one instance, in one transaction."""

    before: Instance
    after: Instance
    entries: list[HistoryEntry] = field(default_factory=list)
    raised: list[Event] = field(default_factory=list)
    outbox_add: list[Event] = field(default_factory=list)
    """Those of `raised` that have to be announced."""
    outbox_remove: list[str] = field(default_factory=list)
    deliveries_put: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    deliveries_remove: set[tuple[str, str]] = field(default_factory=set)
    dead_letters: list[NewDeadLetter] = field(default_factory=list)
    dead_letters_retried: list[str] = field(default_factory=list)
    dead_letters_discarded: list[str] = field(default_factory=list)
    timers_put: dict[tuple[TimerKind, str], Timer] = field(default_factory=dict)
    timers_remove: set[tuple[TimerKind, str]] = field(default_factory=set)
    fixes_tasks: bool = False
    """Whether the commit depends on which tasks are registered, and so on the registry's generation."""
    written_at: datetime | None = None

    def written(self, at: datetime) -> None:
        """It was written at this time of the store: what it raised, and the instance after it, get the times
        that the store gave them. Until then they have those of the decision, or none."""
        if self.is_empty:
            return
        self.written_at = at
        before, after = self.before, self.after
        for event in self.raised:
            object.__setattr__(event, "created_at", at)
        # Nobody else has it yet. A copy of each would cost as much as the decision.
        object.__setattr__(after, "updated_at", at)
        if after.completed_at is not None and before.completed_at is None:
            object.__setattr__(after, "completed_at", at)
        if after.idle_since is not None and before.idle_since is None:
            object.__setattr__(after, "idle_since", at)

    @property
    def is_empty(self) -> bool:
        return self.after is self.before

    @property
    def moved_events(self) -> set[str]:
        """Ids of events raised earlier whose outbox row or deliveries it changes."""
        places = (*self.deliveries_put, *self.deliveries_remove)
        return {*self.outbox_remove, *(event_id for event_id, _ in places)}


def effects(before: Instance, after: Instance) -> JsonObject | None:
    """What changed of an instance besides its data, as values after the change; None for nothing."""
    changed: JsonObject = {}
    if after.status is not before.status:
        changed["status"] = int(after.status)
    if after.waits != before.waits:
        changed["waits"] = [wait.to_json() for wait in after.waits]
    if after.failure != before.failure:
        changed["failure"] = after.failure.to_json() if after.failure is not None else None
    if after.output != before.output:
        changed["output"] = after.output
    return changed or None


def writes_of(operations: Sequence[Operation], effects: JsonObject | None) -> tuple[Write, ...]:
    """What an entry wrote, as the conflict rule sees it."""
    writes = tuple(write_of(operation) for operation in operations)
    return (*writes, STATUS_WRITE) if effects and "status" in effects else writes
