"""Timers, groups and pending deliveries on a real Postgres: what is decided comes back as it was, and
what is due is claimed by one router at a time, by the database's clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from store.instances import ROUTER, Engine, a_start, task
from support.registries import of_default

from waystation_core.providers import PROVIDERS
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import DeliveryState, NewEvent, TimerKind
from waystation_domain.outcomes import FanOut, Pending, Reply, WaitRequest
from waystation_domain.timers import FiringFacts, fire

A = task("a")


async def pass_time(engine: Engine, seconds: float) -> None:
    """As if everything that is timed had been set so much earlier."""
    for table in ("timers", "deliveries"):
        await engine.rows(
            f"UPDATE {table} SET due_at = due_at - make_interval(secs => %s)", seconds
        )


async def claimed(engine: Engine) -> list[tuple[int, TimerKind, str]]:
    found = await engine.store.claim_timers(100)
    for key, due in found.items():
        async with engine.store.locked(key=key) as locked:
            standing = await locked.timers()
        assert all(timer in standing for timer in due)
    return [(key, timer.kind, timer.ref) for key, due in found.items() for timer in due]


async def test_a_deadline_counts_from_the_start(engine: Engine) -> None:
    start = a_start(deadline=60.0)
    (answer,) = await engine.store.start([start])
    instance = answer.instance
    assert instance.created_at is not None
    assert instance.deadline == instance.created_at + timedelta(seconds=60)
    assert (await engine.instance(instance.key)).deadline == instance.deadline
    assert await claimed(engine) == []
    await pass_time(engine, 60)
    assert await claimed(engine) == [(instance.key, TimerKind.DEADLINE, "")]
    # Claimed for a while; who dies with it leaves it to another one.
    assert await claimed(engine) == []
    await pass_time(engine, 5)
    assert await claimed(engine) == [(instance.key, TimerKind.DEADLINE, "")]


async def test_a_delayed_event_is_in_no_outbox_before_its_time(engine: Engine) -> None:
    instance, first = await engine.started()
    at = datetime.now(UTC) + timedelta(hours=1)
    events = (NewEvent("in a while", {}, delay=60.0), NewEvent("then", {}, deliver_at=at))
    commit = await engine.decide(first.event_id, A, Reply(events, reads=()))
    assert await engine.write(commit) == {instance.key}
    delayed, later = commit.raised
    loaded = await engine.store.load([delayed.event_id, later.event_id])
    event, _ = loaded.events[delayed.event_id]
    assert event.created_at is not None
    assert event.deliver_at == event.created_at + timedelta(seconds=60)
    assert loaded.events[later.event_id][0].deliver_at == at
    # A message published by hand finds nothing to do.
    assert not any(facts.is_open for facts in loaded.facts.values())
    after = await engine.instance(instance.key)
    assert (after.unsettled, after.timers, after.idle) == (2, 2, None)
    await pass_time(engine, 60)
    assert await claimed(engine) == [(instance.key, TimerKind.EVENT, delayed.event_id)]
    async with engine.store.locked(key=instance.key) as locked:
        due, _ = await locked.timers()
        known = await locked.facts_of([delayed.event_id])
        facts = {delayed.event_id: replace(known[delayed.event_id], timed=True)}
        draft = Draft(locked.instance, facts=facts, rules=Rules(PROVIDERS), now=locked.now)
        fire(draft, due, FiringFacts(events={delayed.event_id: event}))
        await locked.write(draft.commit())
    loaded = await engine.store.load([delayed.event_id])
    assert loaded.facts[delayed.event_id].in_outbox
    assert (await engine.instance(instance.key)).timers == 1


async def test_groups_and_waits_come_back_as_they_were(engine: Engine) -> None:
    instance, first = await engine.started()
    group = FanOut(
        (NewEvent("a", {}), NewEvent("b", {})),
        NewEvent("then", {"x": [1, None]}, priority=7, metadata={"k": "v"}, schema_version="2"),
        need=1,
        timeout=60.0,
    )
    commit = await engine.decide(first.event_id, A, Reply(fan_outs=(group,), reads=()))
    await engine.write(commit)
    assert (await engine.instance(instance.key)).groups == commit.after.groups
    a, b = commit.raised
    assert {event.branch for event in (a, b)} == {
        (commit.after.groups[0].group_id, n) for n in (0, 1)
    }
    loaded = await engine.store.load([a.event_id, b.event_id])
    assert loaded.events[b.event_id][0].branch == b.branch
    asks = Reply(waits=(WaitRequest("?", "w-1", timeout=30.0),), reads=())
    commit = await engine.decide(a.event_id, A, asks)
    await engine.write(commit)
    after = await engine.instance(instance.key)
    assert (after.waits, after.groups) == (commit.after.waits, commit.after.groups)
    assert {(kind, ref) for _, kind, ref in await timers(engine)} == {
        (TimerKind.FAN_OUT, after.groups[0].group_id),
        (TimerKind.WAIT, "w-1"),
    }
    await engine.write(await engine.decide(b.event_id, A, Reply(reads=())))
    # It fired, one of its branches being enough, and its timer is gone.
    assert (await engine.instance(instance.key)).groups == ()
    assert [ref for _, _, ref in await timers(engine)] == ["w-1"]


async def timers(engine: Engine) -> list[tuple[int, int, str]]:
    return [
        (row[0], row[1], row[2])
        for row in await engine.rows(
            "SELECT instance_key, kind, ref FROM timers ORDER BY kind, ref"
        )
    ]


async def test_pending_deliveries_are_cut_at_their_time_by_one_router(engine: Engine) -> None:
    _, first = await engine.started()
    await engine.write(await engine.decide(first.event_id, A, Pending(60.0)))
    assert await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False) == []
    assert await engine.store.claim_overdue(ROUTER, 10) == []
    await pass_time(engine, 60)
    (row,) = await engine.store.claim_overdue(ROUTER, 10)
    assert (row.state, row.leased_by, row.attempts) == (DeliveryState.LEASED, ROUTER, 0)
    assert await engine.store.claim_overdue(ROUTER, 10) == []
