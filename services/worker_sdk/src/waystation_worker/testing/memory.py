"""A store for one workflow instance in a few dictionaries: it writes what the rules of `waystation_domain`
decide, like the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from waystation_domain import timers
from waystation_domain.actions import Start
from waystation_domain.commit import (
    EventFacts,
    HistoryEntry,
    InstanceCommit,
    LoggedWrites,
    NewDeadLetter,
    writes_of,
)
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.draft import Draft, Rules
from waystation_domain.lifecycle import Treatment, treatment
from waystation_domain.model import (
    DeadLetterState,
    Delivery,
    DeliveryState,
    Event,
    OnFailure,
    Timer,
    TimerKind,
)
from waystation_domain.operations import from_json
from waystation_domain.stored import StoredEntry, event_state
from waystation_worker.testing.answers import failed_of
from waystation_worker.testing.records import DeadLetter

HOLDER = "kit"
"""The router that has leased what is in call."""

Place = tuple[str, str]
"""A delivery: an event's id and a task's."""


@dataclass
class StoredDeadLetter:
    """A dead letter for the rules, and for tests."""

    dead_letter: OpenDeadLetter
    shown: DeadLetter


class Memory:
    """Everything that is stored of one instance."""

    def __init__(self, begun: Start, rules: Rules, clock: Callable[[], datetime]) -> None:
        self._rules = rules
        self.clock = clock
        now = clock()
        due = None if begun.deadline is None else now + timedelta(seconds=begun.deadline)
        self.instance = replace(begun.instance, key=1, created_at=now, updated_at=now, deadline=due)
        self.events: dict[str, Event] = {}
        # An ordered set: the order for a seed must be the same in every run.
        self.outbox: dict[str, None] = {begun.event.event_id: None}
        self.deliveries: dict[Place, Delivery] = {}
        self.due: dict[Place, datetime] = {}
        """When a delivery is called again, or a pending one times out."""
        self.timers: dict[tuple[TimerKind, str], datetime] = {}
        if due is not None:
            self.timers[TimerKind.DEADLINE, ""] = due
        self.dead_letters: list[StoredDeadLetter] = []
        self.history: list[StoredEntry] = []
        self._log: list[LoggedWrites] = []
        self._keep_event(begun.event)
        self._keep_entry(begun.entry)

    # --- where things stand ----------------------------------------------------------------------

    def treatment(self, event: Event) -> Treatment:
        """How an event's deliveries are treated now."""
        return treatment(self.instance, event)

    def rows_of(self, event_id: str) -> list[Delivery]:
        """An event's open deliveries that have rows."""
        return [row for row in self.deliveries.values() if row.event_id == event_id]

    def pending(self) -> list[Delivery]:
        """Pending deliveries."""
        return [row for row in self.deliveries.values() if row.state is DeliveryState.PENDING]

    def held(self) -> list[tuple[Delivery, Event]]:
        """Deliveries that continue when a dead letter is retried."""
        rows = (row for row in self.deliveries.values() if row.state is DeliveryState.HELD)
        return [(row, self.events[row.event_id]) for row in rows]

    def open_dead_letters(self) -> list[StoredDeadLetter]:
        """Dead letters that are neither retried nor discarded."""
        return [one for one in self.dead_letters if one.dead_letter.state is DeadLetterState.OPEN]

    def is_open(self, event_id: str) -> bool:
        """Whether an event is not settled."""
        facts = self._facts().get(event_id)
        return facts is not None and facts.is_open

    def state_of(self, event: Event) -> str:
        """PENDING, SETTLED, UNHANDLED or SKIPPED."""
        entries = (one.entry for one in self.history if one.entry.event_id == event.event_id)
        # Actions of client and system do not settle the event that they raised.
        results = [entry.result for entry in entries if entry.action is None]
        return event_state(self.is_open(event.event_id), results)

    def _facts(self) -> Mapping[str, EventFacts]:
        """The facts of every event that is not settled."""
        rows: dict[str, dict[str, Delivery]] = {}
        for row in self.deliveries.values():
            rows.setdefault(row.event_id, {})[row.task_id] = row
        timed = {ref for kind, ref in self.timers if kind is TimerKind.EVENT}
        return {
            event_id: EventFacts(
                event_id in self.outbox, rows.get(event_id, {}), timed=event_id in timed
            )
            for event_id in {*self.outbox, *rows, *timed}
        }

    # --- leases ----------------------------------------------------------------------------------

    def lease(self, place: Place) -> None:
        """Marks a delivery that has a row as being in call."""
        if place in self.deliveries:
            row = replace(self.deliveries[place], state=DeliveryState.LEASED, leased_by=HOLDER)
            self.deliveries[place] = row

    def give_back(self) -> None:
        """No call is in flight any more: deliveries without an outcome are called again."""
        for place, row in self.deliveries.items():
            if row.state is DeliveryState.LEASED:
                self.deliveries[place] = replace(row, state=DeliveryState.READY, leased_by=None)

    # --- writing ---------------------------------------------------------------------------------

    @contextmanager
    def drafting(self) -> Iterator[Draft]:
        """A draft, written when the block ends; not if the block raises."""
        draft = Draft(
            self.instance, facts=self._facts(), rules=self._rules, now=self.clock(), log=self._log
        )
        yield draft
        self._write(draft.commit())

    def fire(self, kind: TimerKind, ref: str) -> None:
        """Fires a timer."""
        timed = [place[1] for place in self.timers if place[0] is TimerKind.EVENT]
        material = timers.FiringFacts(
            events=self.events,
            delayed=[self.events[event_id] for event_id in timed],
            open=[(row, self.events[row.event_id]) for row in self.deliveries.values()],
            others=list(self.timers),
        )
        with self.drafting() as draft:
            timers.fire(draft, Timer(kind, ref), material)

    def _write(self, commit: InstanceCommit) -> None:
        if commit.is_empty:
            return
        now = self.clock()
        for event in commit.raised:
            self._keep_event(event)
        for event_id in commit.outbox_remove:
            del self.outbox[event_id]
        self.outbox |= {event.event_id: None for event in commit.outbox_add}
        for place in commit.deliveries_remove:
            del self.deliveries[place], self.due[place]
        for place, row in commit.deliveries_put.items():
            self.deliveries[place] = row
            self.due[place] = now + timedelta(seconds=row.due_in)
        for timer_place in commit.timers_remove:
            self.timers.pop(timer_place, None)
        for timer_place, timer in commit.timers_put.items():
            self.timers[timer_place] = timer.due_at or now + timedelta(seconds=timer.due_in or 0.0)
        for new in commit.dead_letters:
            self._keep_dead_letter(new)
        self._resolve(commit.dead_letters_retried, DeadLetterState.RETRIED)
        self._resolve(commit.dead_letters_discarded, DeadLetterState.DISCARDED)
        for entry in commit.entries:
            self._keep_entry(entry)
        self.instance = replace(commit.after, updated_at=now)

    def _keep_event(self, event: Event) -> None:
        now = self.clock()
        deliver_at = event.deliver_at
        if event.deliver_in is not None:
            deliver_at = now + timedelta(seconds=event.deliver_in)
        self.events[event.event_id] = replace(
            event, created_at=now, deliver_at=deliver_at, deliver_in=None
        )

    def _keep_entry(self, entry: HistoryEntry) -> None:
        now = self.clock()
        again = now + timedelta(seconds=entry.retry_in or 0.0) if entry.will_retry else None
        self.history.append(StoredEntry(entry, now, again))
        operations = [from_json(stored) for stored in entry.change or ()]
        self._log.append(LoggedWrites(entry.sequence, writes_of(operations, entry.effects)))

    def _keep_dead_letter(self, new: NewDeadLetter) -> None:
        event = self.events[new.event_id]
        dead_letter = OpenDeadLetter(
            new.dead_letter_id,
            event,
            new.task_id,
            new.attempts,
            new.on_failure,
            new.edit,
            new.payload,
            new.error,
        )
        shown = DeadLetter(
            dead_letter_id=new.dead_letter_id,
            event_type=new.event_type,
            task_id=new.task_id,
            attempts=new.attempts,
            failure=failed_of(new.error),
            fails_workflow=new.on_failure is OnFailure.FAIL_WORKFLOW,
            payload=event.payload if new.payload is None else new.payload,
        )
        self.dead_letters.append(StoredDeadLetter(dead_letter, shown))

    def _resolve(self, dead_letter_ids: list[str], state: DeadLetterState) -> None:
        for one in self.dead_letters:
            if one.dead_letter.dead_letter_id in dead_letter_ids:
                one.dead_letter = replace(one.dead_letter, state=state)
                one.shown.state = state.name
