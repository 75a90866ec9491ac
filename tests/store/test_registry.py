"""The registry: who may own a task, when the generation rises, how leases end."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from waystation_core.ids import new_id
from waystation_core.ports.store import Registration, RouterReport
from waystation_core.store import task_specs
from waystation_core.store.connections import ConnectionPool, open_pool
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.errors import (
    HandlerNotFound,
    RequestIdReused,
    TaskOwnedByOtherService,
)
from waystation_domain.model import OnFailure
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    pool = open_pool(database_url, size=4, name="test")
    await pool.open(wait=True)
    yield pool
    await pool.close()


@pytest.fixture
def registry(pool: ConnectionPool) -> PostgresRegistryStore:
    return PostgresRegistryStore(pool)


def spec(task_id: str = "claim_validator", *event_types: str, service: str = "claims") -> TaskSpec:
    return TaskSpec(task_id, service, event_types or ("claim.processed",), ("insurance_claim",))


def endpoint(
    *tasks: TaskSpec,
    port: int = 7500,
    static: bool = False,
    lease: int = 30,
    service: str = "claims",
) -> Registration:
    return Registration(
        handler_id="",
        service_name=service,
        service_version="1",
        host="127.0.0.1",
        port=port,
        static=static,
        tasks=tasks or (spec(),),
        lease_seconds=None if static else lease,
    )


def test_a_spec_comes_back_from_its_stored_form() -> None:
    full = TaskSpec(
        "a",
        "s",
        ("x.*", "y"),
        ("*",),
        timeout=1.5,
        retry=RetryPolicy(3, 0.1, 3.0, 9.0, 0.0),
        max_in_flight=7,
        on_failure=OnFailure.CONTINUE,
        catch_up=False,
        history_entries=7,
        batching=True,
        replayable=True,
        may_emit=("z",),
        reads=(),
        writes=("/a",),
    )
    assert task_specs.from_json(task_specs.to_json(full), full.namespace) == full
    later = {**task_specs.to_json(full), "of_a_later_release": 1}
    assert task_specs.from_json(later, full.namespace) == full


async def test_a_registration_is_in_the_snapshot_and_new_tasks_raise_the_generation(
    registry: PostgresRegistryStore,
) -> None:
    before = await registry.snapshot()
    stored, first_time = await registry.register(endpoint())
    assert first_time == ["claim_validator"]
    assert 29 < (stored.lease_remaining or 0) <= 30

    after = await registry.snapshot()
    assert after.generation == before.generation + 1
    assert after.changes > before.changes
    assert after.tasks == (spec(),)
    assert [handler.handler_id for handler in after.handlers] == [stored.handler_id]
    assert after.handlers[0].tasks == (spec(),)
    assert await registry.changes() == (after.generation, after.changes)


async def test_only_a_change_of_types_raises_the_generation(
    registry: PostgresRegistryStore,
) -> None:
    first, _ = await registry.register(endpoint())
    generation, changes = await registry.changes()

    again, first_time = await registry.register(endpoint())
    assert (again.handler_id, first_time) == (first.handler_id, [])
    assert await registry.changes() == (generation, changes)

    slower = replace(spec(), timeout=60.0)
    other, _ = await registry.register(endpoint(slower))
    assert other.handler_id != first.handler_id
    assert (await registry.changes())[0] == generation
    assert (await registry.snapshot()).tasks == (slower,)

    await registry.register(endpoint(spec("claim_validator", "claim.processed", "claim.edited")))
    assert (await registry.changes())[0] == generation + 1


async def test_a_task_belongs_to_one_service(registry: PostgresRegistryStore) -> None:
    await registry.register(endpoint())
    with pytest.raises(TaskOwnedByOtherService) as caught:
        await registry.register(endpoint(spec(service="thieves"), service="thieves", port=7501))
    assert caught.value.metadata == {"task_id": "claim_validator", "service_name": "claims"}
    assert len((await registry.snapshot()).handlers) == 1


async def test_a_lapsed_lease_is_gone_and_counts_as_a_change(
    registry: PostgresRegistryStore, pool: ConnectionPool
) -> None:
    stored, _ = await registry.register(endpoint())
    static, _ = await registry.register(endpoint(port=7501, static=True))
    assert await registry.renew(stored.handler_id) == 30.0
    _, changes = await registry.changes()
    async with pool.connection() as connection:
        await connection.execute("UPDATE handlers SET lease_until = now() WHERE kind = 1")

    assert [h.handler_id for h in (await registry.snapshot()).handlers] == [static.handler_id]
    with pytest.raises(HandlerNotFound):
        await registry.renew(stored.handler_id)
    assert (await registry.changes())[1] == changes + 1
    assert (await registry.changes())[1] == changes + 1
    with pytest.raises(HandlerNotFound):
        await registry.renew("no-uuid")

    anew, _ = await registry.register(endpoint())
    assert anew.handler_id != stored.handler_id


async def test_unregistering_is_idempotent_and_leaves_the_task(
    registry: PostgresRegistryStore,
) -> None:
    stored, _ = await registry.register(endpoint())
    _, changes = await registry.changes()
    for _ in range(2):
        await registry.unregister(stored.handler_id)
    await registry.unregister("no-uuid")
    after = await registry.snapshot()
    assert (after.handlers, after.tasks, after.changes) == ((), (spec(),), changes + 1)


async def test_a_repeated_request_has_one_effect(registry: PostgresRegistryStore) -> None:
    first, _ = await registry.register(endpoint(), request=("r-1", b"one"))
    counted = await registry.changes()
    again, first_time = await registry.register(endpoint(), request=("r-1", b"one"))
    assert (again.handler_id, first_time) == (first.handler_id, [])
    assert await registry.changes() == counted
    with pytest.raises(RequestIdReused):
        await registry.register(endpoint(port=1), request=("r-1", b"two"))
    await registry.unregister(first.handler_id)
    gone, _ = await registry.register(endpoint(), request=("r-1", b"one"))
    assert (gone.handler_id, gone.lease_remaining) == (first.handler_id, 0.0)


async def test_lists_page_in_order_and_show_what_routers_see(
    registry: PostgresRegistryStore, pool: ConnectionPool
) -> None:
    ids = [
        (await registry.register(endpoint(port=port)))[0].handler_id for port in (7502, 7500, 7501)
    ]
    for number in (1, 2):
        await PostgresEngineStore(pool).heartbeat(
            new_id(),
            "default",
            "host",
            30,
            RouterReport(
                calls_in_flight=1,
                results_committed=0,
                endpoints={
                    ids[1]: {"reachable": number == 1, "last_error": "gone", "calls_in_flight": 2}
                },
            ),
        )
    first = await registry.handlers(limit=2)
    assert [handler.port for handler in first] == [7500, 7501]
    last = first[-1]
    rest = await registry.handlers(
        after=(last.service_name, last.host, last.port, last.handler_id), limit=2
    )
    assert [handler.port for handler in rest] == [7502]
    assert (first[0].reachable, first[0].last_error, first[0].calls_in_flight) == (False, "gone", 4)
    assert first[1].reachable is None
    assert await registry.handlers(service_name="others") == []


async def test_a_first_registration_is_looked_at_once_more(
    registry: PostgresRegistryStore, pool: ConnectionPool
) -> None:
    await registry.register(endpoint(spec(), replace(spec("other"), catch_up=False)))
    assert await registry.catch_ups_due() == []
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE tasks SET catch_up_again_at = catch_up_again_at - interval '1 h'"
        )
    assert await registry.catch_ups_due() == [spec()]
    assert await registry.catch_ups_due() == [], "it is claimed"
    await registry.caught_up("claim_validator")
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT count(catch_up_again_at) FROM tasks")
        assert await cursor.fetchone() == (0,)


# --- which process is the newest ---------------------------------------------------------------------

OLD = replace(spec("t", "a.old", "both"), timeout=10.0)
NEW = replace(spec("t", "both", "b.new"), timeout=20.0, retry=RetryPolicy(max_attempts=2))


async def lapse(pool: ConnectionPool, registry: PostgresRegistryStore, *handler_ids: str) -> None:
    """These endpoints were not heard of for longer than their lease."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE handlers SET lease_until = now() - interval '1 s' WHERE handler_id = ANY(%s)",
            (list(handler_ids),),
        )
    await registry.changes()


async def handled(registry: PostgresRegistryStore) -> dict[str, tuple[float, int]]:
    """Which of these types are handled, and how: timeout and attempts."""
    table = (await registry.snapshot()).table()
    found = {
        event_type: table.resolve(event_type, "insurance_claim")
        for event_type in ("a.old", "both", "b.new")
    }
    return {
        event_type: (tasks[0].timeout, tasks[0].retry.max_attempts)
        for event_type, tasks in found.items()
        if tasks
    }


async def test_coming_back_makes_no_process_newer_and_every_live_one_is_considered(
    pool: ConnectionPool, registry: PostgresRegistryStore
) -> None:
    newest = (20.0, 2)
    v1, _ = await registry.register(endpoint(OLD, port=1))
    assert await handled(registry) == {"a.old": (10.0, 5), "both": (10.0, 5)}
    v2, _ = await registry.register(endpoint(NEW, port=2))
    everything = {"a.old": newest, "both": newest, "b.new": newest}
    assert await handled(registry) == everything
    assert v1.began_at is not None
    assert v2.began_at is not None
    assert v1.began_at < v2.began_at

    # v1 was paused for longer than its lease: meanwhile nobody handles what only it knew.
    await lapse(pool, registry, v1.handler_id)
    assert await handled(registry) == {"both": newest, "b.new": newest}
    again, _ = await registry.register(replace(endpoint(OLD, port=1), began_at=v1.began_at))
    assert again.began_at == v1.began_at
    assert await handled(registry) == everything

    # The engine was away for longer than any lease, and they come back in either order.
    for order in ((v1, v2), (v2, v1)):
        live = [one.handler_id for one in (await registry.snapshot()).handlers]
        await lapse(pool, registry, *live)
        assert (await registry.snapshot()).handlers == ()
        assert await handled(registry) == {"both": newest, "b.new": newest}
        for one in order:
            back = endpoint(*one.tasks, port=one.port)
            again, _ = await registry.register(replace(back, began_at=one.began_at))
            assert again.began_at == one.began_at
            assert {"both", "b.new"} <= set(await handled(registry))
        assert await handled(registry) == everything

    # v1 has ended: what only it knew is over, and v2's word stands, though v2 lapses too.
    for one in (await registry.snapshot()).handlers:
        if one.port == 1:
            await registry.unregister(one.handler_id)
        else:
            await lapse(pool, registry, one.handler_id)
    assert await handled(registry) == {"both": newest, "b.new": newest}


async def test_a_process_that_begins_is_the_newest_whatever_ran_before(
    pool: ConnectionPool, registry: PostgresRegistryStore
) -> None:
    """A version is taken back by starting it again; and where the database's clock was set back."""
    await registry.register(endpoint(OLD, port=1))
    await registry.register(endpoint(NEW, port=2))
    async with pool.connection() as connection:
        await connection.execute("UPDATE tasks SET began_at = now() + interval '1 hour'")
    back, _ = await registry.register(endpoint(OLD, port=3))
    assert await handled(registry) == dict.fromkeys(("a.old", "both", "b.new"), (10.0, 5))
    assert back.began_at is not None
    # Nobody is of the future: who says so begins now.
    future = replace(endpoint(NEW, port=4), began_at=back.began_at.replace(year=9000))
    stored, _ = await registry.register(future)
    assert stored.began_at is not None
    assert stored.began_at.year < 9000
    assert (await handled(registry))["both"] == (20.0, 2)


@pytest.mark.parametrize("static", [True, False], ids=["static", "leased"])
async def test_who_does_not_say_when_it_began_goes_on_while_it_says_the_same(
    registry: PostgresRegistryStore, static: bool
) -> None:
    """As a file of handlers does at each start of a server: nothing of it is news."""
    first, _ = await registry.register(endpoint(OLD, port=1, static=static))
    await registry.register(endpoint(NEW, port=2))
    before = await registry.changes()
    again, _ = await registry.register(endpoint(OLD, port=1, static=static))
    assert again.began_at == first.began_at
    assert await registry.changes() == before
    assert (await handled(registry))["both"] == (20.0, 2)
    # Another word is another process's, or an operator's who means it.
    other = replace(OLD, timeout=11.0)
    await registry.register(endpoint(other, port=1, static=static))
    assert (await handled(registry))["both"] == (11.0, 5)


async def test_the_generation_rises_whenever_the_tasks_of_an_event_may_be_others(
    pool: ConnectionPool, registry: PostgresRegistryStore
) -> None:
    """A commit that resolved an event's tasks by what is no longer so is refused; no other one is."""

    async def rises() -> bool:
        nonlocal known
        before, known = known, (await registry.changes())[0]
        return known > before

    known = 0
    v1, _ = await registry.register(endpoint(OLD, port=1))
    assert await rises()
    twin, _ = await registry.register(
        replace(endpoint(OLD, port=2), began_at=v1.began_at),
    )
    assert not await rises()
    v2, _ = await registry.register(endpoint(NEW, port=3))
    assert await rises()
    await registry.renew(v1.handler_id)
    assert not await rises()
    await lapse(pool, registry, v1.handler_id)
    assert await rises()
    again, _ = await registry.register(replace(endpoint(OLD, port=1), began_at=v1.began_at))
    assert await rises()
    await registry.unregister(again.handler_id)
    assert await rises()
    await registry.unregister(twin.handler_id)
    assert await rises()
    # Its word stands though it is gone.
    await registry.unregister(v2.handler_id)
    assert not await rises()
