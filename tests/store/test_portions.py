"""Sweeps come in portions: each has a bound, gets further each time, and is taken up where it stopped."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from typing import Any

import pytest
from store.instances import ROUTER, Engine, task
from support.registries import of_default

from waystation_core.ids import new_id
from waystation_core.ports.store import (
    BrokenLeases,
    EngineStore,
    MadeDue,
    QueryStore,
    RegistryStore,
    RouterReport,
    ToCatchUp,
    WorkflowFilter,
)
from waystation_core.store import leases, optional_conditions, sweeps, workflow_lists
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import Status

MANY = 50
IDLE = Idle(new_id(), "claim.filed", "client", Ending.UNHANDLED)
LEASED, NO_ENDPOINT, AT_CAPACITY = 2, 3, 4


async def outbox(engine: Engine, number: int = MANY, *, announced: str = "1 h") -> None:
    """Rows of events that were announced so long ago and are due again in a minute."""
    await engine.rows(
        "INSERT INTO outbox (event_id, instance_key, level, created_at, announced_at, due_at, "
        "announcements) SELECT gen_random_uuid(), n, 5, now() - %s::interval, now() - %s::interval, "
        "now() + interval '1 min', 1 FROM generate_series(1, %s) n",
        announced,
        announced,
        number,
    )


async def deliveries(
    engine: Engine,
    state: int,
    number: int = MANY,
    *,
    task_id: str = "a",
    leased_by: str | None = None,
    due: str = "-1 h",
) -> None:
    """Open deliveries; the first ones are due longest ago."""
    await engine.rows(
        "INSERT INTO deliveries (event_id, task_id, instance_key, state, attempts, suspect, "
        "conflicts, due_at, leased_by, edit) SELECT gen_random_uuid(), %s, n, %s, n, false, 0, "
        "now() + %s::interval + make_interval(secs => n), %s, 0 FROM generate_series(1, %s) n",
        task_id,
        state,
        due,
        leased_by,
        number,
    )


async def count(engine: Engine, query: str, *parameters: object) -> int:
    ((number,),) = await engine.rows(f"SELECT count(*) FROM {query}", *parameters)
    return int(number)


DUE = "outbox WHERE due_at <= now()"
READY = "deliveries WHERE state = 1"


# By what each call of a port is bounded: a parameter, or one of these words.
ONE_ROW = "one row"
ONE_INSTANCE = (
    "one instance"  # Its events are limited, and what is read of them comes in pages where it can.
)
LIMIT = "a LIMIT of its own"
REGISTERED = (
    "what is registered"  # Endpoints are limited, and each declares a limited number of tasks.
)
BOUNDED_BY: dict[type, dict[str, str]] = {
    EngineStore: {
        "start": "batch",
        "load": "event_ids",
        "newest_history": "limit",
        "commit": "batch",
        "make_due": "event_ids",
        "give_back": "rows",
        "timers_of_instances": "keys",
        "locked": ONE_INSTANCE,
        "probe": ONE_ROW,
        "begin_request": ONE_ROW,
        "end_request": ONE_ROW,
        "note_lost": ONE_ROW,
        "join_pool": ONE_ROW,
        "heartbeat": ONE_ROW,
        "compared": ONE_ROW,
        "make_lost_due": "limit",
        "claim_due_events": "limit",
        "claim_starving_events": "limit",
        "leased": "limit",
        "claim_deliveries": "limit",
        "claim_overdue": "limit",
        "claim_timers": "limit",
        "wake_parked": "limit",
        "break_leases": "limit",
        "forget_requests": "limit",
        "end_lapsed_pools": LIMIT,
        "leave": LIMIT,
        "backlog": LIMIT,
    },
    RegistryStore: {
        "register": "registration",
        "renew": ONE_ROW,
        "unregister": ONE_ROW,
        "handlers": "limit",
        "changes": REGISTERED,
        "namespaces": REGISTERED,
        "snapshot": REGISTERED,
        "retire": ONE_ROW,
        "retire_undeclared": REGISTERED,
        "instances_to_retire": "limit",
        "count_to_retire": "limit",
        "instances_to_catch_up": "limit",
        "catch_ups_due": REGISTERED,
        "caught_up": ONE_ROW,
    },
    QueryStore: {
        "instances": "ids",
        "history": "limit",
        "tails": "limit",
        "workflows": "limit",
        "ids_beginning": "limit",
        "events": "limit",
        "events_named": "event_ids",
        "open_work": "limit",
        "dead_letters": "limit",
        "count_dead_letters": "limit",
        "dead_letter_instances": "limit",
        "open_dead_letters": "keys",
        "dead_letter": ONE_ROW,
        "instance_of_event": ONE_ROW,
        "pools": REGISTERED,
        "flow": "limit",
        "system": LIMIT,
        "numbers": LIMIT,
    },
}


@pytest.mark.parametrize("port", BOUNDED_BY, ids=lambda port: port.__name__)
def test_every_statement_has_a_bound(port: type) -> None:
    """A new method has to say what bounds it; the tests below hold those that come in portions."""
    methods = {
        name: method
        for name, method in inspect.getmembers(port, callable)
        if not name.startswith("_")
    }
    bounds = BOUNDED_BY[port]
    assert methods.keys() == bounds.keys()
    for name, bound in bounds.items():
        if bound not in (ONE_ROW, ONE_INSTANCE, LIMIT, REGISTERED):
            assert bound in inspect.signature(methods[name]).parameters, name


async def test_what_is_lost_is_made_due_in_portions_that_anybody_takes_up(engine: Engine) -> None:
    """Also after the router that noticed the loss died, and whoever began with it."""
    await outbox(engine)
    await engine.store.note_lost(60.0)
    for already in range(0, MANY, 20):
        assert await count(engine, DUE) == already
        left = min(20, MANY - already)
        made_due = await PostgresEngineStore(engine.pool).make_lost_due(20)
        assert made_due == MadeDue("broker", left, more=left == 20)
    assert await count(engine, DUE) == MANY
    assert await engine.store.make_lost_due(20) is None


async def test_what_is_announced_again_meanwhile_is_not_made_due_again(engine: Engine) -> None:
    """Or bringing it back would have no end while routers announce faster than it goes on."""
    await outbox(engine)
    await engine.store.note_lost(60.0)
    passes = 0
    while (made_due := await engine.store.make_lost_due(10)) is not None:
        passes += 1
        assert made_due.events <= 10
        await engine.rows(
            "UPDATE outbox SET due_at = now() + interval '2 min', announced_at = now() "
            "WHERE due_at <= now()"
        )
    assert passes == MANY // 10 + 1
    assert await count(engine, DUE) == 0


async def test_a_portion_is_bounded_by_what_it_looks_at(engine: Engine) -> None:
    """Not only by what it finds: what was announced since may be most of it."""
    await outbox(engine, announced="1 s")
    await engine.store.note_lost(60.0)
    assert await engine.store.make_lost_due(20) == MadeDue("broker", 0, more=True)


async def test_a_loss_that_is_noted_twice_begins_again_up_to_the_later_time(engine: Engine) -> None:
    await outbox(engine)
    await engine.store.note_lost(60.0)
    await engine.store.make_lost_due(20)
    await outbox(engine, announced="30 s")
    await engine.store.note_lost(20.0)
    await engine.store.note_lost(60.0)
    while await engine.store.make_lost_due(20) is not None:
        pass
    assert await count(engine, DUE) == 2 * MANY


async def test_one_router_at_a_time_brings_back_what_is_lost(engine: Engine) -> None:
    await outbox(engine)
    await engine.store.note_lost(60.0)
    done = await asyncio.gather(*(engine.store.make_lost_due(MANY + 1) for _ in range(4)))
    assert sum(one.events for one in done if one is not None) == MANY


async def test_parked_deliveries_are_woken_oldest_first_and_so_many_of_each_task(
    engine: Engine,
) -> None:
    await deliveries(engine, NO_ENDPOINT)
    await deliveries(engine, AT_CAPACITY, 3, task_id="b")
    await deliveries(engine, NO_ENDPOINT, task_id="strange")
    assert await engine.store.wake_parked(of_default("a", "b"), 20) == {
        ("default", "a"): 20,
        ("default", "b"): 3,
    }
    assert await count(engine, f"{READY} AND task_id = 'a' AND attempts <= 20") == 20
    assert await engine.store.wake_parked(of_default("a", "b"), 20) == {("default", "a"): 20}
    assert await engine.store.wake_parked(of_default("a", "b"), 20) == {("default", "a"): 10}
    assert await count(engine, READY) == MANY + 3


async def test_a_change_of_endpoints_wakes_what_was_parked_before_it_once(engine: Engine) -> None:
    """What is parked again since, because there is still nobody for it, is not woken again."""
    await deliveries(engine, NO_ENDPOINT, due="1 h")
    await engine.rows("UPDATE deliveries SET since = now() - interval '10 s'")
    woken = 0
    while found := await engine.store.wake_parked(of_default("a"), 20, parked_for=5.0):
        woken += found["default", "a"]
        await engine.rows(
            "UPDATE deliveries SET state = 3, since = now(), due_at = now() + interval '1 h' "
            "WHERE state = 1"
        )
    assert woken == MANY


@pytest.mark.parametrize("what", ["deliveries", "events"])
async def test_what_a_dead_router_left_is_brought_back_in_portions(
    engine: Engine, what: str
) -> None:
    """The router is forgotten with the last one: the next look finds the rest."""
    dead = new_id()
    await engine.store.heartbeat(dead, "default", "host", 10.0, RouterReport(0, 0, {}))
    await engine.rows("UPDATE routers SET lease_until = now() - interval '1 s'")
    if what == "deliveries":
        await deliveries(engine, LEASED, leased_by=dead)
    else:
        await outbox(engine, announced="5 s")
        await engine.rows("UPDATE outbox SET due_at = announced_at + interval '60 s'")
    for portion in (20, 20, 10):
        broken = await engine.store.break_leases(new_id(), 10.0, 20)
        freed, told = (portion, 0) if what == "deliveries" else (0, portion)
        assert broken == BrokenLeases(freed, told, more=portion == 20)
        assert await count(engine, "routers") == int(broken.more)


async def test_a_router_that_comes_back_while_its_leases_are_broken_is_not_forgotten(
    engine: Engine,
) -> None:
    late = new_id()
    beat = ("default", "host", 10.0, RouterReport(0, 0, {}))
    await engine.store.heartbeat(late, *beat)
    await engine.rows("UPDATE routers SET lease_until = now() - interval '1 s'")
    await deliveries(engine, LEASED, leased_by=late)
    assert (await engine.store.break_leases(new_id(), 10.0, 20)).more
    assert not (await engine.store.heartbeat(late, *beat)).held
    assert await engine.store.break_leases(new_id(), 10.0, 20) == BrokenLeases(0, 0)
    assert await count(engine, "routers") == 1


async def test_a_router_that_leaves_gives_all_back_in_portions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "GIVEN_BACK_AT_ONCE", 20)
    await engine.store.heartbeat(ROUTER, "default", "host", 10.0, RouterReport(0, 0, {}))
    await deliveries(engine, LEASED, leased_by=ROUTER)
    await engine.store.leave(ROUTER)
    assert await count(engine, READY) == MANY
    assert await count(engine, "routers") == 0


async def test_what_starves_is_found_behind_a_portion_that_does_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "_PORTION_ENDS", sweeps._PORTION_ENDS.replace("9999", "19"))
    await outbox(engine)
    await engine.rows(
        "UPDATE outbox SET level = 9 WHERE event_id <> (SELECT max(event_id::text)::uuid FROM outbox)"
    )
    await engine.rows(
        "INSERT INTO events (event_id, instance_key, event_type, payload, raised_by, after_end, version) "
        "SELECT event_id, %s, 'starves', '{}', 'client', false, 1 FROM outbox "
        "ON CONFLICT DO NOTHING",
        (await engine.started())[0].key,
    )
    found = [await engine.store.claim_starving_events(1, 5.0) for _ in range(MANY // 20 + 1)]
    assert [len(portion) for portion in found] == [0] * (MANY // 20) + [1]


async def test_catching_up_walks_over_what_was_unhandled_in_portions(engine: Engine) -> None:
    registry = PostgresRegistryStore(engine.pool)
    keys = []
    for _ in range(5):
        instance, event = await engine.started()
        await engine.touch_rows(instance.key, event)
        keys.append(instance.key)
    assert await count(engine, "history WHERE result = 4") == 5
    spec = replace(task("late"), event_types=("workflow.*",))
    other = replace(task("other"), event_types=("never.raised",))
    assert await registry.instances_to_catch_up(spec) == ToCatchUp(keys, None)
    assert await registry.instances_to_catch_up(spec, limit=3) == ToCatchUp(keys[:3], keys[2])
    assert await registry.instances_to_catch_up(spec, after=keys[2]) == ToCatchUp(keys[3:], None)
    # Cut in two, perhaps, so that one is looked at.
    assert await registry.instances_to_catch_up(other, limit=3) == ToCatchUp([keys[2]], keys[2])
    assert await registry.instances_to_catch_up(other, after=keys[2]) == ToCatchUp([], None)


@pytest.mark.parametrize(
    "last", ["workflow.started", "workflow.*", "#.never", ".".join(["#", "a"] * 50)]
)
async def test_a_task_of_as_many_and_as_long_types_as_may_be_catches_up(
    engine: Engine, last: str
) -> None:
    instance, event = await engine.started()
    await engine.touch_rows(instance.key, event)
    long = [f"{'x' * 190}.{at}" for at in range(499)]
    wild = [f"*.{'x' * 190}.{at}" for at in range(500)]
    spec = replace(task("late"), event_types=(*long, *wild, last))
    found = await PostgresRegistryStore(engine.pool).instances_to_catch_up(spec)
    assert found == ToCatchUp([instance.key] if last.startswith("workflow.") else [], None)


async def test_a_list_walks_over_instances_in_portions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow_lists, "_WALKED", 4)
    # Statements are made once, with the number in them: those of other tests have another one.
    monkeypatch.setattr(optional_conditions, "_compiled", optional_conditions._compiled.__wrapped__)
    (wanted, *_) = [(await engine.started())[0].key for _ in range(10)]
    await engine.rows("UPDATE workflow_instances SET workflow_type = 'rare' WHERE key = %s", wanted)
    # So many types have no index together, and are not read one by one.
    many = tuple(f"none such {at}" for at in range(workflow_lists._TYPES_APART))
    filter, after, portions = WorkflowFilter(workflow_types=("rare", *many)), None, []
    while True:
        found = await engine.queries.workflows(filter, after=after, limit=2)
        portions.append([one.key for one in found.instances])
        if (after := found.after) is None:
            break
    assert portions == [[], [], [wanted]]
    found = await engine.queries.workflows(WorkflowFilter(), limit=3)
    assert len(found.instances) == 3
    assert found.after == (found.instances[-1].created_at, found.instances[-1].key)


async def test_a_list_leaves_nothing_out_that_others_complete_beside(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What completes leaves the index that the list walks along; it ends where it has looked, not later."""
    monkeypatch.setattr(workflow_lists, "_WALKED", 2)
    monkeypatch.setattr(optional_conditions, "_compiled", optional_conditions._compiled.__wrapped__)
    _, wanted, _, newest = [(await engine.started())[0].key for _ in range(4)]
    await engine.rows(
        "UPDATE workflow_instances SET idle = %s WHERE key = %s",
        json.dumps(IDLE.to_json()),
        wanted,
    )
    look = workflow_lists.ask

    async def and_one_completes(*asked: Any) -> Any:
        found = await look(*asked)
        await engine.rows(
            "UPDATE workflow_instances SET status = %s WHERE key = %s", Status.COMPLETED, newest
        )
        return found

    monkeypatch.setattr(workflow_lists, "ask", and_one_completes)
    filter, after, keys = WorkflowFilter(statuses=(Status.ACTIVE,), idle=True), None, []
    while True:
        found = await engine.queries.workflows(filter, after=after, limit=2)
        keys += [one.key for one in found.instances]
        if (after := found.after) is None:
            break
    assert keys == [wanted]


@pytest.mark.parametrize(
    "filter",
    [
        WorkflowFilter(workflow_types=("rare",)),
        WorkflowFilter(workflow_types=("rare", "none such")),
        WorkflowFilter(statuses=(Status.FAILED, Status.CANCELLED)),
        WorkflowFilter(idle=True),
        WorkflowFilter(correlation_ids=("hers",)),
        WorkflowFilter(id_prefix="rare-"),
        WorkflowFilter(id_prefix="rare-", workflow_types=("rare",), statuses=(Status.FAILED,)),
    ],
    ids=str,
)
async def test_what_few_instances_have_is_found_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, filter: WorkflowFilter
) -> None:
    """However many others there are: none of these is walked over."""
    monkeypatch.setattr(workflow_lists, "_WALKED", 2)
    monkeypatch.setattr(optional_conditions, "_compiled", optional_conditions._compiled.__wrapped__)
    (wanted, *others) = [(await engine.started())[0].key for _ in range(10)]
    await engine.rows(
        "UPDATE workflow_instances SET workflow_type = 'rare', status = 4, idle = %s, "
        "correlation_id = 'hers', workflow_instance_id = 'rare-1' WHERE key = %s",
        json.dumps(IDLE.to_json()),
        wanted,
    )
    await engine.rows("UPDATE workflow_instances SET status = 3 WHERE key = ANY(%s)", others)
    found = await engine.queries.workflows(filter, limit=2)
    assert ([one.key for one in found.instances], found.after) == ([wanted], None)


async def test_a_list_of_several_types_is_in_the_order_of_age_on_every_page(engine: Engine) -> None:
    keys = [(await engine.started())[0].key for _ in range(9)]
    for at, key in enumerate(keys):
        await engine.rows(
            "UPDATE workflow_instances SET workflow_type = %s WHERE key = %s",
            ("one", "two", "three")[at % 3],
            key,
        )
    filter, after, listed = WorkflowFilter(workflow_types=("one", "two", "two")), None, []
    while True:
        found = await engine.queries.workflows(filter, after=after, limit=2)
        listed += [one.key for one in found.instances]
        assert len(found.instances) <= 2
        if (after := found.after) is None:
            break
    assert listed == [key for at, key in enumerate(keys) if at % 3 < 2][::-1]
