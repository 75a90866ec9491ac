"""What a router is said to have, and giving back exactly what it does not have."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from store.instances import ROUTER, Engine

from waystation_core.domain.ids import new_id
from waystation_core.domain.model import Delivery, DeliveryState, Event
from waystation_core.ports.store import LeasedRow


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


async def test_leases_are_told_in_pages_by_event_and_task(engine: Engine) -> None:
    events = [await ready(engine, "a", "b") for _ in range(3)]
    await engine.store.claim_deliveries(ROUTER, 10, ["a", "b"], suspects=False)
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
    await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False)
    assert await engine.store.give_back(ROUTER, [LeasedRow(event.event_id, "a")], due_in=60) == 1
    assert await stored(engine, event) == before
    assert await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False) == []
    await engine.rows("UPDATE deliveries SET due_at = now()")
    (again,) = await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False)
    assert again.attempts == 1


async def test_the_attempt_that_a_suspects_claim_recorded_is_taken_back(engine: Engine) -> None:
    event = await ready(engine, "a", suspect=True)
    before = await stored(engine, event)
    (claimed,) = await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=True)
    assert claimed.attempts == 2
    _, (row,) = await engine.store.leased(ROUTER, limit=10)
    assert await engine.store.give_back(ROUTER, [row]) == 1
    assert await stored(engine, event) == before


async def test_only_the_lease_that_was_seen_is_given_back(engine: Engine) -> None:
    """It may have ended meanwhile, and the same delivery be leased anew, to the same router."""
    event = await ready(engine, "a")
    await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False)
    _, (seen,) = await engine.store.leased(ROUTER, limit=10)
    assert seen.since is not None
    assert await engine.store.give_back(new_id(), [seen]) == 0, "it is another router's"
    assert await engine.store.give_back(ROUTER, [seen]) == 1
    assert await engine.store.give_back(ROUTER, [seen]) == 0, "it is no one's"
    await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False)
    assert await engine.store.give_back(ROUTER, [seen]) == 0
    assert (await stored(engine, event))["a"].leased_by == ROUTER
    assert await engine.store.give_back(ROUTER, [replace(seen, since=None)]) == 1


async def test_giving_back_waits_for_nobody(engine: Engine) -> None:
    event = await ready(engine, "a")
    await engine.store.claim_deliveries(ROUTER, 10, ["a"], suspects=False)
    async with engine.pool.connection() as connection, connection.transaction():
        await connection.execute("DELETE FROM deliveries")
        async with asyncio.timeout(1.5):
            assert await engine.store.give_back(ROUTER, [LeasedRow(event.event_id, "a")]) == 0
