"""A commit in the making: one instance's working copy, and the moves that every decision is made of.

`results` (what tasks answered) and `actions` (what clients and operators asked for) decide; both
write through this, so there is one place where versions rise, events are raised and settled,
statuses move and idleness is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from waystation_core.domain import lifecycle
from waystation_core.domain.commit import (
    SETTLED,
    EventFacts,
    HistoryEntry,
    InstanceCommit,
    LoggedWrites,
)
from waystation_core.domain.conflicts import STATUS_WRITE, Write
from waystation_core.domain.errors import TooManyEvents
from waystation_core.domain.ids import new_id
from waystation_core.domain.model import (
    SYSTEM,
    Delivery,
    Event,
    Idle,
    Instance,
    JsonObject,
    NewEvent,
    Result,
    Status,
    TaskSpec,
    unshared,
)
from waystation_core.domain.operations import Operation, write_of

MAX_EVENTS_PER_INSTANCE = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision needs beside the instance."""

    resolve: Callable[[str, str], Sequence[TaskSpec]] | None = None
    """The tasks that handle (event type, workflow type) now. None: not known here, so every raised
    event is announced."""
    max_events: int = MAX_EVENTS_PER_INSTANCE
    make_id: Callable[[], str] = new_id


class Draft:
    """The working copy. Take `commit()` when all moves are made."""

    def __init__(
        self,
        instance: Instance,
        *,
        facts: Mapping[str, EventFacts],
        rules: Rules,
        now: datetime,
        log: Sequence[LoggedWrites] = (),
    ) -> None:
        self.before = instance
        self._instance = instance
        self._shared = True
        self.now = now
        self.rules = rules
        self._facts = dict(facts)
        self._stored = {
            (event_id, task_id) for event_id, known in facts.items() for task_id in known.deliveries
        }
        self._log = list(log)
        self._touched = False
        self._last_settled: tuple[Event, str] | None = None
        self._commit = InstanceCommit(before=instance, after=instance)

    # --- what is known ---------------------------------------------------------------------

    def facts(self, event_id: str) -> EventFacts:
        """Where an event stands now, with the moves made so far."""
        return self._facts.get(event_id, SETTLED)

    def writes_since(self, version: int) -> list[Write]:
        """What was written after this version, here included."""
        return [
            write for logged in self._log if logged.version > version for write in logged.writes
        ]

    # --- the instance ----------------------------------------------------------------------

    def touch(self, **changes: object) -> None:
        """Changes fields of the instance."""
        self._touched = True
        if self._shared:
            self._instance = unshared(self._instance)
            self._shared = False
        for name, value in changes.items():
            # The working copy is nobody else's. dataclasses.replace would cost ten times as much,
            # several times for each result.
            object.__setattr__(self._instance, name, value)

    @property
    def instance(self) -> Instance:
        """The instance as moved so far. Changes with the next move; `as_it_is` does not."""
        return self._instance

    def as_it_is(self) -> Instance:
        """The instance as moved so far, which later moves leave alone."""
        self._shared = True
        return self._instance

    def record(self, entry: HistoryEntry, writes: Sequence[Write] = ()) -> None:
        """Adds an entry of history, which makes the next version. Its sequence must be `next_version`."""
        assert entry.sequence == self.instance.version + 1
        self.touch(version=entry.sequence)
        self._commit.entries.append(entry)
        if writes:
            self._log.append(LoggedWrites(entry.sequence, tuple(writes)))

    @property
    def next_version(self) -> int:
        return self.instance.version + 1

    def move_to(self, status: Status) -> None:
        """Sets the status; asks the table first."""
        if not lifecycle.may_move(self.instance.status, status):
            raise AssertionError(f"no move {self.instance.status.name} -> {status.name}")
        ends = not status.is_open
        self.touch(
            status=status,
            completed_at=self.now if ends else None,
            waits=() if ends else self.instance.waits,
            failure=self.instance.failure if ends else None,
        )

    # --- events ----------------------------------------------------------------------------

    def raise_event(
        self,
        new: NewEvent,
        *,
        raised_by: str,
        cause: Event | None,
        after_end: bool = False,
        version: int | None = None,
    ) -> Event:
        """Raises an event; raises TooManyEvents at the instance's limit.

        Correlation, metadata and priority come from the cause where the new event names none.
        """
        count = self.instance.event_count + 1
        if count > self.rules.max_events:
            raise TooManyEvents(
                f"The instance has reached its limit of {self.rules.max_events} events; "
                "start another workflow for what follows, or raise the limit.",
                limit=str(self.rules.max_events),
            )
        metadata = new.metadata
        if cause is not None and cause.metadata:
            metadata = {**cause.metadata, **new.metadata} if new.metadata else cause.metadata
        event = Event(
            event_id=self.rules.make_id(),
            event_type=new.event_type,
            payload=new.payload,
            raised_by=raised_by,
            version=self.next_version if version is None else version,
            causation_id=cause.event_id if cause is not None else None,
            priority=new.priority
            if new.priority is not None
            else (cause.priority if cause is not None else None),
            correlation_id=self.instance.correlation_id,
            schema_version=new.schema_version,
            metadata=metadata or None,
            after_end=after_end or (cause is not None and cause.after_end),
        )
        self.touch(event_count=count, unsettled=self.instance.unsettled + 1)
        self._commit.raised.append(event)
        self._commit.outbox_add.append(event)
        self._facts[event.event_id] = EventFacts(in_outbox=True)
        return event

    def raise_status_event(
        self, status: Status, payload: JsonObject, *, raised_by: str, cause: Event | None
    ) -> Event:
        """Raises the event of a status just entered. It passes the limit of events: an instance at
        its limit must still be able to end."""
        keep = self.rules
        self.rules = replace(keep, max_events=self.instance.event_count + 1)
        try:
            return self.raise_event(
                NewEvent(lifecycle.EVENT_OF_STATUS[status], payload),
                raised_by=raised_by,
                cause=cause,
                after_end=not status.is_open,
            )
        finally:
            self.rules = keep

    def settle_unhandled_now(self, raised: Sequence[Event]) -> None:
        """Settles status events that no task handles in the commit that raised them, which spares
        the system a message for every workflow that ends. Call after the entry is recorded."""
        if self.rules.resolve is None:
            return
        for event in raised:
            if event.event_type not in lifecycle.EVENT_OF_STATUS.values():
                continue
            if not self.rules.resolve(event.event_type, self.instance.workflow_type):
                self._commit.fixes_tasks = True
                self._commit.outbox_add.remove(event)
                self._facts[event.event_id] = EventFacts(in_outbox=False)
                self.record_unhandled(event)
                self._settle(event, "no task handles it")

    def record_unhandled(self, event: Event) -> None:
        self.record(
            HistoryEntry(
                sequence=self.next_version,
                event_id=event.event_id,
                event_type=event.event_type,
                processed_by=SYSTEM,
                result=Result.UNHANDLED,
                status=self.instance.status,
                base_version=self.instance.version,
            )
        )

    # --- deliveries and settling -----------------------------------------------------------

    def fix_tasks(self, event: Event) -> None:
        """Takes the event off the outbox: from here on its deliveries have rows or outcomes."""
        assert self.facts(event.event_id).in_outbox
        self._commit.fixes_tasks = True
        self.leave_outbox(event)

    def leave_outbox(self, event: Event) -> None:
        self._touched = True
        facts = self.facts(event.event_id)
        self._commit.outbox_remove.append(event.event_id)
        self._facts[event.event_id] = EventFacts(False, facts.deliveries, facts.announcements)

    def put_delivery(self, delivery: Delivery) -> None:
        """Writes an open delivery's row."""
        self._touched = True
        place = (delivery.event_id, delivery.task_id)
        facts = self.facts(delivery.event_id)
        self._commit.deliveries_put[place] = delivery
        self._commit.deliveries_remove.discard(place)
        self._facts[delivery.event_id] = EventFacts(
            facts.in_outbox, {**facts.deliveries, delivery.task_id: delivery}
        )

    def end_delivery(self, event_id: str, task_id: str) -> None:
        """Takes a delivery's row away, where it has one: its outcome is final."""
        self._touched = True
        place = (event_id, task_id)
        facts = self.facts(event_id)
        if task_id in facts.deliveries:
            self._commit.deliveries_put.pop(place, None)
            if place in self._stored:
                self._commit.deliveries_remove.add(place)
            rest = {task: row for task, row in facts.deliveries.items() if task != task_id}
            self._facts[event_id] = EventFacts(facts.in_outbox, rest)

    def settle_if_done(self, event: Event, how: str) -> None:
        """Settles the event when nothing of it is open any more."""
        facts = self.facts(event.event_id)
        if not facts.in_outbox and not facts.deliveries:
            self._settle(event, how)

    def _settle(self, event: Event, how: str) -> None:
        self._last_settled = (event, how)
        self.touch(unsettled=self.instance.unsettled - 1)

    # --- the end ---------------------------------------------------------------------------

    @property
    def raising(self) -> InstanceCommit:
        """The commit so far, for adding what has no rule of its own (dead letters)."""
        return self._commit

    def commit(self) -> InstanceCommit:
        """Everything to write; empty when no move was made."""
        if self._touched:
            self._notice_idle()
            self.touch(revision=self.before.revision + 1)
        self._commit.after = self.as_it_is()
        return self._commit

    def _notice_idle(self) -> None:
        instance = self.instance
        stands_still = (
            instance.status is Status.ACTIVE
            and instance.unsettled == 0
            and not instance.waits
            and instance.dead_letters == 0
        )
        if not stands_still:
            if instance.idle is not None:
                self.touch(idle=None, idle_since=None)
        elif self._last_settled is not None:
            event, how = self._last_settled
            self.touch(
                idle=Idle(
                    event_id=event.event_id,
                    event_type=event.event_type,
                    raised_by=event.raised_by,
                    message=f"`{event.event_type}` was raised by {event.raised_by}; {how}",
                ),
                idle_since=self.now,
            )


def skip_delivery(draft: Draft, row: Delivery, event: Event, why: str) -> None:
    """Ends an open delivery as SKIPPED."""
    draft.end_delivery(event.event_id, row.task_id)
    draft.record(
        HistoryEntry(
            sequence=draft.next_version,
            event_id=event.event_id,
            event_type=event.event_type,
            processed_by=row.task_id,
            result=Result.SKIPPED,
            status=draft.instance.status,
            attempt=max(row.attempts, 1),
            base_version=draft.instance.version,
            note=why,
        )
    )
    draft.settle_if_done(event, "it was skipped")


def effects(before: Instance, after: Instance) -> JsonObject | None:
    """What changed of an instance beside its data, as values after the change; None for nothing."""
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
