"""What sweepers do on a real Postgres: due events, deliveries off the fast way, routers' leases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from store.instances import ROUTER, Engine, a_start, task
from store.reads import reads_of
from support.databases import analyse
from support.registries import of_default

from waystation_core.ids import new_id
from waystation_core.ports.store import BrokenLeases, MadeDue, Registration, RouterReport
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.outcomes import AttemptError, Completion, Reply
from waystation_domain.task_spec import TaskSpec

A, B = task("a"), task("b")
BUSY = AttemptError("UNAVAILABLE", "BUSY", "later")
QUIET = RouterReport(0, 0, {})


async def started(engine: Engine, number: int) -> list[str]:
    """Event ids of new instances, in the order in which they become due."""
    starts = [a_start() for _ in range(number)]
    await engine.store.start(starts)
    return [start.event.event_id for start in starts]


async def become_due(engine: Engine, event_ids: Sequence[str]) -> None:
    """As if their time had come, the first one longest ago."""
    for at, event_id in enumerate(event_ids):
        await engine.rows(
            "UPDATE outbox SET due_at = now() - make_interval(secs => %s) WHERE event_id = %s",
            len(event_ids) - at,
            event_id,
        )


async def wait_of(engine: Engine, event_id: str) -> float:
    """Seconds until an event is announced again."""
    (row,) = await engine.rows(
        "SELECT extract(epoch FROM due_at - announced_at)::float8 FROM outbox WHERE event_id = %s",
        event_id,
    )
    return float(row[0])


# --- events ----------------------------------------------------------------------------------


async def test_each_announcement_doubles_the_wait_up_to_ten_minutes(engine: Engine) -> None:
    (event_id,) = await started(engine, 1)
    assert await wait_of(engine, event_id) == 60
    assert await engine.store.claim_due_events(10) == []
    waits = []
    for announcements in range(2, 9):
        await engine.store.make_due([event_id])
        (due,) = await engine.store.claim_due_events(10)
        assert (due.event_id, due.announcements) == (event_id, announcements)
        waits.append(await wait_of(engine, event_id))
    assert waits == [120, 240, 480, 600, 600, 600, 600]


async def test_a_due_event_says_all_that_its_message_needs(engine: Engine) -> None:
    start = a_start("w-1", priority=7)
    await engine.store.start([start])
    await engine.store.make_due([start.event.event_id])
    (due,) = await engine.store.claim_due_events(1)
    assert (due.event_type, due.workflow_instance_id, due.workflow_type) == (
        "workflow.started",
        "w-1",
        "claim",
    )
    assert (due.version, due.priority, due.correlation_id) == (1, 7, "correlation")
    assert (due.traceparent, due.namespace) == ("00-1", "default")


async def test_the_oldest_are_claimed_first_and_no_more_than_asked(engine: Engine) -> None:
    event_ids = await started(engine, 10)
    await become_due(engine, event_ids)
    for part in (event_ids[:4], event_ids[4:8], event_ids[8:], []):
        assert {one.event_id for one in await engine.store.claim_due_events(4)} == set(part)


async def test_sweepers_that_race_claim_each_event_once(engine: Engine) -> None:
    event_ids = await started(engine, 120)
    await engine.store.make_due(event_ids)
    barrier = asyncio.Barrier(6)

    async def sweep() -> list[str]:
        await barrier.wait()
        found: list[str] = []
        while claimed := await engine.store.claim_due_events(15):
            assert len(claimed) <= 15
            found += [one.event_id for one in claimed]
        return found

    found = [one for part in await asyncio.gather(*(sweep() for _ in range(6))) for one in part]
    assert len(found) == len(set(found))
    # What two had their hands on at once is due still.
    rest = await engine.store.claim_due_events(120)
    assert {*found, *(one.event_id for one in rest)} == set(event_ids)


async def test_a_starving_event_is_announced_once_more_at_the_highest_level(
    engine: Engine,
) -> None:
    start = a_start(priority=0)
    await engine.store.start([start])
    assert await engine.store.claim_starving_events(10, 5.0) == []
    await engine.rows("UPDATE outbox SET created_at = now() - interval '6 s'")
    (starving,) = await engine.store.claim_starving_events(10, 5.0)
    assert starving.event_id == start.event.event_id
    assert starving.priority > 200
    assert await engine.store.claim_starving_events(10, 5.0) == []


async def test_what_is_not_in_a_short_queue_is_announced_once_more_whatever_its_level(
    engine: Engine,
) -> None:
    start = a_start(priority=255)
    await engine.store.start([start])

    async def claimed(*, at_any_level: bool) -> list[str]:
        found = await engine.store.claim_starving_events(10, 5.0, at_any_level=at_any_level)
        return [one.event_id for one in found]

    assert await claimed(at_any_level=True) == []
    later = "created_at = created_at - interval '6 s', announced_at = announced_at - interval '6 s'"
    await engine.rows(f"UPDATE outbox SET {later}")
    assert await claimed(at_any_level=False) == []
    assert await claimed(at_any_level=True) == [start.event.event_id]
    # Once: what is in the hands of a router that is behind must not become more and more.
    await engine.rows(f"UPDATE outbox SET {later}")
    assert await claimed(at_any_level=True) == []


async def test_no_sweep_waits_for_a_commit(engine: Engine) -> None:
    """A transaction that is settling an event, and ending a delivery, holds both rows."""
    instance, event = await engine.started()
    parked = Delivery(event.event_id, "a", DeliveryState.NO_ENDPOINT)
    await engine.touch_rows(instance.key, event, parked)
    other = await engine.publish(instance.key)
    await engine.rows("UPDATE outbox SET announced_at = now() - interval '1 h'")
    async with engine.pool.connection() as connection, connection.transaction():
        await connection.execute("DELETE FROM outbox")
        await connection.execute("DELETE FROM deliveries")
        async with asyncio.timeout(1.5):
            await engine.store.make_due([other.event_id])
            await engine.store.note_lost(1.0)
            assert await engine.store.make_lost_due(10) == MadeDue("broker", 0, more=False)
            assert await engine.store.claim_due_events(10) == []
            assert await engine.store.wake_parked(of_default("a"), 10) == {}
            assert await engine.store.break_leases(ROUTER, 10.0, 10) == BrokenLeases(0, 0)


# --- deliveries ------------------------------------------------------------------------------


async def with_rows(engine: Engine, **rows: Any) -> Event:
    """An event whose deliveries are these."""
    instance, event = await engine.started()
    await engine.touch_rows(
        instance.key,
        event,
        *(Delivery(event.event_id, task_id, **fields) for task_id, fields in rows.items()),
    )
    return event


async def stored(engine: Engine, event: Event) -> dict[str, Delivery]:
    return (await engine.store.load([event.event_id])).facts[event.event_id].deliveries


async def test_due_deliveries_are_leased_and_a_suspects_attempt_is_recorded(
    engine: Engine,
) -> None:
    ready = {"state": DeliveryState.READY, "attempts": 1}
    event = await with_rows(
        engine,
        due=ready,
        later={**ready, "due_in": 60.0},
        suspect={**ready, "suspect": True},
        strange=ready,
        parked={**ready, "state": DeliveryState.NO_ENDPOINT},
        held={**ready, "state": DeliveryState.HELD},
    )
    ours = of_default("due", "later", "suspect", "parked", "held")
    (due,) = await engine.store.claim_deliveries(ROUTER, 10, ours, suspects=False)
    assert (due.task_id, due.state, due.attempts) == ("due", DeliveryState.LEASED, 1)
    assert due.leased_by == ROUTER
    (suspect,) = await engine.store.claim_deliveries(ROUTER, 10, ours, suspects=True)
    assert (suspect.task_id, suspect.attempts) == ("suspect", 2)
    assert await engine.store.claim_deliveries(ROUTER, 10, ours, suspects=False) == []
    rows = await stored(engine, event)
    assert rows["due"] == due
    assert rows["suspect"] == suspect
    assert rows["strange"].state is DeliveryState.READY


async def test_deliveries_that_are_raced_for_are_leased_once(engine: Engine) -> None:
    instance, _ = await engine.started()
    for _ in range(40):
        event = await engine.publish(instance.key)
        await engine.touch_rows(
            instance.key, event, Delivery(event.event_id, "a", DeliveryState.READY)
        )
    barrier = asyncio.Barrier(5)

    async def claim() -> list[str]:
        await barrier.wait()
        claimed = await engine.store.claim_deliveries(new_id(), 20, of_default("a"), suspects=False)
        assert len(claimed) <= 20
        return [row.event_id for row in claimed]

    found = [one for part in await asyncio.gather(*(claim() for _ in range(5))) for one in part]
    assert len(found) == len(set(found))
    assert len(found) >= 20


async def test_the_backlog_is_all_that_waits_for_a_call(engine: Engine) -> None:
    """Work that is parked waits too: a bound that does not see it is none."""
    assert await engine.store.backlog() == 0
    await engine.started()
    assert await engine.store.backlog() == 1
    await with_rows(
        engine,
        retried={"state": DeliveryState.READY},
        nobody={"state": DeliveryState.NO_ENDPOINT},
        full={"state": DeliveryState.AT_CAPACITY},
        in_call={"state": DeliveryState.LEASED, "leased_by": ROUTER},
        held={"state": DeliveryState.HELD},
    )
    assert await engine.store.backlog() == 4


async def test_parked_deliveries_of_a_task_are_woken(engine: Engine) -> None:
    event = await with_rows(
        engine,
        a={"state": DeliveryState.NO_ENDPOINT},
        b={"state": DeliveryState.AT_CAPACITY, "attempts": 2},
        c={"state": DeliveryState.NO_ENDPOINT},
        d={"state": DeliveryState.HELD},
        e={"state": DeliveryState.NO_ENDPOINT, "due_in": 60.0},
    )
    assert await engine.store.wake_parked(of_default("a", "b", "d", "e"), 10) == {
        ("default", "a"): 1,
        ("default", "b"): 1,
    }
    assert {task_id: row.state.name for task_id, row in (await stored(engine, event)).items()} == {
        "a": "READY",
        "b": "READY",
        "c": "NO_ENDPOINT",
        "d": "HELD",
        "e": "NO_ENDPOINT",
    }
    assert await engine.store.wake_parked(of_default("e"), 10, parked_for=60.0) == {}
    assert await engine.store.wake_parked(of_default("e"), 10, parked_for=0.0) == {
        ("default", "e"): 1
    }
    claimed = await engine.store.claim_deliveries(ROUTER, 10, of_default("a", "b"), suspects=False)
    assert sorted(row.attempts for row in claimed) == [0, 2]


# --- leases ----------------------------------------------------------------------------------


async def test_routers_know_how_many_they_are_and_whether_they_lapsed(engine: Engine) -> None:
    one, two = new_id(), new_id()

    async def beat(router_id: str) -> tuple[bool, int]:
        heard = await engine.store.heartbeat(router_id, "default", "h", 30.0, QUIET)
        return heard.held, heard.pools[0].routers

    assert await beat(one) == (False, 1)
    assert await beat(two) == (False, 2)
    assert await beat(one) == (True, 2)
    await engine.rows("UPDATE routers SET lease_until = now() WHERE router_id = %s", two)
    assert await beat(one) == (True, 1)
    assert await beat(two) == (False, 2)
    await engine.store.leave(two)
    assert await beat(one) == (True, 1)


async def test_of_two_renewals_under_way_the_older_takes_nothing_off(engine: Engine) -> None:
    for seconds in (600.0, 30.0):
        await engine.store.heartbeat(ROUTER, "default", "h", seconds, QUIET)
    (left,) = await engine.rows("SELECT extract(epoch FROM lease_until - now())::int FROM routers")
    assert left[0] > 500


async def test_what_a_dead_router_had_in_call_is_suspect(engine: Engine) -> None:
    dead, alive, other, unknown = new_id(), new_id(), new_id(), new_id()
    for router_id in (dead, alive, other):
        await engine.store.heartbeat(router_id, "default", "h", 30.0, QUIET)
    event = await with_rows(
        engine,
        **{
            name: {"state": DeliveryState.LEASED, "leased_by": router_id, "attempts": 1}
            for name, router_id in (
                ("dead", dead),
                ("alive", alive),
                ("other", other),
                ("unknown", unknown),
                ("nobody", None),
            )
        },
        ready={"state": DeliveryState.READY},
    )
    await engine.rows("UPDATE routers SET lease_until = now() WHERE router_id = %s", dead)
    assert await engine.store.break_leases(alive, 10.0, 10) == BrokenLeases(3, 0)
    assert await engine.store.break_leases(alive, 10.0, 10) == BrokenLeases(0, 0)
    rows = await stored(engine, event)
    assert {task_id for task_id, row in rows.items() if row.suspect} == {
        "dead",
        "unknown",
        "nobody",
    }
    assert rows["dead"] == Delivery(
        event.event_id, "dead", DeliveryState.READY, attempts=1, suspect=True
    )
    assert rows["alive"].leased_by == alive
    assert rows["other"].leased_by == other
    left = await engine.rows("SELECT router_id::text FROM routers ORDER BY 1")
    assert left == sorted([(alive,), (other,)])


async def test_what_a_router_may_have_left_unannounced_when_it_died_is_due(engine: Engine) -> None:
    dead, alive = new_id(), new_id()
    for router_id in (dead, alive):
        await engine.store.heartbeat(router_id, "default", "host", 10.0, QUIET)
    before, last, again, fresh = await started(engine, 4)
    # The dead router renewed for the last time 13 s ago, so its lease was over 3 s ago.
    await engine.rows(
        "UPDATE routers SET lease_until = now() - interval '3 s' WHERE router_id = %s", dead
    )
    for event_id, ago, announcements in (
        (before, 30, 1),
        (last, 11, 1),
        (again, 11, 2),
        (fresh, 1, 1),
    ):
        await engine.rows(
            "UPDATE outbox SET announced_at = now() - make_interval(secs => %s), announcements = %s, "
            "due_at = now() - make_interval(secs => %s) + interval '60 s' WHERE event_id = %s",
            ago,
            announcements,
            ago,
            event_id,
        )
    assert await engine.store.break_leases(alive, 10.0, 10) == BrokenLeases(0, 1)
    assert [due.event_id for due in await engine.store.claim_due_events(10)] == [last]


async def test_a_result_whose_lease_was_broken_still_counts(engine: Engine) -> None:
    instance, event = await engine.started()
    row = Delivery(event.event_id, "a", DeliveryState.LEASED, leased_by=ROUTER)
    await engine.touch_rows(instance.key, event, row)
    late = await engine.decide(event.event_id, A, Reply(end=Completion({"late": True})))
    assert await engine.store.break_leases(new_id(), 10.0, 10) == BrokenLeases(1, 0)
    assert await engine.write(late) == {instance.key}
    assert await stored(engine, event) == {}
    assert (await engine.instance(instance.key)).output == {"late": True}


async def test_a_router_that_leaves_gives_back_what_it_had_at_no_cost(engine: Engine) -> None:
    await engine.store.heartbeat(ROUTER, "default", "h", 30.0, QUIET)
    event = await with_rows(
        engine,
        plain={"state": DeliveryState.READY, "attempts": 1},
        suspect={"state": DeliveryState.READY, "attempts": 1, "suspect": True},
    )
    for suspects in (False, True):
        await engine.store.claim_deliveries(
            ROUTER, 10, of_default("plain", "suspect"), suspects=suspects
        )
    await engine.store.leave(ROUTER)
    assert await stored(engine, event) == {
        "plain": Delivery(event.event_id, "plain", DeliveryState.READY, attempts=1),
        "suspect": Delivery(
            event.event_id, "suspect", DeliveryState.READY, attempts=1, suspect=True
        ),
    }
    assert await engine.rows("SELECT 1 FROM routers") == []


_DELIVERIES = """INSERT INTO deliveries
    (event_id, task_id, instance_key, state, attempts, suspect, conflicts, due_at, edit)
SELECT gen_random_uuid(), {task}, n, (ARRAY[1, 3, 4, 5, 6, 7])[n %% 6 + 1], 0, false, 0, now() + interval '1 h', 0
FROM generate_series(1, %s) n"""


@pytest.mark.parametrize("analysed", [False, True], ids=["no statistics", "old statistics"])
async def test_a_claim_reads_what_is_due_and_nothing_else(
    engine: Engine, database_url: str, analysed: bool
) -> None:
    """Also where the statistics know nothing of it, and a task has a great many that are due later."""
    if analysed:
        # When there were a few, of as many tasks.
        await engine.rows(_DELIVERIES.format(task="'t' || n"), 3)
        analyse(database_url, "deliveries")
        await engine.rows("DELETE FROM deliveries")
    await engine.rows(_DELIVERIES.format(task="'a'"), 5_000)
    await engine.rows(
        "INSERT INTO timers (instance_key, kind, ref, due_at) "
        "SELECT n, 1, '', CASE n WHEN 1 THEN now() ELSE now() + interval '1 h' END "
        "FROM generate_series(1, 5000) n"
    )
    # One of each kind is due: the last ones, so that whoever looks through a task's reads the others first.
    for key, state, suspect in (
        (4_998, DeliveryState.READY, False),
        (4_999, DeliveryState.READY, True),
        (5_000, DeliveryState.PENDING, False),
    ):
        await engine.rows(
            "UPDATE deliveries SET state = %s, suspect = %s, due_at = now() WHERE instance_key = %s",
            *(int(state), suspect, key),
        )

    async def claims(counted: Engine) -> None:
        store = counted.store
        for suspects in (False, True):
            claimed = await store.claim_deliveries(
                ROUTER, 100, of_default("a", "b"), suspects=suspects
            )
            assert len(claimed) == 1
        assert len(await store.claim_overdue(ROUTER, 100)) == 1
        assert list(await store.claim_timers(100)) == [1]
        # A router that is not known has these three.
        assert await store.break_leases(new_id(), 30.0, 100) == BrokenLeases(3, 0, False)

    reads = await reads_of(engine, database_url, claims)
    assert reads["deliveries"].rows < 1_000
    assert reads["timers"].rows < 1_000


async def test_what_was_announced_and_is_not_settled_is_due_again_a_minute_later(
    engine: Engine,
) -> None:
    """Whatever the broker confirmed."""
    await engine.started()
    assert await engine.rows(
        "SELECT extract(epoch FROM due_at - created_at)::int, announcements FROM outbox"
    ) == [(60, 1)]


async def test_no_two_suspects_of_one_service_are_in_call_anywhere(engine: Engine) -> None:
    registry = PostgresRegistryStore(engine.pool)
    for service, names in (("one", ("a", "b")), ("other", ("c",))):
        tasks = tuple(TaskSpec(name, service, ("x",), ("y",)) for name in names)
        await registry.register(Registration("", service, "1", "127.0.0.1", 7500, True, tasks))
    suspect = {"state": DeliveryState.READY, "suspect": True}
    event = await with_rows(engine, a=suspect, b=suspect, c=suspect)

    async def claimed_by(router_id: str) -> list[str]:
        claimed = await engine.store.claim_deliveries(
            router_id, 1, of_default("a", "b", "c"), suspects=True
        )
        return [row.task_id for row in claimed]

    first, second = new_id(), new_id()
    (one,) = await claimed_by(first)
    found = [*await claimed_by(second), *await claimed_by(second)]
    if one == "c":
        assert found == ["a"] or found == ["b"]
    else:
        assert found == ["c"], "what may be killed by the one in call is of another service"
    assert len(await stored(engine, event)) == 3


async def test_a_claim_passes_over_what_somebody_has_locked(engine: Engine) -> None:
    event = await with_rows(engine, a={"state": DeliveryState.READY})
    async with engine.pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM deliveries FOR UPDATE")
        async with asyncio.timeout(1.5):
            assert (
                await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
                == []
            )
    (claimed,) = await engine.store.claim_deliveries(ROUTER, 10, of_default("a"), suspects=False)
    assert claimed.event_id == event.event_id
