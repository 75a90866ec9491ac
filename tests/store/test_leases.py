"""What a router is said to have, and giving back exactly what it does not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from store.instances import ROUTER, Engine, a_start
from support.registries import of_default

from waystation_core.ids import new_id
from waystation_core.ports.store import LeasedRow, Registration
from waystation_core.store import connections
from waystation_core.store.connections import ConnectionPool, connection_of
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.task_spec import TaskSpec


async def ready(engine: Engine, *task_ids: str, suspect: bool = False) -> Event:
    instance, event = await engine.started()
    await engine.touch_rows(
        instance.key,
        event,
        *(
            Delivery(event.event_id, task_id, DeliveryState.READY, attempts=1, suspect=suspect)
            for task_id in task_ids
        ),
    )
    return event


async def stored(engine: Engine, event: Event) -> dict[str, Delivery]:
    return (await engine.store.load([event.event_id])).facts[event.event_id].deliveries


async def test_leases_are_reported_in_pages_by_event_and_task(engine: Engine) -> None:
    events = [await ready(engine, "a", "b") for _ in range(3)]
    await engine.store.claim_deliveries(ROUTER, 10, of_default("a", "b"), suspects=False)
    told: list[LeasedRow] = []
    while True:
        now, page = await engine.store.leased(ROUTER, after=told[-1] if told else None, limit=4)
        assert all(row.since is not None and row.since <= now for row in page)
        told += page
        if len(page) < 4:
            break
    wanted = sorted((event.event_id, task_id) for event in events for task_id in ("a", "b"))
    assert [(row.event_id, row.task_id) for row in told] == wanted
    assert (await engine.store.leased(new_id(), limit=4))[1] == []


async def test_a_lease_is_given_back_at_no_cost_and_due_when_it_is_wanted(engine: Engine) -> None:
    event = await ready(engine, "a")
    before = await stored(engine, event)
    await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    assert await engine.store.give_back(ROUTER, [LeasedRow(event.event_id, "a")], due_in=60) == 1
    assert await stored(engine, event) == before
    assert await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False) == []
    await engine.rows("UPDATE deliveries SET due_at = now()")
    (again,) = await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    assert again.attempts == 1


async def test_the_attempt_that_a_suspects_claim_recorded_is_taken_back(engine: Engine) -> None:
    event = await ready(engine, "a", suspect=True)
    before = await stored(engine, event)
    (claimed,) = await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=True)
    assert claimed.attempts == 2
    _, (row,) = await engine.store.leased(ROUTER, limit=10)
    assert await engine.store.give_back(ROUTER, [row]) == 1
    assert await stored(engine, event) == before


async def test_only_the_lease_that_was_seen_is_given_back(engine: Engine) -> None:
    """It may have ended meanwhile, and the same delivery be leased again, to the same router."""
    event = await ready(engine, "a")
    await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    _, (seen,) = await engine.store.leased(ROUTER, limit=10)
    assert seen.since is not None
    assert await engine.store.give_back(new_id(), [seen]) == 0, "it is another router's"
    assert await engine.store.give_back(ROUTER, [seen]) == 1
    assert await engine.store.give_back(ROUTER, [seen]) == 0, "it is no one's"
    await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    assert await engine.store.give_back(ROUTER, [seen]) == 0
    assert (await stored(engine, event))["a"].leased_by == ROUTER
    assert await engine.store.give_back(ROUTER, [replace(seen, since=None)]) == 1


async def test_giving_back_waits_for_nobody(engine: Engine) -> None:
    event = await ready(engine, "a")
    await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    async with engine.pool.connection() as connection, connection.transaction():
        await connection.execute("DELETE FROM deliveries")
        async with asyncio.timeout(1.5):
            assert await engine.store.give_back(ROUTER, [LeasedRow(event.event_id, "a")]) == 0


@pytest.mark.parametrize("in_call", [True, False])
async def test_a_turn_is_over_when_its_delivery_is_not_in_call(
    engine: Engine, in_call: bool
) -> None:
    """Its router died, or gave it back: the others need not wait for as long as a call may take."""
    event = await ready(engine, "a")
    if in_call:
        await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    await engine.rows(
        "UPDATE workflow_instances SET turn_holder = %s, turn_until = now() + interval '1 day'",
        f"{event.event_id}:a",
    )
    ((key,),) = await engine.rows("SELECT key FROM workflow_instances")
    async with engine.store.locked(key=key) as locked:
        assert (locked.instance.turn is not None) == in_call


class LosesAnswers:
    """A connection whose answers are lost: of the statement, or of the commit."""

    def __init__(self, connection: Any, what: str) -> None:
        self._connection = connection
        self._what = what

    async def execute(self, *given: Any) -> Any:
        cursor = await self._connection.execute(*given)
        if self._what == "statement":
            raise psycopg.OperationalError("consuming input failed: Connection reset by peer")
        return cursor

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield
        if self._what == "commit":
            raise psycopg.OperationalError("consuming input failed: Connection reset by peer")


@pytest.mark.parametrize("what", ["statement", "commit"])
async def test_a_claim_whose_answer_is_lost_changes_no_due_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Else the event would be announced, the timer fire, and what a late task missed be found only when the
    claim is over."""
    start = a_start(deadline=0.0)
    await engine.store.start([start])
    await engine.store.make_due([start.event.event_id])
    registry = PostgresRegistryStore(engine.pool)
    late = TaskSpec("late", "claims", ("asked",), ("claim",))
    await registry.register(Registration("", "claims", "1", "127.0.0.1", 7500, True, (late,)))
    await engine.rows("UPDATE tasks SET catch_up_again_at = now()")

    @asynccontextmanager
    async def losing(pool: ConnectionPool) -> AsyncIterator[Any]:
        async with connection_of(pool) as connection:
            yield LosesAnswers(connection, what)

    claims: list[Callable[[], Awaitable[Any]]] = [
        lambda: engine.store.claim_due_events(10),
        lambda: engine.store.claim_timers(10),
        registry.catch_ups_due,
    ]
    with monkeypatch.context() as patched:
        patched.setattr(connections, "connection_of", losing)
        for claim in claims:
            if what == "commit":
                assert await claim(), "it may be claimed, so it counts"
            else:
                with pytest.raises(StoreUnavailable):
                    await claim()
    for claim in claims:
        assert bool(await claim()) == (what == "statement")
