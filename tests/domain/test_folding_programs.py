"""Random lives of one instance: calls that overlap, results that come twice or too late, clients and
operators in between, against a model that knows nothing of versions, drafts or counters.

`World` checks after every commit that versions have no gaps, that what is unsettled is counted
right, and that exactly those instances are idle that have nothing left to come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from domain.world import ROUTER, World, task
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.errors import WaystationError
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    JsonObject,
    NewEvent,
    OnFailure,
    Result,
    Status,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Completion,
    Cut,
    Failing,
    FanOut,
    Outcome,
    Patch,
    Pending,
    Replacement,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import EventTouch, apply_touch, take_turn
from waystation_domain.retirement import STAYS, retire
from waystation_domain.task_spec import TaskSpec

STRICT = task("strict", attempts=2)
LENIENT = task("lenient", attempts=2, on_failure=OnFailure.CONTINUE)
ENDING = task("ending", attempts=2)
TASKS = {one.task_id: one for one in (STRICT, LENIENT, ENDING)}

# Which tasks handle which type. Nobody handles "lost", nor `workflow.waiting_for_input`.
HANDLED = {
    "workflow.started": (STRICT, LENIENT),
    "both": (STRICT, LENIENT),
    "one": (STRICT,),
    "lenient": (LENIENT,),
    "user.input.provided": (LENIENT,),
    "user.input.timed_out": (LENIENT,),
    "then": (STRICT,),
    "workflow.completed": (ENDING,),
    "workflow.failed": (ENDING,),
}
TYPES = ["both", "one", "lenient", "lost"]


def resolve(event_type: str, workflow_type: str) -> Sequence[TaskSpec]:
    return HANDLED.get(event_type, ())


@dataclass(frozen=True)
class InCall:
    """A call that was sent, and what it saw."""

    event: Event
    task: TaskSpec
    attempt: int
    edit: int
    base: int
    data: JsonObject


class Life:
    """Drives a World the way routers and clients do, and keeps the books of the model."""

    def __init__(self, *, resolves: bool) -> None:
        self.world = World(
            {"tokens": [], "bag": [], "n": 0}, resolve=resolve if resolves else None, max_events=60
        )
        self.in_call: list[InCall] = []
        self.done: list[tuple[InCall, Outcome]] = []
        self.lost: Counter[tuple[str, str]] = Counter()
        self.numbers = 0
        self.groups: set[int] = set()
        # The model: what must be in the data, from the verdicts alone.
        self.tokens: list[int] = []
        self.bag: Counter[int] = Counter()
        self.total = 0
        self.given: JsonObject = {}
        self.succeeded: Counter[tuple[str, str]] = Counter()

    # --- registration ----------------------------------------------------------------------

    def catch_up(self, by: TaskSpec) -> None:
        """The task is new: it gets every unhandled event that it never had a delivery of."""
        world = self.world
        had = {(entry.event_id, entry.processed_by) for entry in world.history}
        had |= world.deliveries.keys()
        unhandled = dict.fromkeys(
            entry.event_id for entry in world.history if entry.result is Result.UNHANDLED
        )
        events = [
            world.events[event_id]
            for event_id in unhandled
            if event_id is not None and (event_id, by.task_id) not in had
        ]
        world.catch_up(events, by)

    def retire(self, task_id: str) -> None:
        """The task is retired, for a moment: what waits for it becomes dead letters."""
        world = self.world
        rows = [row for row in world.deliveries.values() if row.task_id == task_id]
        with world.drafting() as draft:
            retire(draft, [(row, world.events[row.event_id]) for row in rows])
        left = {row.state for row in world.deliveries.values() if row.task_id == task_id}
        assert left <= set(STAYS)

    # --- routers ---------------------------------------------------------------------------

    def callable(self) -> list[tuple[Event, TaskSpec]]:
        """Deliveries that a router could call now."""
        world = self.world
        busy = {(one.event.event_id, one.task.task_id) for one in self.in_call}
        fresh = [
            (world.events[event_id], by)
            for event_id in sorted(world.outbox)
            for by in resolve(world.events[event_id].event_type, "")
        ]
        rows = [
            (world.events[row.event_id], TASKS[row.task_id])
            for _, row in sorted(world.deliveries.items())
            if row.state in (DeliveryState.READY, DeliveryState.LEASED)
        ]
        return [one for one in fresh + rows if (one[0].event_id, one[1].task_id) not in busy]

    def call(self, event: Event, by: TaskSpec) -> None:
        row = self.world.row(event, by)
        if row is not None and row.state is DeliveryState.READY:
            row = self.world.claim(event, by)
        attempt, edit = 1, 0
        if row is not None:
            attempt = row.attempts if row.suspect else row.attempts + 1
            edit = row.edit
        instance = self.world.instance
        self.in_call.append(
            InCall(event, by, max(attempt, 1), edit, instance.version, instance.data)
        )

    def finish(self, calls: Sequence[tuple[InCall, Outcome]]) -> None:
        """Results that came in together: one commit."""
        self.in_call = [one for one in self.in_call if all(one is not call for call, _ in calls)]
        # The data after each touch, so that every sequence number seen can be folded to.
        with self.world.drafting() as draft:
            for call, outcome in calls:
                touch = self._touch(call, outcome)
                letters = draft.instance.dead_letters
                verdict = apply_touch(draft, touch, router_id=ROUTER).get(call.task.task_id)
                self.world.data_at[draft.instance.version] = draft.instance.data
                if verdict is Verdict.APPLIED and isinstance(outcome, Reply):
                    # One that broke a rule is a dead letter instead.
                    if draft.instance.dead_letters == letters:
                        self._book(call, outcome)
                        self.groups |= {one.then.payload["group"] for one in outcome.fan_outs}
                elif verdict is Verdict.CONFLICT:
                    place = (call.event.event_id, call.task.task_id)
                    self.lost[place] += 1
                    if self.lost[place] > 1:
                        take_turn(draft, touch, call.task, router_id=ROUTER)
        self.done += calls

    def _touch(self, call: InCall, outcome: Outcome) -> EventTouch:
        result = CallResult(call.task, call.attempt, call.base, outcome, edit=call.edit)
        tasks = resolve(call.event.event_type, "")
        return EventTouch(call.event, tasks, {call.task.task_id: result})

    def _book(self, call: InCall, reply: Reply) -> None:
        self.succeeded[call.event.event_id, call.task.task_id] += 1
        for operation in reply.change if isinstance(reply.change, tuple) else ():
            if operation.path == "/tokens":
                self.tokens.append(operation.value[-1])
            elif operation.path == "/bag":
                self.bag[operation.value] += 1
            elif operation.path == "/n":
                self.total += operation.value
        if isinstance(reply.change, (Patch, Replacement)):
            root = reply.change.patch if isinstance(reply.change, Patch) else reply.change.root
            self.tokens.append(root["tokens"][-1])

    def touch_rest(self, how: DeliveryState) -> None:
        """Everything in the outbox gets its rows, or is told that nobody handles it."""
        for event_id in sorted(self.world.outbox):
            event = self.world.events[event_id]
            rows = {
                by.task_id: Delivery(event_id, by.task_id, how, suspect=how is DeliveryState.READY)
                for by in resolve(event.event_type, "")
            }
            self.world.touch(EventTouch(event, resolve(event.event_type, ""), {}, rows))

    # --- what tasks answer -----------------------------------------------------------------

    def outcome(self, kind: str, call: InCall) -> Outcome:
        self.numbers += 1
        number = self.numbers
        grown = [*call.data["tokens"], number]
        appended = Operation("/bag", "append", number)
        event = (NewEvent(TYPES[number % len(TYPES)], {"n": number}),)
        outcomes: dict[str, Callable[[], Outcome]] = {
            # Read, think, write: the naive way, safe only by the conflict rule.
            "naive": lambda: Reply(
                event, (Operation("/tokens", "set", grown),), reads=("/tokens",)
            ),
            "unsaid reads": lambda: Reply((), (Operation("/tokens", "set", grown),)),
            "patch": lambda: Reply(event, Patch({"tokens": grown}), reads=("/tokens",)),
            "replacement": lambda: Reply(
                (), Replacement({**call.data, "tokens": grown}), reads=None
            ),
            "append": lambda: Reply(event, (appended,), reads=()),
            "add": lambda: Reply((), (Operation("/n", "increment", number),), reads=()),
            "nothing": lambda: Reply(reads=()),
            "fan out": lambda: self._fan_out(number),
            "nested": lambda: replace(self._fan_out(number), events=event),
            "timed group": lambda: self._fan_out(number, timeout=20.0),
            "delayed": lambda: Reply((NewEvent("one", {}, delay=number % 30), *event), reads=()),
            "expiring": lambda: Reply(
                (NewEvent("both", {}, expires_at=self.world.now + timedelta(seconds=15)),), reads=()
            ),
            "delayed and expiring": lambda: Reply(
                (
                    NewEvent(
                        "one",
                        {},
                        delay=number % 20,
                        expires_at=self.world.now + timedelta(seconds=15),
                    ),
                ),
                reads=(),
            ),
            "wait a while": lambda: Reply(
                (), (appended,), waits=(WaitRequest("?", timeout=25.0),), reads=()
            ),
            "pending": lambda: Pending(10.0),
            "wait": lambda: Reply((), (appended,), waits=(WaitRequest("?"),), reads=()),
            "complete": lambda: Reply((), (appended,), end=Completion(), reads=()),
            "complete by event": lambda: Reply(
                (NewEvent("workflow.completed", {}), *event), (appended,), reads=()
            ),
            "fail": lambda: Reply((), (appended,), end=Failing("HOPELESS"), reads=()),
            "invalid": lambda: Reply(event, (Operation("/n/x", "set", 1), appended), reads=()),
            "error": lambda: AttemptError("UNAVAILABLE", "BUSY", "later"),
            "permanent": lambda: AttemptError("TASK_FAILURE", "BROKEN", "no", permanent=True),
            "cut": lambda: Cut("it broke"),
        }
        return outcomes[kind]()

    def _fan_out(self, number: int, timeout: float | None = None) -> Reply:
        size = number % 5
        return Reply(
            fan_outs=(
                FanOut(
                    tuple(NewEvent(TYPES[(number + n) % len(TYPES)], {}) for n in range(size)),
                    NewEvent("then", {"group": number}),
                    need=number % 3 if number % 3 <= size else 0,
                    timeout=timeout,
                ),
            ),
            reads=(),
        )

    def complete_pending(self, at: int, outcome: Outcome) -> bool:
        """A result that was to follow comes, or its time is over."""
        pending = [
            row
            for _, row in sorted(self.world.deliveries.items())
            if row.state is DeliveryState.PENDING
        ]
        if not pending:
            return False
        row = pending[at % len(pending)]
        instance = self.world.instance
        event = self.world.events[row.event_id]
        by = TASKS[row.task_id]
        self.finish(
            [
                (
                    InCall(event, by, row.attempts + 1, row.edit, instance.version, instance.data),
                    outcome,
                )
            ]
        )
        return True

    # --- the end ---------------------------------------------------------------------------

    def waited_for(self) -> list[OpenDeadLetter]:
        """Dead letters that an ACTIVE instance waits for: another one's retry has made it go on."""
        world = self.world
        if world.instance.status is not Status.ACTIVE:
            return []
        dead = {place for place, row in world.deliveries.items() if row.state is DeliveryState.DEAD}
        return [
            one for one in world.open_dead_letters() if (one.event.event_id, one.task_id) in dead
        ]

    def drain(self) -> None:
        """Everything open is called until nothing is, dead letters that keep it from going on
        included: with answers that raise nothing more."""
        self.world.pass_time(3600)
        for _ in range(500):
            self.world.fire_due()
            if self.complete_pending(0, Reply(reads=())):
                continue
            if self.in_call:
                self.finish([(self.in_call[0], Reply(reads=()))])
            elif found := self.callable():
                self.call(*found[0])
            elif self.world.outbox:
                self.touch_rest(DeliveryState.LEASED)
            elif letters := self.waited_for():
                self.world.retry(letters[0])
            else:
                break
        else:
            raise AssertionError("the instance never comes to rest")
        # Cleaning up looks once more at what was in call.
        self.world.pass_time(3600)
        self.world.fire_due()
        world = self.world
        left = {row.state for row in world.deliveries.values()}
        assert left <= {DeliveryState.HELD, DeliveryState.DEAD}
        if DeliveryState.HELD in left:
            assert world.instance.status is Status.FAILED
            assert world.open_dead_letters()
        fired = Counter(one.payload["group"] for one in world.raised("then"))
        assert not fired or max(fired.values()) == 1, "a group fired twice"
        if world.instance.status is Status.ACTIVE:
            assert not world.instance.groups
            assert fired.keys() == self.groups, "a group never fired"
        assert sum(entry.action == "fan_in" for entry in world.history) == fired.total()
        if world.instance.status in (Status.COMPLETED, Status.CANCELLED):
            assert not world.timers
            assert left <= {DeliveryState.DEAD}

    def check(self) -> None:
        data = self.world.instance.data
        assert data["tokens"] == self.tokens, "an update was lost, or came twice"
        assert Counter(data["bag"]) == self.bag
        assert data["n"] == self.total
        assert {key: data[key] for key in self.given} == self.given
        assert not self.succeeded or max(self.succeeded.values()) == 1


OUTCOMES = [
    *["naive"] * 8,
    *["append", "add", "nothing", "patch", "replacement", "unsaid reads"] * 2,
    *["wait", "error", "error", "permanent", "permanent", "cut", "cut", "invalid"],
    *["complete", "complete by event", "fail"],
    *["fan out", "nested", "timed group"] * 2,
    *["delayed", "expiring", "delayed and expiring", "wait a while", "pending", "pending"],
]
OUTCOME = st.sampled_from(OUTCOMES)
AT = st.integers(0, 9)
RARELY = st.integers(0, 19).map(lambda n: n == 0)
STEPS = st.one_of(
    *[st.tuples(st.just("call"), AT)] * 5,
    *[st.tuples(st.just("finish"), AT, OUTCOME)] * 4,
    st.tuples(st.just("finish all"), st.lists(OUTCOME, min_size=4, max_size=4)),
    st.tuples(st.just("repeat"), st.integers(0, 99)),
    st.tuples(st.just("touch rest"), st.sampled_from([DeliveryState.LEASED, DeliveryState.READY])),
    *[st.tuples(st.just("publish"), st.sampled_from(TYPES))] * 2,
    st.tuples(st.just("input"), st.booleans()),
    *[st.tuples(st.just("retry"), AT, st.booleans())] * 2,
    st.tuples(st.just("discard"), AT),
    *[st.tuples(st.just("time"), st.integers(1, 40))] * 2,
    st.tuples(st.just("complete pending"), AT, OUTCOME),
    st.tuples(st.just("cancel"), RARELY),
    *[st.tuples(st.just("late"), st.sampled_from(sorted(TASKS)))] * 2,
    st.tuples(st.just("retire"), st.sampled_from(sorted(TASKS))),
)
PROGRAMS = st.lists(STEPS, min_size=40, max_size=80)


def take(life: Life, step: tuple[Any, ...]) -> None:
    """One step of a program; what clients ask may be refused, which changes nothing."""
    world = life.world
    before = world.instance
    match step:
        case ("call", at) if found := life.callable():
            life.call(*found[at % len(found)])
        case ("finish", at, kind) if life.in_call:
            call = life.in_call[at % len(life.in_call)]
            life.finish([(call, life.outcome(kind, call))])
        case ("finish all", kinds):
            calls = life.in_call[: len(kinds)]
            life.finish(
                [(call, life.outcome(kind, call)) for call, kind in zip(calls, kinds, strict=False)]
            )
        case ("repeat", at) if life.done:
            call, outcome = life.done[at % len(life.done)]
            # Only what is not called again meanwhile: those results count for the new call.
            if all(one.event is not call.event for one in life.in_call):
                life.finish([(call, outcome)])
        case ("touch rest", how):
            life.touch_rest(how)
        case ("time", seconds):
            world.pass_time(seconds)
            world.fire_due()
        case ("complete pending", at, kind):
            nobody = InCall(world.first, STRICT, 1, 0, 0, world.instance.data)
            life.complete_pending(at, life.outcome(kind, nobody))
        case _:
            try:
                _ask(life, step)
            except WaystationError:
                assert world.instance is before


def _ask(life: Life, step: tuple[Any, ...]) -> None:
    world = life.world
    letters = world.open_dead_letters()
    match step:
        case ("publish", event_type):
            world.publish(event_type)
        case ("input", named):
            life.numbers += 1
            answer = {f"answer-{life.numbers}": life.numbers}
            waits = world.instance.waits
            world.answer(waits[-1].wait_id if named and waits else "", answer)
            life.given |= answer
        case ("retry", at, edited) if letters:
            life.numbers += 1
            world.retry(letters[at % len(letters)], {"edit": life.numbers} if edited else None)
        case ("discard", at) if letters:
            world.discard(letters[at % len(letters)])
        case ("cancel", True):
            world.cancel()
        case ("late", task_id) if world.instance.status.is_open:
            life.catch_up(TASKS[task_id])
        case ("retire", task_id):
            life.retire(task_id)


@given(PROGRAMS, st.booleans())
def test_any_life_keeps_its_books(steps: list[tuple[Any, ...]], resolves: bool) -> None:
    life = Life(resolves=resolves)
    for step in steps:
        take(life, step)
        life.check()
    life.drain()
    life.check()
    life.world.check_history()


def test_the_naive_join_fires_once_in_any_order() -> None:
    """Every branch marks itself done; the one that sees all of them done raises the next event. All
    compute from the same version; the rule makes those that lost look again."""
    branches = [replace(STRICT, task_id=f"branch-{n}") for n in range(5)]
    world = World({"done": []})
    base, seen = world.instance.version, world.instance.data
    waiting = [(branch, base, seen) for branch in branches]
    joined = 0
    while waiting:
        by, version, data = waiting.pop(0)
        done = sorted([*data["done"], by.task_id])
        complete = len(done) == len(branches)
        reply = Reply(
            (NewEvent("joined", {}),) if complete else (),
            (Operation("/done", "set", done),),
            reads=("/done",),
        )
        verdict = world.handle(world.first, by, reply, tasks=branches, base=version)
        if verdict is Verdict.CONFLICT:
            waiting.append((by, world.instance.version, world.instance.data))
        else:
            assert verdict is Verdict.APPLIED
            joined += complete
    assert joined == len(world.raised("joined")) == 1
    assert world.instance.data == {"done": sorted(by.task_id for by in branches)}
    world.check_history()
