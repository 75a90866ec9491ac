"""Random lives of the whole engine, step by step, against what must be true at every step.

Postgres is real, and so are the routers and the API's logic. Everything around them is the machine's:
messages get lost, doubled, delayed and out of order, replies of the store get lost, routers freeze and
die, tasks answer anything, late, twice or never. When all of it is well again, everything must come to
its end or wait for something that explain names.

    make fuzz MINUTES=60        the long form, which tells how to see a failing life again
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model.checking import Story
from model.database import Database
from model.handlers import Answer, Waiting
from model.system import LATE, Asked, Running, System
from support.databases import migrated
from support.scripted_store import held, reply_lost, unavailable

from localservers.postgres import PostgresServer
from waystation.v1.blocker_pb2 import BlockerKind
from waystation_core.ports.broker import AnnounceOutcome

T = TypeVar("T")

INSTANCES = ("a", "b")
TYPES = st.sampled_from(("work", "work", "extra", "nobody", "later:work"))
INDEX = st.integers(0, 7)
STATEMENTS = (
    "commit",
    "commit",
    "locked.exit",
    "claim_deliveries",
    "claim_timers",
    "load",
    "locked",
)
STATEMENTS_OF_CLIENTS = ("start", "locked.exit", "locked")
HOW = ("lost", "lost", "away", "slow", "slower")
OUTCOMES = (
    (AnnounceOutcome.CONFIRMED, False),
    (AnnounceOutcome.UNCONFIRMED, True),
    (AnnounceOutcome.UNCONFIRMED, False),
    (AnnounceOutcome.RETURNED, False),
)
MOVED_BY_OTHERS = {"WAITING_FOR_INPUT", "DEAD_LETTER", "IDLE", "HELD"}
"""What may keep an instance when all is well: a person, or an operator."""
EXAMPLES = 20
STEPS = 40
ROUNDS = 60
"""Until everything is at rest after the last fault. Each is some minutes of the engine's time."""


@st.composite
def answers(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(("plain", "plain", "raise", "fan", "fan", "wait", "end")))
    fields: dict[str, Any] = {
        "counts": draw(st.booleans()),
        "reads_all": draw(st.integers(0, 3)) == 0,
    }
    if kind == "raise":
        fields["raises"] = tuple(draw(st.lists(TYPES, min_size=1, max_size=3)))
    elif kind == "fan":
        fields["branches"] = tuple(draw(st.lists(TYPES, max_size=3)))
        fields["need"] = draw(st.sampled_from((0, 0, 1)))
        fields["limited"] = draw(st.integers(0, 3)) == 0
    elif kind == "wait":
        fields["waits"] = True
        fields["apart"] = draw(st.booleans())
    elif kind == "end":
        fields["ends"] = draw(st.sampled_from(("completed", "completed", "failed")))
    return fields


class Machine(RuleBasedStateMachine):
    """One life. `database` is set by the test."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.database.empty()
        self.system = System(self.database)
        self.late = False
        self.broken = False
        self.stories: list[Story] = []

    @initialize(routers=st.integers(1, 2))
    def begin(self, routers: int) -> None:
        for _ in range(routers):
            self.system.start_router()
        self.system.start("a", "start-a")
        self.look()

    def look(self) -> None:
        """Lets everything go on as far as it can, and checks all that must be true then."""
        try:
            self.system.loop.settle()
            self.stories = self.system.check()
        except BaseException:
            self.broken = True
            raise

    # --- clients -----------------------------------------------------------------------------

    @rule(name=st.sampled_from(INSTANCES), again=st.booleans(), count=st.integers(0, 1))
    def start(self, name: str, again: bool, count: int) -> None:
        request_id = f"start-{name}" if again else f"start-{self.system.number()}"
        there = any(name == story.head.workflow_instance_id for story in self.stories)
        asked = self.system.start(name, request_id, count=count)
        if asked.answer is not None and asked.answer.created:
            assert not there, "S2: created twice"
        self.look()

    @rule(name=st.sampled_from(INSTANCES), event_type=TYPES)
    def publish(self, name: str, event_type: str) -> None:
        self.system.publish(name, event_type)
        self.look()

    @precondition(lambda self: any(story.head.status in (1, 2) for story in self.stories))
    @rule(name=st.sampled_from(INSTANCES), sure=st.integers(0, 3))
    def cancel(self, name: str, sure: int) -> None:
        if sure == 0:
            self.system.cancel(name)
            self.look()

    @precondition(lambda self: self.waits())
    @rule(index=INDEX)
    def provide_input(self, index: int) -> None:
        self.system.provide_input(*_one(self.waits(), index))
        self.look()

    @precondition(lambda self: self.letters())
    @rule(index=INDEX, retry=st.booleans())
    def resolve_letter(self, index: int, retry: bool) -> None:
        self.system.letter(_one(self.letters(), index), retry=retry)
        self.look()

    @precondition(lambda self: self.unanswered())
    @rule(index=INDEX)
    def ask_again(self, index: int) -> None:
        self.system.again(_one(self.unanswered(), index))
        self.look()

    def waits(self) -> list[tuple[str, str]]:
        return [
            (story.head.workflow_instance_id, wait["wait_id"])
            for story in self.stories
            for wait in story.head.waits or ()
        ]

    def letters(self) -> list[str]:
        return [letter for story in self.stories for letter, _ in story.open_dead_letters]

    def unanswered(self) -> list[Asked]:
        return [asked for asked in self.system.asked if not asked.over]

    # --- handler services --------------------------------------------------------------------

    def calls(self) -> list[Waiting]:
        return self.system.ledger.open_calls()

    def _answer(self, fields: dict[str, Any]) -> Answer:
        return Answer(token=f"t{self.system.number()}", **fields)

    @precondition(lambda self: self.calls())
    @rule(index=INDEX, fields=answers())
    def answer(self, index: int, fields: dict[str, Any]) -> None:
        self.system.ledger.answer(_one(self.calls(), index), self._answer(fields))
        self.look()

    @precondition(lambda self: self.calls())
    @rule(first=INDEX, several=st.lists(answers(), min_size=2, max_size=4))
    def answer_several_at_once(self, first: int, several: list[dict[str, Any]]) -> None:
        for fields in several:
            if calls := self.calls():
                self.system.ledger.answer(_one(calls, first), self._answer(fields))
        self.look()

    @precondition(lambda self: self.calls())
    @rule(
        index=INDEX,
        how=st.sampled_from(
            (
                "failure",
                "failure",
                "permanent",
                "garbage",
                "hang",
                "cut",
                "cut",
                "not sent",
                "pending",
            )
        ),
    )
    def answer_otherwise(self, index: int, how: str) -> None:
        call, ledger = _one(self.calls(), index), self.system.ledger
        if how in ("failure", "permanent"):
            ledger.fail(call, permanent=how == "permanent")
        elif how == "garbage":
            ledger.garbage(call)
        elif how == "hang":
            ledger.hang(call)
        elif how == "cut":
            ledger.cut(call)
        elif how == "not sent":
            ledger.not_sent(call)
        else:
            ledger.postpone(call)
        self.look()

    @precondition(lambda self: self.system.ledger.pending)
    @rule(index=INDEX, fields=answers(), fails=st.booleans())
    def end_pending(self, index: int, fields: dict[str, Any], fails: bool) -> None:
        key = _one(self.system.ledger.pending, index)
        # A completion is computed from no context.
        answer = None if fails else self._answer({**fields, "counts": False})
        self.system.complete(key, answer)
        self.look()

    @rule()
    def late_service_comes_or_goes(self) -> None:
        if self.late:
            self.system.unregister("late")
        else:
            self.system.register(LATE)
        self.late = not self.late
        self.look()

    # --- the broker --------------------------------------------------------------------------

    @precondition(lambda self: self.system.wire.messages)
    @rule(index=INDEX, to=INDEX, copy=st.booleans())
    def deliver(self, index: int, to: int, copy: bool) -> None:
        messages = self.system.wire.messages
        at = index % len(messages)
        message = messages[at] if copy else messages.pop(at)
        self.router(to).port.deliver(message)
        self.look()

    @precondition(lambda self: self.system.wire.messages)
    @rule(to=INDEX)
    def deliver_all(self, to: int) -> None:
        self._deliver_all(to)
        self.look()

    def _deliver_all(self, to: int) -> None:
        while self.system.wire.messages:
            self.router(to).port.deliver(self.system.wire.messages.pop(0))
            to += 1
        self.system.loop.settle()

    @precondition(lambda self: self.system.wire.messages)
    @rule(index=st.integers(0, 9), told=st.booleans())
    def lose(self, index: int, told: bool) -> None:
        if index > 7:
            self.system.wire.lose_all(told=told)
        else:
            self.system.wire.messages.pop(index % len(self.system.wire.messages))

    @rule(outcome=st.sampled_from(OUTCOMES), mute=st.booleans())
    def next_announcement(self, outcome: tuple[AnnounceOutcome, bool], mute: bool) -> None:
        self.system.wire.next_outcome = outcome
        self.system.wire.mute = mute

    # --- the store and the routers -----------------------------------------------------------

    def router(self, index: int) -> Running:
        return _one(self.system.routers, index)

    @rule(of=INDEX, name=st.sampled_from(STATEMENTS), how=st.sampled_from(HOW))
    def next_statement(self, of: int, name: str, how: str) -> None:
        """What becomes of the next statement of this name that this router sends."""
        if how == "lost":
            fault = reply_lost()
        elif how == "away":
            fault = unavailable()
        else:
            # A wait under a lock would stop the whole test.
            fault = held(after=how == "slower" and not name.startswith("locked"))
            name = name.removesuffix(".exit")
        self.router(of).script.next(name, fault)

    @rule(name=st.sampled_from(STATEMENTS_OF_CLIENTS), lost=st.booleans())
    def next_statement_of_a_client(self, name: str, lost: bool) -> None:
        self.system.script.next(name, reply_lost() if lost else unavailable())

    @rule(of=INDEX)
    def crash(self, of: int) -> None:
        self.system.crash(self.router(of))
        if not self.system.routers:
            self.system.start_router()
        self.look()

    @precondition(lambda self: len(self.system.routers) < 3)
    @rule()
    def one_router_more(self) -> None:
        self.system.start_router()
        self.look()

    @rule(of=INDEX)
    def freeze_or_heal(self, of: int) -> None:
        router = self.router(of)
        if router.frozen:
            self.system.heal(router)
            self.look()
        else:
            self.system.freeze(router)

    @rule(of=INDEX)
    def heal(self, of: int) -> None:
        self.system.heal(self.router(of))
        self.look()

    @rule(hops=st.sampled_from((1, 1, 2, 4)))
    def time_passes(self, hops: int) -> None:
        for _ in range(hops):
            self.system.advance()
        self.look()

    # --- the end -----------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if not self.broken:
                self._come_to_rest()
        finally:
            self.system.close()

    def _come_to_rest(self) -> None:
        """L1, L2: when nothing is in the way any more, everything ends or waits for somebody."""
        system = self.system
        system.wire.next_outcome = None
        system.wire.mute = False
        system.script.heal()
        system.loop.settle()
        for router in system.routers:
            system.heal(router)
        if not self.late:
            system.register(LATE)
        for asked in system.asked:
            system.again(asked)
        for _ in range(ROUNDS):
            self._deliver_all(0)
            while calls := system.ledger.open_calls():
                system.ledger.answer(calls[0], self._answer({}))
                system.loop.settle()
                self._deliver_all(0)
            if self._rests(system.check()):
                break
            system.advance()
            system.look_again()
        stories = system.check()
        assert all(asked.over for asked in system.asked), "a request never has an answer"
        for story in stories:
            name = story.head.workflow_instance_id
            assert not story.outbox, f"L2: never settled in {name}: {self._told(name)}"
            moving = [row for row in story.deliveries if row.state not in (5, 6)]
            assert not moving, f"L1: {moving} of {name}: {self._told(name)}"
            assert not story.timers, f"L1: {story.timers} of {name}"
            if story.head.status in (1, 2):
                kinds = {_kind(blocker.kind) for blocker in system.explain(name).blockers}
                assert kinds, f"L1: explain says nothing of {name}"
                assert kinds <= MOVED_BY_OTHERS, f"L1: {name}: {kinds}"
        assert not system.wire.messages
        assert not [held for port in system.wire.ports for held in port.held], "L2: never acked"

    def _told(self, name: str) -> str:
        return str(self.system.explain(name))

    def _rests(self, stories: list[Story]) -> bool:
        wire = self.system.wire
        if wire.messages or any(port.held for port in wire.ports):
            return False
        return not any(
            story.outbox or story.timers or any(row.state not in (5, 6) for row in story.deliveries)
            for story in stories
        )


def _one(things: list[T], index: int) -> T:
    return things[index % len(things)]


def _kind(number: int) -> str:
    return str(BlockerKind.Name(number)).removeprefix("BLOCKER_KIND_")


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    url = postgres.fresh_database(migrated)
    database = Database(url)
    yield database
    database.close()
    postgres.drop_database(url)


def _lives(number: int, examples: int, *, shrink: bool) -> None:
    """So many lives, the same ones for a seed."""
    run_state_machine_as_test(
        seed(number)(Machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _wanted(name: str) -> int:
    return int(os.environ.get(f"FUZZ_{name}") or 0)


LONGEST = 900 + 60 * _wanted("MINUTES") + _wanted("EXAMPLES") + 7_200 * bool(_wanted("AGAIN"))
"""Seconds: a run that is to be long may be."""


@pytest.mark.timeout(LONGEST)
def test_random_lives(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    Machine.database = database
    if again := _wanted("AGAIN"):
        _lives(again, EXAMPLES, shrink=True)
        return
    minutes, examples = _wanted("MINUTES"), _wanted("EXAMPLES")
    until = time.monotonic() + 60 * minutes
    for number in itertools.count(1):
        try:
            _lives(number, EXAMPLES, shrink=False)
        except BaseException as error:
            error.add_note(f"The same again, made as short as can be: make fuzz AGAIN={number}")
            raise
        if minutes or examples:
            with capsys.disabled():
                print(f"{number * EXAMPLES} lives")
        if time.monotonic() >= until and number * EXAMPLES >= examples:
            return
