"""Random workflows, taken by the test kit and by the engine's own domain code step by step: after
each step both say the same of status, data, history, waits, dead letters and idleness."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.world import World, task
from hypothesis import given, settings
from hypothesis import strategies as st

from waystation_core.domain import outcomes
from waystation_core.domain.lifecycle import Treatment
from waystation_core.domain.model import DeliveryState, NewEvent, OnFailure, Status, TaskSpec
from waystation_core.domain.operations import Operation
from waystation_core.domain.results import EventTouch
from waystation_worker import Backoff, HandlerService
from waystation_worker.testing import asking, committing
from waystation_worker.testing.answers import Answer, Asked, Failed, Raised
from waystation_worker.testing.calling import START_OF_TIME
from waystation_worker.testing.changes import Change
from waystation_worker.testing.instance import Instance

TASKS: dict[str, tuple[list[str], str]] = {
    "start": (["workflow.started", "user.input.provided"], "fail_workflow"),
    "one": (["a"], "fail_workflow"),
    "two": (["a", "b"], "continue"),
    "end": (["workflow.completed", "workflow.failed"], "fail_workflow"),
}
MAX_ATTEMPTS = 2
MAX_EVENTS = 12

TYPES = st.sampled_from(["a", "a", "b", "unheard", "workflow.completed", "workflow.failed"])
CHANGES = st.lists(
    st.one_of(
        st.builds(Change, st.just("set"), st.sampled_from(["/x", "/y", "/x/z"]), st.integers(0, 3)),
        st.builds(Change, st.just("increment"), st.sampled_from(["/n", "/x"]), st.integers(1, 3)),
    ),
    max_size=2,
)
WAITS = st.builds(Asked, st.just("which?"), st.none(), st.sampled_from(["", "w"]))


@st.composite
def results(draw: st.DrawFn) -> Answer:
    kind = draw(st.sampled_from(["work", "work", "work", "end", "ask", "fail", "reject"]))
    if kind in ("fail", "reject"):
        return Answer({}, failure=Failed("NO", "no", permanent=kind == "reject"))
    wait = draw(WAITS) if kind == "ask" else None
    status = draw(st.sampled_from(["COMPLETED", "FAILED"])) if kind == "end" else None
    return Answer(
        {},
        changes=draw(CHANGES),
        events=[Raised(name, {"n": 1}) for name in draw(st.lists(TYPES, max_size=2))],
        status="WAITING_FOR_INPUT" if wait else status,
        wait=wait,
        output=draw(st.sampled_from([None, {"done": True}])) if status == "COMPLETED" else None,
        reads=draw(st.lists(st.sampled_from(["/x", "/n", "/y", ""]), max_size=2)),
    )


def outcome(result: Answer) -> outcomes.Outcome:
    """The same answer in the engine's words."""
    if result.failure is not None:
        failure = result.failure
        return outcomes.AttemptError(
            failure.code, failure.reason, failure.message, failure.permanent, failure.retry_after
        )
    wait = result.wait
    return outcomes.Reply(
        events=tuple(NewEvent(one.event_type, one.payload) for one in result.events),
        change=tuple(Operation(path, kind, value) for kind, path, value in result.changes),
        status=Status[result.status] if result.status else None,
        wait=outcomes.WaitRequest(wait.message, wait.wait_id) if wait else None,
        output=result.output,
        reads=tuple(result.reads),
    )


class Both:
    """One instance, twice."""

    def __init__(self) -> None:
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
        self.now = START_OF_TIME
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
        )
        asking.start(self.kit, Raised("workflow.started"))
        self.specs = {
            name: task(name, on_failure=OnFailure[on_failure.upper()], attempts=MAX_ATTEMPTS)
            for name, (_, on_failure) in TASKS.items()
        }
        self.world = World(
            resolve=lambda event_type, _: self.tasks_of(event_type), max_events=MAX_EVENTS
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
            if delivery.state == "OPEN" and kit.treatment(emitted.event) == "DELIVER"
        ]
        if not ready:
            return
        index, delivery = choose(st.sampled_from(ready))
        result = choose(results())
        base = choose(st.integers(max(1, kit.version - 2), kit.version))
        attempt = max(1, delivery.attempts + choose(st.sampled_from([1, 1, 1, 0])))
        name, edit = delivery.task.task_id, delivery.edit
        for _ in range(choose(st.sampled_from([1, 2]))):
            committing.commit(kit, delivery, result, attempt=attempt, edit=edit, base=base)
            event = list(self.world.events.values())[index]
            self.world.handle(
                event,
                self.specs[name],
                outcome(result),
                tasks=self.tasks_of(event.event_type),
                attempt=attempt,
                base=base,
                edit=edit,
            )

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
        moves: dict[str, tuple[Any, Any]] = {
            "input": (
                lambda: asking.provide_input(kit, {"x": 9}, wait_id),
                lambda: world.answer(wait_id or "", {"x": 9}),
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
        for emitted in self.kit.pending():
            committing.settle_undeliverable(self.kit, emitted)
        world = self.world
        for event in list(world.events.values()):
            with world.drafting() as draft:
                skip = draft.treatment(event) is Treatment.SKIP
            tasks, facts = self.tasks_of(event.event_type), world.facts()[event.event_id]
            if facts.in_outbox:
                if skip or not tasks:
                    world.touch(EventTouch(event, tasks))
            elif skip:
                for name, row in facts.deliveries.items():
                    if row.state is DeliveryState.READY:
                        world.claim(event, self.specs[name])
                rows = {spec.task_id: row for spec in tasks if (row := world.row(event, spec))}
                world.touch(EventTouch(event, tasks, rows=rows))

    def compare(self) -> None:
        kit, world = self.kit, self.world
        number = {event_id: n for n, event_id in enumerate(world.events)}
        mine = {event_id: n for n, event_id in enumerate(kit.emitted)}
        assert [(mine[e.event_id], e.processed_by, e.result, e.attempt) for e in kit.history] == [
            (number[e.event_id or ""], e.processed_by, e.result.name, e.attempt)
            for e in world.history
        ]
        instance = world.instance
        assert (kit.status, kit.data) == (instance.status.name, instance.data)
        assert kit.output == instance.output
        assert [wait.wait_id for wait in kit.waits] == [wait.wait_id for wait in instance.waits]
        assert [
            (event.event.event_type, event.event.payload, event.event.after_end)
            for event in kit.emitted.values()
            if event.event.event_type != "workflow.waiting_for_input"  # its payload tells the time
            and event.event.raised_by == "client"
        ] == [
            (event.event_type, event.payload, event.after_end)
            for event in world.events.values()
            if event.event_type != "workflow.waiting_for_input" and event.raised_by == "client"
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


def refusal(move: Any) -> str | None:
    try:
        move()
    except Exception as error:
        return type(error).__name__
    return None


@settings(deadline=timedelta(seconds=5), max_examples=120)
@given(st.data())
def test_the_kit_goes_where_the_engine_goes(data: st.DataObject) -> None:
    both = Both()
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.integers(0, 3)):
            both.commit(data.draw)
        else:
            both.ask(data.draw)
        both.settle()
        both.compare()
