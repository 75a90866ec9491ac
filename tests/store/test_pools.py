"""Pools on a real Postgres: joining, lapsing, and claims of one pool's event types."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store.instances import ROUTER, Engine
from support.registries import of_default

from waystation_core.ids import new_id
from waystation_core.ports.store import MadeDue, RouterReport
from waystation_core.store.event_types import as_regex
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.pools import EventTypes, Pool, PoolRefused
from waystation_domain.topics import matches

QUIET = RouterReport(0, 0, {})
FRAUD = Pool("fraud", ("fraud.#", "*.risk"), expires_seconds=300.0)
OF_FRAUD, OF_OTHERS = EventTypes(FRAUD.bindings, but=False), EventTypes(FRAUD.bindings, but=True)


async def beat(engine: Engine, router_id: str, pool: Pool) -> bool:
    """A heartbeat; whether the pool is there."""
    heard = await engine.store.heartbeat(
        router_id, pool.name, "h", 10.0, QUIET, list(pool.bindings)
    )
    return heard.in_pool


async def lapse(engine: Engine) -> None:
    await engine.rows("UPDATE pools SET lapses_at = now()")


async def raised(engine: Engine, *event_types: str) -> dict[str, Event]:
    """Events of one instance, announced just now."""
    instance, _ = await engine.started()
    return {kind: await engine.publish(instance.key, kind) for kind in event_types}


async def test_of_two_pools_that_overlap_one_joins_however_close_they_come(engine: Engine) -> None:
    rivals = [Pool(f"p{at}", (f"*.{word}",), expires_seconds=60.0) for at, word in enumerate("ab#")]
    outcomes = await asyncio.gather(
        *(engine.store.join_pool(pool, 10.0) for pool in rivals for _ in range(2)),
        return_exceptions=True,
    )
    there = {pool.name for pool in (await engine.queries.pools())[1:]}
    assert there in ({"p0", "p1"}, {"p2"})
    refused = [one for one in outcomes if isinstance(one, PoolRefused)]
    assert len(refused) == len([one for one in outcomes if one is not None])
    assert {one.pool for one in refused} == {"p0", "p1", "p2"} - there


async def test_a_pool_outlives_its_routers_and_then_others_may_have_its_types(
    engine: Engine,
) -> None:
    router_id, rival = new_id(), Pool("risk", ("risk.#",), expires_seconds=300.0)
    assert not await beat(engine, router_id, FRAUD)
    await engine.store.join_pool(FRAUD, 10.0)
    assert await beat(engine, router_id, FRAUD)
    assert [(one.name, one.routers) for one in await engine.queries.pools()] == [
        ("default", 0),
        ("fraud", 1),
    ]
    await engine.store.leave(router_id)
    (_, gone) = await engine.queries.pools()
    assert (gone.bindings, gone.routers) == (FRAUD.bindings, 0)
    with pytest.raises(PoolRefused, match="no router; its queue expires by"):
        await engine.store.join_pool(rival, 10.0)
    await lapse(engine)
    await engine.store.join_pool(rival, 10.0)
    # A router that comes back to life finds its types taken.
    assert not await beat(engine, router_id, FRAUD)
    with pytest.raises(PoolRefused, match='"risk"'):
        await engine.store.join_pool(FRAUD, 10.0)


async def test_a_router_that_leaves_others_behind_does_not_shorten_their_pool(
    engine: Engine,
) -> None:
    one, two = new_id(), new_id()
    pool = Pool("fraud", ("fraud.#",), expires_seconds=1.0)
    await engine.store.join_pool(pool, 10.0)
    assert await beat(engine, one, pool)
    assert await beat(engine, two, pool)
    await engine.store.leave(one)
    stays = "SELECT lapses_at - now() > interval '5 s' FROM pools"
    assert await engine.rows(stays) == [(True,)]
    await engine.store.leave(two)
    assert await engine.rows(stays) == [(False,)]


async def test_a_lapsed_pool_gives_back_what_its_queue_held_once(engine: Engine) -> None:
    events = await raised(engine, "fraud.scored", "claim.risk", "claim.read")
    await engine.store.join_pool(FRAUD, 10.0)
    assert await engine.store.end_lapsed_pools() == []
    await lapse(engine)
    ended = await asyncio.gather(*(engine.store.end_lapsed_pools() for _ in range(3)))
    assert sorted(ended) == [[], [], ["fraud"]]
    assert await engine.store.make_lost_due(10) == MadeDue("pool fraud", 2, more=False)
    assert await engine.store.make_lost_due(10) is None
    due = {one.event_id for one in await engine.store.claim_due_events(10)}
    assert due == {events["fraud.scored"].event_id, events["claim.risk"].event_id}


async def test_each_pool_claims_its_own_events_and_deliveries(engine: Engine) -> None:
    kinds = ("fraud.scored", "claim.risk", "claim.read", "fraudulent")
    events = await raised(engine, *kinds)
    ids = {event.event_id: kind for kind, event in events.items()}
    await engine.rows("DELETE FROM outbox WHERE event_id <> ALL(%s::uuid[])", list(ids))
    await engine.store.make_due(list(ids))
    for types, own in ((OF_FRAUD, set(kinds[:2])), (OF_OTHERS, set(kinds[2:]))):
        # A stuck pool's rows stay due, however old, and are in nobody's way.
        claimed = await engine.store.claim_due_events(10, types)
        assert {ids[one.event_id] for one in claimed} == own
        starving = await engine.store.claim_starving_events(10, -1.0, types)
        assert {ids[one.event_id] for one in starving} == own
    for event in events.values():
        (key,) = (await engine.rows("SELECT key FROM workflow_instances"))[0]
        rows = [
            Delivery(event.event_id, "plain", DeliveryState.NO_ENDPOINT),
            Delivery(event.event_id, "suspect", DeliveryState.AT_CAPACITY, suspect=True),
        ]
        await engine.touch_rows(key, event, *rows)
    for types, own in ((OF_FRAUD, set(kinds[:2])), (OF_OTHERS, set(kinds[2:]))):
        assert await engine.store.wake_parked(of_default("plain", "suspect"), 10, types) == {
            ("default", "plain"): 2,
            ("default", "suspect"): 2,
        }
        for suspects in (False, True):
            deliveries = await engine.store.claim_deliveries(
                ROUTER, 10, of_default("plain", "suspect"), suspects=suspects, types=types
            )
            assert {ids[one.event_id] for one in deliveries} == own


WORDS = st.sampled_from(["a", "b", "c-d:e_1"])
PATTERNS = st.lists(WORDS | st.sampled_from("*#"), min_size=1, max_size=4).map(".".join)


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(WORDS, min_size=1, max_size=5))
def test_patterns_mean_the_same_as_a_regular_expression(
    patterns: list[str], words: list[str]
) -> None:
    event_type = ".".join(words)
    found = re.search(as_regex(tuple(patterns)), event_type + ".") is not None
    assert found is any(matches(pattern, event_type) for pattern in patterns)
