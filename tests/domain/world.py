"""A store for one instance in a few dictionaries: it writes what commits say and holds every commit
to what must be true of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson

from waystation_core.providers import PROVIDERS
from waystation_domain import actions, dead_letters, timers
from waystation_domain.commit import (
    SETTLED,
    EventFacts,
    HistoryEntry,
    InstanceCommit,
    LoggedWrites,
    writes_of,
)
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import (
    Branch,
    DeadLetterState,
    Delivery,
    DeliveryState,
    Event,
    Instance,
    JsonObject,
    NewEvent,
    OnFailure,
    Result,
    Status,
    Timer,
    TimerKind,
)
from waystation_domain.operations import apply, from_json
from waystation_domain.outcomes import CallResult, Outcome, Verdict
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec

START = datetime(2025, 1, 1, tzinfo=UTC)
ROUTER = "router-1"


def task(
    task_id: str, *, on_failure: OnFailure = OnFailure.FAIL_WORKFLOW, attempts: int = 3
) -> TaskSpec:
    """A task whose retries come at once."""
    return TaskSpec(
        task_id,
        "service",
        ("*",),
        ("*",),
        on_failure=on_failure,
        retry=RetryPolicy(max_attempts=attempts, initial_backoff=0.0),
    )


class World:
    """One instance and all its rows."""

    def __init__(
        self,
        data: JsonObject | None = None,
        *,
        resolve: Callable[[str, str], Sequence[TaskSpec]] | None = None,
        max_events: int = 10_000,
        deadline: float | None = None,
    ) -> None:
        numbers = count(1)
        self.rules = Rules(
            replace(PROVIDERS, make_id=lambda: f"id-{next(numbers)}"), resolve, max_events
        )
        self.now = START
        begun = actions.start(
            providers=self.rules.providers,
            workflow_instance_id="w",
            workflow_type="type",
            data=data or {},
            payload=None,
            correlation_id="c",
            priority=None,
            metadata=None,
            digest=b"",
            request_id=None,
            namespace="default",
            deadline=deadline,
        )
        self.first = begun.event
        due = None if deadline is None else self.now + timedelta(seconds=deadline)
        self.instance = replace(begun.instance, key=1, deadline=due)
        self.history: list[HistoryEntry] = [begun.entry]
        self.events: dict[str, Event] = {begun.event.event_id: begun.event}
        self.outbox: set[str] = {begun.event.event_id}
        self.deliveries: dict[tuple[str, str], Delivery] = {}
        self.letters: dict[str, dead_letters.OpenDeadLetter] = {}
        self.data_at: dict[int, JsonObject] = {1: self.instance.data}
        self.timers: dict[tuple[TimerKind, str], datetime] = {}
        if due is not None:
            self.timers[TimerKind.DEADLINE, ""] = due

    # --- looking ---------------------------------------------------------------------------

    def facts(self) -> dict[str, EventFacts]:
        """Where every event stands."""
        return {
            event_id: EventFacts(
                event_id in self.outbox,
                {task_id: row for (of, task_id), row in self.deliveries.items() if of == event_id},
                timed=(TimerKind.EVENT, event_id) in self.timers,
            )
            for event_id in self.events
        }

    def row(self, event: Event, task: TaskSpec | str) -> Delivery | None:
        task_id = task if isinstance(task, str) else task.task_id
        return self.deliveries.get((event.event_id, task_id))

    def held(self) -> list[tuple[Delivery, Event]]:
        return [
            (row, self.events[row.event_id])
            for row in self.deliveries.values()
            if row.state is DeliveryState.HELD
        ]

    def open_dead_letters(self) -> list[dead_letters.OpenDeadLetter]:
        return [one for one in self.letters.values() if one.state is DeadLetterState.OPEN]

    def raised(self, event_type: str) -> list[Event]:
        return [event for event in self.events.values() if event.event_type == event_type]

    # --- moving ----------------------------------------------------------------------------

    @contextmanager
    def _drafting(self) -> Any:
        log = [
            LoggedWrites(
                entry.sequence,
                writes_of([from_json(op) for op in entry.change or ()], entry.effects),
            )
            for entry in self.history
        ]
        draft = Draft(self.instance, facts=self.facts(), rules=self.rules, now=self.now, log=log)
        yield draft
        self.write(draft.commit())

    def drafting(self) -> AbstractContextManager[Draft]:
        """A draft that is written when the block ends."""
        return self._drafting()

    def touch(self, touch: EventTouch) -> dict[str, Verdict]:
        with self.drafting() as draft:
            verdicts = apply_touch(draft, touch, router_id=ROUTER)
            self.data_at[draft.instance.version] = draft.instance.data
        return verdicts

    def handle(
        self,
        event: Event,
        by: TaskSpec,
        outcome: Outcome,
        *,
        tasks: Sequence[TaskSpec] | None = None,
        attempt: int = 1,
        base: int | None = None,
        edit: int = 0,
    ) -> Verdict | None:
        """One result of one task, committed alone; None where it was dropped."""
        result = CallResult(
            by, attempt, self.instance.version if base is None else base, outcome, edit=edit
        )
        touch = EventTouch(event, (by,) if tasks is None else tasks, {by.task_id: result})
        return self.touch(touch).get(by.task_id)

    def touch_unhandled(self, event: Event) -> None:
        """The event's first commit finds that no task handles it."""
        self.touch(EventTouch(event, ()))

    def catch_up(self, events: Sequence[Event], by: TaskSpec) -> None:
        with self.drafting() as draft:
            actions.catch_up(draft, events, by.task_id)

    def publish(self, event_type: str, payload: JsonObject | None = None) -> Event:
        with self.drafting() as draft:
            return actions.publish(draft, NewEvent(event_type, payload or {}))

    def answer(self, wait_id: str, answer: JsonObject, by: str = "") -> Event:
        with self.drafting() as draft:
            return actions.provide_input(draft, wait_id, answer, by)

    def cancel(self) -> None:
        with self.drafting() as draft:
            actions.cancel(draft, "no longer needed")

    def retry(self, letter: dead_letters.OpenDeadLetter, payload: JsonObject | None = None) -> None:
        with self.drafting() as draft:
            dead_letters.retry_dead_letter(draft, letter, payload, self.held())

    def discard(self, letter: dead_letters.OpenDeadLetter) -> None:
        with self.drafting() as draft:
            dead_letters.discard_dead_letter(draft, letter, self.held())

    def claim(self, event: Event, by: TaskSpec) -> Delivery:
        """What the sweeper does with a READY delivery; the attempt of a suspect counts at once."""
        row = self.deliveries[event.event_id, by.task_id]
        assert row.state is DeliveryState.READY
        claimed = replace(
            row,
            state=DeliveryState.LEASED,
            leased_by=ROUTER,
            attempts=row.attempts + 1 if row.suspect else row.attempts,
        )
        self.deliveries[event.event_id, by.task_id] = claimed
        return claimed

    def claim_overdue(self, event: Event, by: TaskSpec) -> Delivery:
        """What the sweeper does with a PENDING delivery whose time is over."""
        row = self.deliveries[event.event_id, by.task_id]
        assert row.state is DeliveryState.PENDING
        claimed = replace(row, state=DeliveryState.LEASED, leased_by=ROUTER)
        self.deliveries[event.event_id, by.task_id] = claimed
        return claimed

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def fire_due(self) -> None:
        """Fires timers until none is due, as routers do: all that are due in one commit."""
        while due := sorted(
            (at, kind, ref) for (kind, ref), at in self.timers.items() if at <= self.now
        ):
            delayed = [ref for kind, ref in self.timers if kind is TimerKind.EVENT]
            material = timers.FiringFacts(
                events=self.events,
                delayed=[self.events[ref] for ref in delayed],
                open=[(row, self.events[row.event_id]) for row in self.deliveries.values()],
                others=list(self.timers),
            )
            with self.drafting() as draft:
                for _, kind, ref in due:
                    timers.fire(draft, Timer(kind, ref), material)

    # --- writing ---------------------------------------------------------------------------

    def write(self, commit: InstanceCommit) -> None:
        """Writes a commit as the store would, and checks what is promised of each."""
        assert commit.before is self.instance
        after = commit.after
        if commit.is_empty:
            assert not commit.entries
            assert not commit.raised
            assert not commit.deliveries_put
            return
        assert after.revision == self.instance.revision + 1
        sequences = [entry.sequence for entry in commit.entries]
        assert sequences == list(range(self.instance.version + 1, after.version + 1))
        assert not commit.deliveries_remove & commit.deliveries_put.keys()
        assert commit.deliveries_remove <= self.deliveries.keys()
        assert set(commit.outbox_remove) <= self.outbox
        # A retry drops the one of its event's end of life, whether that has come or not.
        gone = commit.timers_remove - self.timers.keys()
        assert {kind for kind, _ in gone} <= {TimerKind.EXPIRY}
        assert not commit.timers_remove & commit.timers_put.keys()
        for place in commit.timers_remove - gone:
            del self.timers[place]
        for place, timer in commit.timers_put.items():
            assert place not in self.timers or timer.kind is TimerKind.CLEANUP
            assert (timer.due_in is None) != (timer.due_at is None)
            self.timers[place] = timer.due_at or self.now + timedelta(seconds=timer.due_in or 0)

        for event in commit.raised:
            assert event.event_id not in self.events
            self.events[event.event_id] = event
        self.outbox -= set(commit.outbox_remove)
        self.outbox |= {event.event_id for event in commit.outbox_add}
        for place in commit.deliveries_remove:
            del self.deliveries[place]
        self.deliveries |= commit.deliveries_put
        for new in commit.dead_letters:
            self.letters[new.dead_letter_id] = dead_letters.OpenDeadLetter(
                new.dead_letter_id,
                self.events[new.event_id],
                new.task_id,
                new.attempts,
                new.on_failure,
                new.edit,
                new.payload,
                new.error,
            )
        for ids, state in (
            (commit.dead_letters_retried, DeadLetterState.RETRIED),
            (commit.dead_letters_discarded, DeadLetterState.DISCARDED),
        ):
            for letter_id in ids:
                assert self.letters[letter_id].state is DeadLetterState.OPEN
                self.letters[letter_id] = replace(self.letters[letter_id], state=state)
        self.history += commit.entries
        self._check_move(self.instance, commit)
        self.instance = after
        self.data_at[after.version] = after.data
        self.check()

    def _check_move(self, before: Instance, commit: InstanceCommit) -> None:
        after = commit.after
        if before.status.is_open:
            return
        # Nothing happens to what has ended, but for what its own end raised, and the retry.
        if after.status is not before.status:
            assert before.status is Status.FAILED
            assert after.status.is_open
            assert commit.dead_letters_retried
        else:
            # A FAILED one that may go on still learns of its waits and groups; that is held.
            assert all(
                event.after_end or (before.status is Status.FAILED and before.dead_letters)
                for event in commit.raised
            )
            for entry in commit.entries:
                late = entry.event_id is not None and self.events[entry.event_id].after_end
                assert late or not entry.change
        if before.status is not Status.FAILED:
            assert after.status is before.status

    def check(self) -> None:
        """What is true after every commit."""
        instance = self.instance
        assert instance.version == len(self.history)
        assert [entry.sequence for entry in self.history] == list(range(1, instance.version + 1))
        assert instance.event_count == len(self.events)
        timed = {ref for kind, ref in self.timers if kind is TimerKind.EVENT}
        assert not timed & self.outbox
        open_events = {of for of, _ in self.deliveries} | self.outbox | timed
        assert instance.unsettled == len(open_events)
        assert instance.dead_letters == len(self.open_dead_letters())
        assert {(one.event.event_id, one.task_id) for one in self.open_dead_letters()} >= {
            place for place, row in self.deliveries.items() if row.state is DeliveryState.DEAD
        }
        assert all(instance.status is Status.FAILED for _ in self.held())
        assert (instance.status is Status.WAITING_FOR_INPUT) <= bool(instance.waits)
        assert not (instance.status is Status.ACTIVE and instance.waits)
        moving = [kind for kind, _ in self.timers if kind.moves]
        assert instance.timers == len(moving)
        if instance.status.is_open:
            asked = {wait.wait_id for wait in instance.waits}
            assert {ref for kind, ref in self.timers if kind is TimerKind.WAIT} <= asked
        pending = bool(open_events or instance.waits or instance.dead_letters or moving)
        assert (instance.idle is not None) == (instance.status is Status.ACTIVE and not pending)
        assert (instance.completed_at is not None) == (not instance.status.is_open)
        assert (instance.failure is not None) == (
            instance.status in (Status.FAILED, Status.CANCELLED)
        )
        self._check_groups()
        finals = Counter(
            (entry.event_id, entry.processed_by)
            for entry in self.history
            if entry.attempt > 0 and entry.result in (Result.SUCCESS, Result.SKIPPED)
        )
        assert not [place for place, times in finals.items() if times > 1]

    def _check_groups(self) -> None:
        """What each group waits for, counted again from everything that says where it belongs."""
        instance = self.instance
        if instance.status in (Status.COMPLETED, Status.CANCELLED):
            assert not instance.groups
        facts = self.facts()
        waiting: Counter[Branch | None] = Counter(
            event.branch
            for event_id, event in self.events.items()
            if facts.get(event_id, SETTLED).holds_group
        )
        waiting.update(wait.branch for wait in instance.waits)
        waiting.update(group.outer for group in instance.groups)
        for group in instance.groups:
            assert group.open, "a group that waits for nothing has fired"
            assert not group.need or group.well < group.need
            assert len({failure["branch"] for failure in group.failed}) == len(group.failed)
            assert group.open == {
                branch.number: count
                for branch, count in waiting.items()
                if branch is not None and branch.group_id == group.group_id
            }
            settled = group.size - len(group.open)
            failed = {one["branch"] for one in group.failed} - group.open.keys()
            assert group.well == settled - len(failed)
            assert (group.deadline is not None) == (
                (TimerKind.FAN_OUT, group.group_id) in self.timers
            )

    def check_history(self) -> None:
        """Folding the changes gives the data back, bit for bit, at every sequence that was seen."""
        data: JsonObject = {}
        beside: JsonObject = {"status": 1, "waits": [], "failure": None, "output": None}
        for entry in self.history:
            stored = orjson.loads(orjson.dumps(entry.change or []))
            data = apply(data, [from_json(operation) for operation in stored])
            # And who answered, which is no part of the instance.
            beside |= {name: to for name, to in (entry.effects or {}).items() if name in beside}
            assert beside["status"] == entry.status
            if entry.sequence in self.data_at:
                assert orjson.dumps(data) == orjson.dumps(self.data_at[entry.sequence])
        assert orjson.dumps(data) == orjson.dumps(self.instance.data)
        instance = self.instance
        assert beside == {
            "status": instance.status,
            "waits": [wait.to_json() for wait in instance.waits],
            "failure": instance.failure.to_json() if instance.failure is not None else None,
            "output": instance.output,
        }
