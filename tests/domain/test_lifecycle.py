"""The status table: every status, and everything that can be asked of an instance or of a delivery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from domain.world import ROUTER, World, task

from waystation_domain import dead_letters, lifecycle
from waystation_domain.errors import ReservedEventType, ResponseInvalid, WaystationError
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    NewEvent,
    OnFailure,
    Status,
)
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Completion,
    Cut,
    Failing,
    Reply,
    WaitRequest,
)
from waystation_domain.results import EventTouch
from waystation_domain.retirement import retire

WORKER = task("worker")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
BREAKING = task("breaking", attempts=1)
PERMANENT = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)
RETRYABLE = AttemptError("UNAVAILABLE", "BUSY", "later")

COLUMNS = ["ACTIVE", "WAITING", "COMPLETED", "FAILED", "FAILED for good", "CANCELLED"]
"""FAILED by a dead letter, which may be retried; FAILED permanently by a task, without one."""

# What comes of it, the status after it, the delivery's row after it, and the events raised.
# "+" before a type: delivered though the instance has ended.
TABLE = """
success            | applied ACTIVE - next | applied WAITING - next | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
complete           | applied COMPLETED - +workflow.completed | applied COMPLETED - +workflow.completed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
complete by event  | applied COMPLETED - +workflow.completed | applied COMPLETED - +workflow.completed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
fail               | applied FAILED - +workflow.failed | applied FAILED - +workflow.failed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
fail by event      | applied FAILED - +workflow.failed | applied FAILED - +workflow.failed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
wait               | applied WAITING - workflow.waiting_for_input | applied WAITING - | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
cut                | applied ACTIVE READY? | applied WAITING READY? | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
retryable          | applied ACTIVE READY | applied WAITING READY | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
permanent          | applied FAILED DEAD +workflow.failed | applied FAILED DEAD +workflow.failed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
last attempt       | applied FAILED DEAD +workflow.failed | applied FAILED DEAD +workflow.failed | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
permanent CONTINUE | applied ACTIVE - | applied WAITING - | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
ended: success     | | | applied COMPLETED - +next | applied FAILED - +next | applied FAILED - +next | applied CANCELLED - +next
ended: complete    | | | applied COMPLETED - | applied FAILED - | applied FAILED - | applied CANCELLED -
ended: permanent   | | | applied COMPLETED - | applied FAILED - | applied FAILED - | applied CANCELLED -
new: success       | applied ACTIVE - next | applied WAITING - next | skipped COMPLETED - | held FAILED HELD | skipped FAILED - | skipped CANCELLED -
new: in call       | ACTIVE LEASED | WAITING LEASED | COMPLETED - | FAILED HELD | FAILED - | CANCELLED -
new: parked        | ACTIVE NO_ENDPOINT | WAITING NO_ENDPOINT | COMPLETED - | FAILED HELD | FAILED - | CANCELLED -
new: no task       | ACTIVE - | WAITING - | COMPLETED - | FAILED - | FAILED - | CANCELLED -
given back         | ACTIVE READY | WAITING READY | COMPLETED - | FAILED HELD | FAILED - | CANCELLED -
input              | WORKFLOW_NOT_WAITING ACTIVE LEASED | ACTIVE LEASED user.input.provided | WORKFLOW_ENDED COMPLETED LEASED | WORKFLOW_ENDED FAILED LEASED | WORKFLOW_ENDED FAILED LEASED | WORKFLOW_ENDED CANCELLED LEASED
publish            | ACTIVE LEASED news | WAITING LEASED news | WORKFLOW_ENDED COMPLETED LEASED | WORKFLOW_ENDED FAILED LEASED | WORKFLOW_ENDED FAILED LEASED | WORKFLOW_ENDED CANCELLED LEASED
cancel             | CANCELLED LEASED +workflow.cancelled | CANCELLED LEASED +workflow.cancelled | WORKFLOW_ENDED COMPLETED LEASED | WORKFLOW_ENDED FAILED LEASED | WORKFLOW_ENDED FAILED LEASED | CANCELLED LEASED
retry              | ACTIVE LEASED | WAITING LEASED | WORKFLOW_ENDED COMPLETED LEASED | ACTIVE LEASED | | WORKFLOW_ENDED CANCELLED LEASED
retired            | dead letter ACTIVE - | dead letter WAITING - | COMPLETED - | FAILED HELD | FAILED - | CANCELLED -
retired in call    | ACTIVE LEASED | WAITING LEASED | COMPLETED LEASED | FAILED LEASED | FAILED LEASED | CANCELLED LEASED
discard            | ACTIVE LEASED workflow.dead_letter.discarded | WAITING LEASED workflow.dead_letter.discarded | COMPLETED LEASED +workflow.dead_letter.discarded | FAILED LEASED +workflow.dead_letter.discarded | | CANCELLED LEASED +workflow.dead_letter.discarded
"""


class Scene:
    """An instance in the status of a column, with a delivery in call and, where it can be, an open
    dead letter."""

    def __init__(self, column: str) -> None:
        self.world = world = World({"n": 0})
        world.handle(world.first, WORKER, Reply())
        self.event = world.publish("work")
        for by in (WORKER, LENIENT):
            world.deliveries[self.event.event_id, by.task_id] = Delivery(
                self.event.event_id, by.task_id, DeliveryState.LEASED, leased_by=ROUTER
            )
        world.outbox.remove(self.event.event_id)
        self.new = world.publish("new")
        if column != "FAILED for good":
            by = BREAKING if column == "FAILED" else LENIENT
            world.handle(world.publish("broken"), by, PERMANENT)
        if column == "FAILED for good":
            world.handle(world.publish("hopeless"), WORKER, Reply(end=Failing("HOPELESS")))
        elif column == "WAITING":
            world.handle(world.publish("ask"), WORKER, Reply(waits=(WaitRequest("how many?"),)))
        elif column == "COMPLETED":
            world.handle(world.publish("last"), WORKER, Reply(end=Completion()))
        elif column == "CANCELLED":
            world.cancel()
        self.seen = set(world.events)
        self.of = self.event
        self.by = WORKER

    def result(self, outcome: Reply | AttemptError | Cut, by: str = "worker") -> str:
        self.by = {"worker": WORKER, "lenient": LENIENT, "breaking": BREAKING}[by]
        if by == "breaking":
            # The same delivery, of a task that has no further attempt.
            self.by = replace(BREAKING, task_id="worker")
        return self._told(self.world.handle(self.of, self.by, outcome))

    def late(self, outcome: Reply | AttemptError) -> str:
        """A result for what the end of the instance raised."""
        (self.of,) = (event for event in self.world.events.values() if event.event_type in ENDINGS)
        return self._told(self.world.handle(self.of, self.by, outcome))

    def untouched(self, **touch: object) -> str:
        """The first touch of an event."""
        self.of = self.new
        tasks = touch.pop("tasks", (WORKER,))
        verdicts = self.world.touch(EventTouch(self.new, tasks, **touch))  # type: ignore[arg-type]
        return self._told(verdicts.get("worker"))

    def given_back(self) -> str:
        row = Delivery(self.event.event_id, "worker", DeliveryState.READY)
        self.world.touch(EventTouch(self.event, (), {}, {"worker": row}))
        return ""

    def retired(self, state: DeliveryState) -> str:
        """The task is retired while its delivery is in this state."""
        place = (self.event.event_id, "worker")
        row = self.world.deliveries[place] = replace(self.world.deliveries[place], state=state)
        with self.world.drafting() as draft:
            return "dead letter" if retire(draft, [(row, self.event)]) else ""

    def letter(self) -> dead_letters.OpenDeadLetter:
        (letter,) = self.world.open_dead_letters()
        return letter

    def new_result(self, outcome: Reply) -> dict[str, CallResult]:
        return {"worker": CallResult(WORKER, 1, self.world.instance.version, outcome)}

    @staticmethod
    def _told(verdict: object) -> str:
        return verdict.value if verdict is not None else ""  # type: ignore[attr-defined]

    def outcome(self, what: str) -> str:
        status = self.world.instance.status
        row = self.world.row(self.of, self.by)
        state = "-" if row is None else row.state.name + ("?" if row.suspect else "")
        raised = [
            ("+" if event.after_end else "") + event.event_type
            for event_id, event in self.world.events.items()
            if event_id not in self.seen
        ]
        name = "WAITING" if status is Status.WAITING_FOR_INPUT else status.name
        return " ".join(filter(None, [what, name, state, *raised]))


ENDINGS = (lifecycle.COMPLETED, lifecycle.FAILED, lifecycle.CANCELLED)
NEXT = Reply(events=(NewEvent("next", {}),))

OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "success": lambda s: s.result(NEXT),
    "complete": lambda s: s.result(Reply(end=Completion())),
    "complete by event": lambda s: s.result(Reply(events=(NewEvent(lifecycle.COMPLETED, {}),))),
    "fail": lambda s: s.result(Reply(end=Failing("HOPELESS"))),
    "fail by event": lambda s: s.result(Reply(events=(NewEvent(lifecycle.FAILED, {}),))),
    "wait": lambda s: s.result(Reply(waits=(WaitRequest("which one?"),))),
    "cut": lambda s: s.result(Cut("it broke")),
    "retryable": lambda s: s.result(RETRYABLE),
    "permanent": lambda s: s.result(PERMANENT),
    "last attempt": lambda s: s.result(RETRYABLE, "breaking"),
    "permanent CONTINUE": lambda s: s.result(PERMANENT, "lenient"),
    "ended: success": lambda s: s.late(NEXT),
    "ended: complete": lambda s: s.late(Reply(end=Completion())),
    "ended: permanent": lambda s: s.late(PERMANENT),
    "new: success": lambda s: s.untouched(results=s.new_result(NEXT)),
    "new: in call": lambda s: s.untouched(
        rows={"worker": Delivery(s.new.event_id, "worker", DeliveryState.LEASED, leased_by=ROUTER)}
    ),
    "new: parked": lambda s: s.untouched(
        rows={"worker": Delivery(s.new.event_id, "worker", DeliveryState.NO_ENDPOINT)}
    ),
    "new: no task": lambda s: s.untouched(tasks=()),
    "given back": lambda s: s.given_back(),
    "input": lambda s: s.world.answer("", {"n": 1}) and "",
    "publish": lambda s: s.world.publish("news") and "",
    "cancel": lambda s: s.world.cancel() or "",
    "retry": lambda s: s.world.retry(s.letter()) or "",
    "retired": lambda s: s.retired(DeliveryState.NO_ENDPOINT),
    "retired in call": lambda s: s.retired(DeliveryState.LEASED),
    "discard": lambda s: s.world.discard(s.letter()) or "",
}


def cells() -> list[tuple[str, str, str]]:
    found = []
    for line in TABLE.strip().splitlines():
        operation, *outcomes = (cell.strip() for cell in line.split("|"))
        assert len(outcomes) == len(COLUMNS)
        found += [
            (operation, column, outcome)
            for column, outcome in zip(COLUMNS, outcomes, strict=True)
            if outcome
        ]
    assert {operation for operation, *_ in found} == OPERATIONS.keys()
    return found


@pytest.mark.parametrize(("operation", "column", "expected"), cells())
def test_the_table(operation: str, column: str, expected: str) -> None:
    scene = Scene(column)
    before = scene.world.instance
    try:
        told = str(OPERATIONS[operation](scene))
    except WaystationError as refused:
        told = refused.reason
        assert scene.world.instance is before, "what is refused changes nothing"
    assert scene.outcome(told) == expected
    scene.world.check_history()


def test_every_move_of_the_table_and_no_other() -> None:
    moves = {
        (before.name, after.name)
        for before in Status
        for after in Status
        if lifecycle.may_move(before, after)
    }
    assert moves == {
        ("ACTIVE", "WAITING_FOR_INPUT"),
        ("WAITING_FOR_INPUT", "ACTIVE"),
        ("WAITING_FOR_INPUT", "WAITING_FOR_INPUT"),
        *(
            (before, after)
            for before in ("ACTIVE", "WAITING_FOR_INPUT")
            for after in ("COMPLETED", "FAILED", "CANCELLED")
        ),
        ("FAILED", "ACTIVE"),
    }


@pytest.mark.parametrize(
    ("event_type", "task_may", "client_may"),
    [
        ("claim.processed", True, True),
        ("workflow.completed", True, False),
        ("workflow.failed", True, False),
        ("workflow.started", False, False),
        ("workflow.cancelled", False, False),
        ("workflow.whatever", False, False),
        ("user.input.provided", False, False),
        ("user.input.timed_out", False, False),
        ("user.input.assigned", False, False),
        ("waystation.schedule.fired", False, False),
        ("waystation", True, True),
        ("user.input", True, True),
        ("workflows.done", True, True),
    ],
)
def test_who_may_raise_what(event_type: str, task_may: bool, client_may: bool) -> None:
    def allowed(check: Callable[[str], None], refusal: type[WaystationError]) -> bool:
        try:
            check(event_type)
        except refusal:
            return False
        return True

    assert allowed(lifecycle.check_task_event, ResponseInvalid) is task_may
    assert allowed(lifecycle.check_client_event, ReservedEventType) is client_may


def test_what_the_end_raises_is_delivered_and_what_it_causes_too() -> None:
    """Complete by a task's own event, then two steps of events that follow from it."""
    world = World()
    world.handle(world.first, WORKER, Reply(events=(NewEvent(lifecycle.COMPLETED, {"sum": 1}),)))
    of: Event = world.raised(lifecycle.COMPLETED)[0]
    assert of.payload == {"sum": 1}
    for name in ("archive", "mail"):
        world.handle(of, WORKER, Reply(events=(NewEvent(name, {}),)))
        (of,) = world.raised(name)
        assert of.event_id in world.outbox
