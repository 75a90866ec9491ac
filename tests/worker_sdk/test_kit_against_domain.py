"""Random workflows, taken by the test kit and by the engine's own domain code step by step: after
each step both say the same of status, data, history, events, waits, groups, dead letters, what is due
and idleness."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from domain.world import ROUTER, START, World, task
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from waystation_core.domain import completing as engines_completing
from waystation_core.domain import outcomes
from waystation_core.domain.lifecycle import Treatment
from waystation_core.domain.model import Delivery, DeliveryState, Event, NewEvent, OnFailure
from waystation_core.domain.operations import Operation
from waystation_core.domain.results import EventTouch
from waystation_core.domain.task_spec import TaskSpec
from waystation_worker import Backoff, HandlerService, TaskResult
from waystation_worker import NewEvent as ToRaise
from waystation_worker.testing import asking, committing, completing, timers
from waystation_worker.testing.answers import (
    Answer,
    Asked,
    Failed,
    Failing,
    FannedOut,
    Pending,
    Raised,
)
from waystation_worker.testing.calling import SentEvent, token_of
from waystation_worker.testing.changes import Change
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import DEAD_LETTER_DISCARDED, ENDS, EVENT_OF_STATUS

TASKS: dict[str, tuple[list[str], str]] = {
    "start": (
        ["workflow.started", "user.input.provided", "user.input.timed_out"],
        "fail_workflow",
    ),
    "one": (["a"], "fail_workflow"),
    "two": (["a", "b", "then"], "continue"),
    "end": (["workflow.completed", "workflow.failed"], "fail_workflow"),
    "undo": (["workflow.dead_letter.discarded"], "continue"),
}
MAX_ATTEMPTS = 2
MAX_EVENTS = 20

TYPES = st.sampled_from(["a", "a", "b", "unheard", "workflow.completed", "workflow.failed"])
CHANGES = st.lists(
    st.one_of(
        st.builds(Change, st.just("set"), st.sampled_from(["/x", "/y", "/x/z"]), st.integers(0, 3)),
        st.builds(Change, st.just("increment"), st.sampled_from(["/n", "/x"]), st.integers(1, 3)),
        st.builds(Change, st.just("append"), st.just("/list"), st.just({"a": 1})),
    ),
    max_size=2,
)
SECONDS = st.none() | st.integers(1, 40)
PLACES = st.sampled_from(
    [None, "/x", "/x/z", "/n", "/new/place", "/list/-", "/list/0/a", "/list/x"]
)
WAITS = st.builds(
    Asked,
    st.just("which?"),
    st.none(),
    st.sampled_from(["", "w"]),
    timeout=SECONDS,
    answer_path=PLACES,
)


@st.composite
def raised(draw: st.DrawFn, types: st.SearchStrategy[str]) -> Raised:
    delay, expiry = draw(SECONDS), draw(st.none() | st.integers(-5, 60))
    expires_at = None if expiry is None else START + timedelta(seconds=expiry)
    return Raised(draw(types), {"n": 1}, delay=delay, expires_at=expires_at)


BRANCHES = st.sampled_from(["a", "b", "unheard"])
FAN_OUTS = st.lists(raised(BRANCHES), max_size=3).flatmap(
    lambda events: st.builds(
        FannedOut,
        st.just(events),
        st.just(Raised("then", {"given": 1})),
        st.integers(0, len(events)),
        SECONDS,
    )
)


@st.composite
def results(draw: st.DrawFn) -> Answer:
    kind = draw(
        st.sampled_from(
            ["work", "work", "fan", "fan", "end", "ask", "fail", "reject", "pending", "pending"]
        )
    )
    if kind in ("fail", "reject"):
        return Answer({}, failure=Failed("NO", "no", permanent=kind == "reject"))
    if kind == "pending":
        return Answer({}, pending=Pending(draw(SECONDS)))
    waits = draw(st.lists(WAITS, min_size=1, max_size=3)) if kind == "ask" else []
    status = draw(st.sampled_from(["COMPLETED", "FAILED"])) if kind == "end" else None
    return Answer(
        {},
        changes=draw(CHANGES),
        events=draw(st.lists(raised(TYPES), max_size=2)),
        fan_outs=draw(st.lists(FAN_OUTS, min_size=1, max_size=2)) if kind == "fan" else [],
        waits=waits,
        status="WAITING_FOR_INPUT" if waits else status,
        output=draw(st.sampled_from([None, {"done": True}])) if status == "COMPLETED" else None,
        failing=Failing("LOST", "it is lost", {"n": 1}) if status == "FAILED" else None,
        reads=draw(st.lists(st.sampled_from(["/x", "/n", "/y", ""]), max_size=2)),
    )


def new_event(one: Raised) -> NewEvent:
    return NewEvent(one.event_type, one.payload, delay=one.delay, expires_at=one.expires_at)


def outcome(result: Answer) -> outcomes.Outcome:
    """The same answer in the engine's words."""
    if result.failure is not None:
        failure = result.failure
        return outcomes.AttemptError(
            failure.code, failure.reason, failure.message, failure.permanent, failure.retry_after
        )
    if result.pending is not None:
        return outcomes.Pending(result.pending.timeout)
    end: outcomes.Completion | outcomes.Failing | None = None
    if result.status == "COMPLETED":
        end = outcomes.Completion(result.output)
    elif (failing := result.failing) is not None:
        end = outcomes.Failing(failing.reason, failing.message, failing.details)
    return outcomes.Reply(
        events=tuple(map(new_event, result.events)),
        change=tuple(Operation(path, kind, value) for kind, path, value in result.changes),
        end=end,
        waits=tuple(
            outcomes.WaitRequest(
                wait.message, wait.wait_id, timeout=wait.timeout, answer_path=wait.answer_path
            )
            for wait in result.waits
        ),
        reads=tuple(result.reads),
        fan_outs=tuple(
            outcomes.FanOut(
                tuple(map(new_event, one.events)), new_event(one.then), one.need, one.timeout
            )
            for one in result.fan_outs
        ),
    )


def following(result: Answer) -> TaskResult:
    """The same answer as somebody else gives it later."""
    told = TaskResult()
    for kind, path, value in result.changes:
        getattr(told, kind)(path, value)
    for one in result.events:
        told.emit(one.event_type, one.payload, delay=one.delay, expires_at=one.expires_at)
    for group in result.fan_outs:
        events = [as_new(one) for one in group.events]
        told.fan_out(events, as_new(group.then), need=group.need, timeout=group.timeout)
    for wait in result.waits:
        told.wait_for_input(
            wait.message,
            None,
            wait.wait_id or None,
            wait.timeout,
            answer_path=wait.answer_path,
        )
    if result.status == "COMPLETED":
        told.complete(result.output)
    if (failing := result.failing) is not None:
        told.fail(failing.reason, failing.message, failing.details)
    return told


class Both:
    """One instance, twice."""

    def __init__(self, deadline: int | None) -> None:
        service = HandlerService("s")
        for name, (events, on_failure) in TASKS.items():
            service.task(
                name,
                events=events,
                workflow_types=["type"],
                on_failure=on_failure,  # type: ignore[arg-type]
                max_attempts=MAX_ATTEMPTS,
                backoff=Backoff(1, 1, 1),
            )(print)
        self.now = START
        self.times = 0
        self.kit = Instance(
            "w",
            "type",
            {},
            correlation_id=None,
            find_tasks=lambda event_type, _: [
                (service, service.tasks[name])
                for name, (events, _) in TASKS.items()
                if event_type in events
            ],
            clock=lambda: self.now,
            max_events=MAX_EVENTS,
            deadline=None if deadline is None else START + timedelta(seconds=deadline),
        )
        asking.start(self.kit, Raised("workflow.started"))
        self.specs = {
            name: task(name, on_failure=OnFailure[on_failure.upper()], attempts=MAX_ATTEMPTS)
            for name, (_, on_failure) in TASKS.items()
        }
        self.world = World(
            resolve=lambda event_type, _: self.tasks_of(event_type),
            max_events=MAX_EVENTS,
            deadline=deadline,
        )

    def tasks_of(self, event_type: str) -> tuple[TaskSpec, ...]:
        return tuple(
            self.specs[name] for name, (events, _) in TASKS.items() if event_type in events
        )

    def commit(self, choose: Any) -> None:
        """One answer of one open delivery, perhaps a late or a stale one."""
        kit = self.kit
        ready = [
            (index, delivery)
            for index, emitted in enumerate(kit.emitted.values())
            for delivery in emitted.deliveries
            if delivery.state in ("OPEN", "PENDING")
            and kit.treatment(emitted.event) == "DELIVER"
            and emitted.time <= self.now
        ]
        if not ready:
            return
        index, delivery = choose(st.sampled_from(ready))
        result = self.apart(choose(results()), delivery.event)
        base = choose(st.integers(max(1, kit.version - 2), kit.version))
        attempt = max(1, delivery.attempts + choose(st.sampled_from([1, 1, 1, 0])))
        name, edit = delivery.task.task_id, delivery.edit
        for _ in range(choose(st.sampled_from([1, 2]))):
            committing.commit(kit, delivery, result, attempt=attempt, edit=edit, base=base)
            event = self.engines(index)
            self.world.handle(
                event,
                self.specs[name],
                outcome(result),
                tasks=self.tasks_of(event.event_type),
                attempt=attempt,
                base=base,
                edit=edit,
            )

    def engines(self, index: int) -> Event:
        """The engine's event at this place."""
        return list(self.world.events.values())[index]

    def apart(self, result: Answer, cause: SentEvent) -> Answer:
        """The answer with all its times apart from each other and from all others: what is due at
        once is due in no order. What an end raises does not expire here."""

        def more(one: float | None) -> float | None:
            self.times += 1
            return None if one is None else one + self.times / 1000

        def moved(one: Raised) -> Raised:
            delay, later = more(one.delay), timedelta(seconds=more(0) or 0)
            expires_at = None if one.expires_at is None else one.expires_at + later
            if cause.after_end or one.event_type in ENDS:
                expires_at = None
            return replace(one, delay=delay, expires_at=expires_at)

        pending = result.pending
        return replace(
            result,
            events=[moved(one) for one in result.events],
            fan_outs=[
                replace(
                    one, events=[moved(event) for event in one.events], timeout=more(one.timeout)
                )
                for one in result.fan_outs
            ],
            waits=[replace(wait, timeout=more(wait.timeout)) for wait in result.waits],
            pending=pending and Pending(more(pending.timeout)),
        )

    def complete(self, choose: Any) -> None:
        """A result that was to follow comes, or its task fails, or gets more time."""
        kit, world = self.kit, self.world
        pending = [
            (index, delivery)
            for index, emitted in enumerate(kit.emitted.values())
            for delivery in emitted.deliveries
            if delivery.state == "PENDING"
        ]
        if not pending:
            return
        index, delivery = choose(st.sampled_from(pending))
        result = self.apart(choose(results().filter(can_follow)), delivery.event)
        event, spec = self.engines(index), self.specs[delivery.task.task_id]
        row = world.row(event, spec)
        assert row is not None
        answer = outcome(result)
        assert isinstance(answer, (outcomes.Reply, outcomes.AttemptError))

        token = token_of(delivery.key, delivery.attempts + 1)

        def mine() -> None:
            if result.failure is not None:
                completing.fail(kit, token, result.failure)
            else:
                completing.complete(kit, token, following(result))

        def engines() -> None:
            with world.drafting() as draft:
                assert engines_completing.complete(draft, event, spec, row, answer)
                world.data_at[draft.instance.version] = draft.instance.data

        assert refusal(mine) == refusal(engines)

    def pass_time(self, seconds: int) -> None:
        """Moves the clock from one thing that is due to the next."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now = min(timers.next_due(self.kit, self.now) or end, end)
            self.world.now = self.now
            overdue = [
                (index, delivery)
                for index, emitted in enumerate(self.kit.emitted.values())
                for delivery in emitted.deliveries
                if delivery.state == "PENDING" and delivery.due <= self.now
            ]
            self.world.fire_due()
            for index, delivery in overdue:
                event, spec = self.engines(index), self.specs[delivery.task.task_id]
                if self.world.row(event, spec) is not None:
                    row = self.world.claim_overdue(event, spec)
                    cut = outcome(Answer({}, failure=timers.PENDING_TIMED_OUT))
                    self.world.handle(event, spec, cut, attempt=row.attempts + 1, edit=row.edit)
            self.settle()
            self.compare()

    def ask(self, choose: Any) -> None:
        """One thing that a client or an operator does; both refuse it, or neither does."""
        kit, world = self.kit, self.world
        letters = len(kit.dead_letters)
        what = choose(st.sampled_from(["input", "publish", "cancel", "retry", "discard"]))
        which = choose(st.integers(0, letters - 1)) if letters else 0
        open_letter = letters and kit.dead_letters[which].state == "OPEN"
        if what in ("retry", "discard") and not open_letter:
            return
        letter = list(world.letters.values())[which] if open_letter else None
        payload = choose(st.sampled_from([None, {"edited": True}])) if what == "retry" else None
        wait_id = choose(st.sampled_from([None, "w"])) if what == "input" else None
        by = choose(st.sampled_from(["", "ada"])) if what == "input" else ""
        moves: dict[str, tuple[Any, Any]] = {
            "input": (
                lambda: asking.provide_input(kit, {"x": 9}, wait_id, by),
                lambda: world.answer(wait_id or "", {"x": 9}, by),
            ),
            "publish": (lambda: asking.publish(kit, Raised("b")), lambda: world.publish("b")),
            "cancel": (lambda: asking.cancel(kit, "no longer needed"), world.cancel),
            "retry": (
                lambda: asking.retry(kit, kit.dead_letters[which], payload),
                lambda: world.retry(letter, payload),  # type: ignore[arg-type]
            ),
            "discard": (
                lambda: asking.discard(kit, kit.dead_letters[which]),
                lambda: world.discard(letter),  # type: ignore[arg-type]
            ),
        }
        mine, engines = moves[what]
        assert refusal(mine) == refusal(engines), what

    def settle(self) -> None:
        """What needs no task."""
        timers.fire_due(self.kit)
        for emitted in self.kit.pending():
            committing.settle_undeliverable(self.kit, emitted)
        world = self.world
        world.fire_due()
        for event in list(world.events.values()):
            with world.drafting() as draft:
                skip = draft.treatment(event) is Treatment.SKIP
            tasks, facts = self.tasks_of(event.event_type), world.facts()[event.event_id]
            if facts.in_outbox:
                if skip or not tasks:
                    world.touch(EventTouch(event, tasks))
            elif rows := {
                name: row if skip else replace(row, state=DeliveryState.READY, leased_by=None)
                for name, row in facts.deliveries.items()
                if row.state in (DeliveryState.READY, DeliveryState.LEASED)
            }:
                # Nothing is in call between two steps.
                self.claim(event, rows)
                world.touch(EventTouch(event, tasks, rows=rows))

    def claim(self, event: Event, rows: dict[str, Delivery]) -> None:
        for name, row in rows.items():
            known = self.world.deliveries[event.event_id, name]
            if known.state is DeliveryState.READY:
                self.world.claim(event, self.specs[name])
            assert self.world.deliveries[event.event_id, name].leased_by == ROUTER, row

    def compare(self) -> None:
        kit, world = self.kit, self.world
        number = {event_id: n for n, event_id in enumerate(world.events)}
        mine = {event_id: n for n, event_id in enumerate(kit.emitted)}
        assert in_order(
            (e.result, mine[e.event_id], e.processed_by, e.attempt, e.action) for e in kit.history
        ) == in_order(
            (e.result.name, number[e.event_id or ""], e.processed_by, e.attempt, e.action or "")
            for e in world.history
        )
        instance = world.instance
        assert (kit.status, kit.data) == (instance.status.name, instance.data)
        assert kit.output == instance.output
        assert [wait.wait_id for wait in kit.waits] == [wait.wait_id for wait in instance.waits]
        assert [wait.answer_path for wait in kit.waits] == [
            wait.answer_path for wait in instance.waits
        ]
        assert [wait.deadline for wait in kit.waits] == [
            datetime.fromisoformat(wait.deadline) if wait.deadline else None
            for wait in instance.waits
        ]
        assert [
            (
                one.event.event_type,
                one.event.raised_by,
                mine.get(one.event.causation_id),
                one.event.branch and one.event.branch.number,
                one.event.after_end,
                payload(one.event.event_type, one.event.payload, mine),
            )
            for one in kit.emitted.values()
        ] == [
            (
                event.event_type,
                event.raised_by,
                number.get(event.causation_id or ""),
                event.branch and event.branch.number,
                event.after_end,
                payload(event.event_type, event.payload, number),
            )
            for event in world.events.values()
        ]
        assert [
            (one.need, one.size, one.open, one.well, branches(one.failed)) for one in kit.groups
        ] == [
            (one.need, one.size, one.open, one.well, branches(one.failed))
            for one in instance.groups
        ]
        failure = instance.failure
        assert (kit.failure and (kit.failure.reason, kit.failure.task_id)) == (
            failure and (failure.reason, failure.task_id)
        )
        assert [(one.task_id, one.attempts, one.state) for one in kit.dead_letters] == [
            (one.task_id, one.attempts, one.state.name) for one in world.letters.values()
        ]
        assert {mine[one.event.event_id] for one in kit.pending()} == {
            number[event_id] for event_id, facts in world.facts().items() if facts.is_open
        }
        assert kit.idle == (instance.idle.message if instance.idle else None)


def can_follow(result: Answer) -> bool:
    """Whether a result that follows can say this: it fails a workflow together with its event."""
    return result.pending is None and result.status != "FAILED"


def as_new(one: Raised) -> ToRaise:
    return ToRaise(one.event_type, one.payload, delay=one.delay, expires_at=one.expires_at)


def in_order(entries: Any) -> list[Any]:
    """Entries of history; those of what is given up at one time come in any order."""
    ordered: list[Any] = []
    for skipped, run in groupby(entries, key=lambda entry: entry[0] == "SKIPPED"):
        found = list(run)
        ordered += sorted(found) if skipped else found
    return ordered


def payload(event_type: str, given: dict[str, Any], number: dict[str, int]) -> Any:
    """The payload, with events told by their place and without words; those of statuses name times
    and ids."""
    if event_type in EVENT_OF_STATUS.values():
        return None
    told = dict(given)
    if event_type == DEAD_LETTER_DISCARDED:
        # Ids of dead letters are made apart, and so are words.
        return {
            **told,
            "event_id": number[told["event_id"]],
            "dead_letter_id": "",
            "message": "",
        }
    if "failed_branches" in told:
        told["failed_branches"] = [
            {**one, "event_id": number[one["event_id"]], "message": ""}
            for one in told["failed_branches"]
        ]
    return told


def branches(failed: Any) -> list[tuple[int, str]]:
    return [(one["branch"], one["reason"]) for one in failed]


def refusal(move: Any) -> str | None:
    try:
        move()
    except AssertionError:
        raise
    except Exception as error:
        # A result that breaks a rule has one class here and a class for each rule there.
        reason: str = getattr(error, "reason", "")
        return reason if reason in BROKEN_RULES else type(error).__name__
    return None


BROKEN_RULES = ("PATH_TYPE_MISMATCH", "RESPONSE_INVALID", "TOO_MANY_EVENTS")


# Shrinking would take minutes, and programs are short as they are found.
@settings(
    deadline=timedelta(seconds=5),
    max_examples=120,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
)
@given(st.data())
def test_the_kit_goes_where_the_engine_goes(data: st.DataObject) -> None:
    both = Both(data.draw(st.none() | st.integers(20, 100)))
    for _ in range(data.draw(st.integers(1, 14))):
        what = data.draw(st.sampled_from(["commit", "commit", "commit", "ask", "complete", "time"]))
        if what == "time":
            both.pass_time(data.draw(st.integers(1, 40)))
        else:
            getattr(both, what)(data.draw)
        both.settle()
        both.compare()
