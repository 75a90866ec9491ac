"""Two and three commits of one instance, statement by statement, in every order that there is (two) or in
many (three), on a real Postgres. After each order all of it must be as if one had come after the other.

    make fuzz MINUTES=60        2,000 orders of each three among it
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from model import orders
from model.checking import Story, Witness, check
from model.handlers import Answer
from model.orders import Actor, Sampled, Schedule
from router.given import meters_of
from support.databases import migrated

from localservers.postgres import PostgresServer
from waystation_api.handlers.catch_ups import catch_up
from waystation_api.workflows.changes import Change, Changes
from waystation_api.workflows.instance_queues import InstanceQueues
from waystation_conversion.replies import reply_from_proto
from waystation_core.background import Contact
from waystation_core.decisions import Decisions, Request
from waystation_core.ids import new_id
from waystation_core.ports.store import Registration
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_core.store.connections import Connections, open_pool
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain import actions
from waystation_domain.draft import Draft, Rules
from waystation_domain.errors import WorkflowEnded, WorkflowNotWaiting
from waystation_domain.model import Event, NewEvent, OnFailure
from waystation_domain.outcomes import CallResult, Reply
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec
from waystation_router.committer import Committer
from waystation_router.flood_window import FloodWindow
from waystation_router.ledger import UNKNOWN, DeliveryCall, Handling, Ledger, Message
from waystation_router.timers import Timers


def _spec(task_id: str, *types: str, service: str = "early") -> TaskSpec:
    return TaskSpec(
        task_id,
        service,
        types,
        ("flow",),
        retry=RetryPolicy(max_attempts=3, initial_backoff=0.0),
        on_failure=OnFailure.CONTINUE,
    )


BEGIN, WORK, SLOW, JOIN = (
    _spec("begin", "workflow.started"),
    _spec("work", "work"),
    _spec("slow", "slow"),
    _spec("join", "joined"),
)
LATE = _spec("late", "extra", service="late")
CONTINUES = frozenset(one.task_id for one in (BEGIN, WORK, SLOW, JOIN, LATE))
DEAD_ROUTER = new_id()


class NoBroker:
    """Nothing is announced: only what is written counts."""

    async def announce(self, batch: Any) -> list[Any]:
        return []

    def dead_letter(self, copies: Any) -> None: ...

    def notify(self, batch: Any) -> None: ...


class QuietRelay(Relay):
    def _announce(self, batch: Any) -> None: ...


@dataclass
class Scene:
    """One instance in the middle of everything: a fan-out with two branches to handle and one that
    nobody handled, a wait whose time is over, and a delivery in call by a router that is dead."""

    pool: Any
    registries: Registries
    witness: Witness
    tokens: Any = field(default_factory=lambda: itertools.count(1))
    key: int = 0
    events: dict[str, Event] = field(default_factory=dict)

    # --- the beginning -----------------------------------------------------------------------

    async def set(self) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                "DELETE FROM workflow_instances; DELETE FROM history; DELETE FROM events; "
                "DELETE FROM outbox; DELETE FROM deliveries; DELETE FROM timers; "
                "DELETE FROM dead_letters; DELETE FROM routers; DELETE FROM requests"
            )
        self.witness.answers.clear()  # type: ignore[attr-defined]
        store = PostgresEngineStore(self.pool)
        start = actions.start(
            providers=PROVIDERS,
            workflow_instance_id="scene",
            workflow_type="flow",
            data={"count": 0},
            payload=None,
            correlation_id=None,
            priority=None,
            metadata=None,
            digest=b"",
            request_id=None,
            namespace="default",
        )
        (started,) = await store.start([start])
        self.key = started.instance.key
        opening = self.answer(
            "begin",
            start.event,
            branches=("work", "work", "extra"),
            raises=("slow",),
            waits=True,
        )
        self.asked = opening.token
        await self._apply(start.event, BEGIN, opening)
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT event_id::text FROM events WHERE event_type <> 'workflow.started' "
                "ORDER BY event_id"
            )
            ids = [row[0] for row in await cursor.fetchall()]
            loaded = await store.load(ids)
            events = {event_id: loaded.events[event_id][0] for event_id in ids}
            works = [one for one in events.values() if one.event_type == "work"]
            self.events = {one.event_type: one for one in events.values()}
            self.events |= {"work-1": works[0], "work-2": works[1]}
            await self._settle_unhandled(self.events["extra"])
            await self._settle_unhandled(self.events["workflow.waiting_for_input"])
            await self._lease(self.events["slow"])
            await connection.execute("UPDATE timers SET due_at = now() - interval '1 s'")

    def answer(self, task_id: str, event: Event, **fields: Any) -> Answer:
        answer = Answer(token=f"t{next(self.tokens)}", **fields)
        self.witness.answers[answer.token] = ((event.event_id, task_id), answer)  # type: ignore[index]
        return answer

    async def _apply(self, event: Event, task: TaskSpec, answer: Answer) -> None:
        async with PostgresEngineStore(self.pool).locked(
            key=self.key, event_ids=[event.event_id]
        ) as locked:
            draft = Draft(
                locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now
            )
            result = CallResult(
                task, 1, locked.instance.version, reply(answer, locked.instance.data)
            )
            touch = EventTouch(event, (task,), {task.task_id: result})
            apply_touch(draft, touch, router_id=DEAD_ROUTER)
            await locked.write(draft.commit())

    async def _settle_unhandled(self, event: Event) -> None:
        await self._touch(EventTouch(event, (), {}))

    async def _lease(self, event: Event) -> None:
        await self._touch(EventTouch(event, (SLOW,), {}, lease=True))

    async def _touch(self, touch: EventTouch) -> None:
        async with PostgresEngineStore(self.pool).locked(
            key=self.key, event_ids=[touch.event.event_id]
        ) as locked:
            draft = Draft(
                locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now
            )
            apply_touch(draft, touch, router_id=DEAD_ROUTER)
            await locked.write(draft.commit())

    # --- who commits -------------------------------------------------------------------------

    def parts(self, actor: Actor) -> tuple[PostgresEngineStore, Relay, Decisions]:
        """What one process has to decide with."""
        store = PostgresEngineStore(actor.pool)
        relay = QuietRelay(store, cast(Any, NoBroker()))
        return store, relay, Decisions(store, relay, self.registries, PROVIDERS, max_events=10_000)

    def result(
        self, of: str, *, locked: bool = False, router_id: str = "", holds: bool = False
    ) -> Any:
        """A router that has the answer of a task in hand: fast form first, or the locked one; with
        `holds` the call lasted, and gets its lease first."""

        async def act(actor: Actor) -> None:
            event = self.events[of]
            task = SLOW if of == "slow" else WORK
            answer = self.answer(task.task_id, event, counts=True)
            ledger = Ledger()
            store, relay, decisions = self.parts(actor)
            done = asyncio.Event()

            def call(handling: Handling, call: DeliveryCall) -> None:
                data = handling.state.instance.data
                call.base_version = handling.state.instance.version
                call.result = CallResult(task, 1, call.base_version, reply(answer, data))
                committer.submit(handling)

            committer = Committer(
                ledger=ledger,
                store=store,
                registries=self.registries,
                relay=relay,
                decisions=decisions,
                router_id=router_id or new_id(),
                call_again=call,
                on_parked=lambda since: None,
                continue_with=lambda portions: frozenset(),
                contact=Contact(store.probe),
                window=FloodWindow(100),
                in_doubt=asyncio.Event(),
                lease_is_held=lambda: True,
                meters=meters_of(ledger),
            )
            loaded = await store.load([event.event_id])
            ledger.learn(loaded)
            _, key = loaded.events[event.event_id]
            facts = loaded.facts[event.event_id]
            known = UNKNOWN if locked else loaded.instances[key].revision
            handling = ledger.open(event, ledger.state(key), facts, known)
            handling.tasks = (task,)
            handling.generation = self.registries.of("default").generation
            handling.calls[task.task_id] = DeliveryCall(task)
            if holds:
                handling.calls[task.task_id].base_version = ledger.state(key).instance.version
                handling.holds = True

                def leased(token: object) -> None:
                    call(handling, handling.calls[task.task_id])

                handling.messages.append(Message((None, 1), 1, leased))
                committer.submit(handling)
            else:
                call(handling, handling.calls[task.task_id])
            closed = ledger.close

            def close(one: Handling) -> None:
                closed(one)
                done.set()

            ledger.close = close  # type: ignore[method-assign]
            committer.start()
            await done.wait()
            await committer.close()

        return act

    def change(self, what: str) -> Any:
        """A client: cancel, input or publish."""

        async def act(actor: Actor) -> None:
            _, _, decisions = self.parts(actor)
            queries = PostgresQueryStore(Connections(actor.pool, actor.pool))
            changes = Changes(queries, decisions, InstanceQueues(4))
            change = Change("scene", request=Request(what, new_id(), b""))
            try:
                if what == "cancel":
                    await changes.cancel(change, "enough")
                elif what == "input":
                    await changes.provide_input(change, "", {f"input-{self.asked}": True}, "")
                else:
                    await changes.publish(change, NewEvent("work", {"by": new_id()}))
            except (WorkflowEnded, WorkflowNotWaiting):
                pass

        return act

    async def timer(self, actor: Actor) -> None:
        """A router whose look at timers finds the wait's."""
        store, _, decisions = self.parts(actor)
        ledger = Ledger()
        await Timers(ledger, store, decisions, meters_of(ledger)).turn()

    async def late_task(self, actor: Actor) -> None:
        """Catch-up of a task that is new."""
        _, _, decisions = self.parts(actor)
        await catch_up(LATE, PostgresRegistryStore(actor.pool), decisions)

    async def take_over(self, actor: Actor) -> None:
        """A router that breaks the dead one's lease and claims what that had in call."""
        store = PostgresEngineStore(actor.pool)
        router_id = new_id()
        await store.break_leases(router_id, 10.0, 100)
        claimed = await store.claim_deliveries(router_id, 1, [("default", "slow")], suspects=True)
        if claimed:
            await self.result("slow", router_id=router_id)(actor)

    @property
    def cast(self) -> dict[str, Callable[[Actor], Awaitable[None]]]:
        return {
            "fast-1": self.result("work-1"),
            "fast-1-again": self.result("work-1"),
            "fast-2": self.result("work-2"),
            "leased-2": self.result("work-2", holds=True),
            "locked-2": self.result("work-2", locked=True),
            "late-answer": self.result("slow", router_id=DEAD_ROUTER),
            "cancel": self.change("cancel"),
            "input": self.change("input"),
            "publish": self.change("publish"),
            "timer": self.timer,
            "catch-up": self.late_task,
            "take-over": self.take_over,
        }

    # --- the end -----------------------------------------------------------------------------

    async def check(self, names: tuple[str, ...]) -> None:
        async with self.pool.connection() as connection:
            story = await Story.read(connection, self.key)
        check(story, self.witness)
        cancelled = story.head.status == 5
        handled = {
            entry.place for entry in story.entries if entry.attempt > 0 and entry.result in (1, 3)
        }
        for name in names:
            if name.startswith(("fast", "locked", "leased")):
                place = (self.events[f"work-{name.split('-')[1]}"].event_id, "work")
                assert place in handled or cancelled, f"{name} has no effect"
        if "late-answer" in names:
            assert (self.events["slow"].event_id, "slow") in handled or cancelled
        if "cancel" in names:
            assert cancelled


def reply(answer: Answer, data: Any) -> Reply:
    made = reply_from_proto(answer.response(data))
    assert isinstance(made, Reply)
    return made


@pytest.fixture
async def scene(postgres: PostgresServer) -> AsyncIterator[Scene]:
    url = postgres.fresh_database(migrated)
    pool = open_pool(url, size=10, name="orders")
    await pool.open(wait=True)
    store = PostgresRegistryStore(pool)
    for tasks in ((BEGIN, WORK, SLOW, JOIN), (LATE,)):
        name = tasks[0].service_name
        await store.register(Registration("", name, "1", "127.0.0.1", len(name), True, tasks))
    registries = Registries(store, look_every=1.0)
    await registries.refresh()
    yield Scene(pool, registries, Witness({}, CONTINUES))
    await pool.close()
    postgres.drop_database(url)


async def once(scene: Scene, names: tuple[str, ...], choose: orders.Choose) -> list[str]:
    await scene.set()
    actors = [Actor(name, scene.pool) for name in names]
    try:
        for actor in actors:
            actor.begin(scene.cast[actor.name](actor))
        order = await orders.run(actors, choose, scene.pool)
        for actor in actors:
            actor.result()
        try:
            await scene.check(names)
        except AssertionError as error:
            error.add_note(f"in the order {order}")
            raise
    finally:
        for actor in actors:
            await actor.finish()
    return order


PAIRS = (
    ("fast-1", "fast-2"),
    ("fast-1", "fast-1-again"),
    ("fast-1", "locked-2"),
    ("fast-1", "leased-2"),
    ("fast-1", "cancel"),
    ("fast-1", "input"),
    ("fast-1", "publish"),
    ("locked-2", "cancel"),
    ("input", "timer"),
    ("input", "cancel"),
    ("timer", "cancel"),
    ("late-answer", "take-over"),
)
MANY = (
    # Catch-up takes so many statements that there are hundreds of orders.
    ("fast-1", "catch-up"),
    ("locked-2", "catch-up"),
    ("fast-1", "fast-1-again", "fast-2"),
    ("fast-1", "locked-2", "catch-up"),
    ("fast-1", "fast-2", "cancel"),
    ("input", "timer", "fast-1"),
    ("late-answer", "take-over", "cancel"),
)
ORDERS = int(os.environ.get("FUZZ_ORDERS") or 15)
"""Sampled of each of `MANY`."""


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
async def test_two_commits_in_every_order(scene: Scene, names: tuple[str, ...]) -> None:
    choices: list[int] | None = []
    while choices is not None:
        schedule = Schedule(choices)
        await once(scene, names, schedule.choose)
        choices = schedule.next()


@pytest.mark.timeout(60 + 2 * ORDERS)
@pytest.mark.parametrize("names", MANY, ids="+".join)
async def test_more_commits_in_many_orders(scene: Scene, names: tuple[str, ...]) -> None:
    for seed in range(ORDERS):
        await once(scene, names, Sampled(seed).choose)
