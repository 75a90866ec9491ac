"""Which tasks are over: as an operator asks, or because nobody declares them any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store.instances import Engine
from store.test_registry import endpoint, spec

from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.errors import TaskNotFound, TooManyHandlers
from waystation_domain.model import Delivery, DeliveryState, Status

A, B, C = spec("a"), spec("b"), spec("c")


@pytest.fixture
def registry(engine: Engine) -> PostgresRegistryStore:
    return PostgresRegistryStore(engine.pool)


async def handled_by(registry: PostgresRegistryStore) -> tuple[list[str], list[str]]:
    """The tasks in force, and those that are retired."""
    snapshot = await registry.snapshot()
    return [task.task_id for task in snapshot.tasks], [task.task_id for task in snapshot.retired]


async def pass_time(engine: Engine, seconds: float) -> None:
    await engine.rows(
        "UPDATE tasks SET undeclared_since = undeclared_since - make_interval(secs => %s)", seconds
    )


async def test_an_operator_retires_permanently(registry: PostgresRegistryStore) -> None:
    await registry.register(endpoint(A, B))
    generation, changes = await registry.changes()
    for _ in range(2):
        await registry.retire("b")
    assert await registry.changes() == (generation + 1, changes + 1)
    assert await handled_by(registry) == (["a"], ["b"])
    for port in (7500, 7501):
        made, first_time = await registry.register(endpoint(A, B, port=port))
        assert (made.retired_task_ids, first_time) == (("b",), [])
    assert await handled_by(registry) == (["a"], ["b"])
    assert {one.retired_task_ids for one in await registry.handlers()} == {("b",)}
    with pytest.raises(TaskNotFound):
        await registry.retire("unknown")


async def test_the_system_retires_what_nobody_declares_after_a_grace_and_takes_it_back(
    engine: Engine, registry: PostgresRegistryStore
) -> None:
    first, _ = await registry.register(endpoint(A, B))
    await registry.register(endpoint(A, C, port=7501))
    assert not (await registry.retire_undeclared(60)).waiting
    generation, _ = await registry.changes()
    await registry.unregister(first.handler_id)
    for seconds in (0, 50):
        await pass_time(engine, seconds)
        found = await registry.retire_undeclared(60)
        assert (found.retired, found.waiting) == ((), True)
    assert (await registry.changes())[0] == generation
    await pass_time(engine, 20)
    found = await registry.retire_undeclared(60)
    assert (found.retired, found.waiting) == (("b",), False)
    assert await handled_by(registry) == (["a", "c"], ["b"])
    assert (await registry.changes())[0] == generation + 1
    assert (await registry.retire_undeclared(60)).retired == ()

    back, first_time = await registry.register(endpoint(A, B))
    assert (back.retired_task_ids, first_time) == ((), [])
    assert await handled_by(registry) == (["a", "b", "c"], [])
    assert (await registry.changes())[0] == generation + 2
    await registry.retire("b")
    assert await handled_by(registry) == (["a", "c"], ["b"])


async def test_a_service_of_several_processes_survives_the_crash_of_one(
    engine: Engine, registry: PostgresRegistryStore
) -> None:
    one, _ = await registry.register(endpoint(A))
    other, _ = await registry.register(endpoint(B, port=7501))
    await registry.unregister(other.handler_id)
    assert (await registry.retire_undeclared(60)).waiting
    await pass_time(engine, 59)
    await registry.register(endpoint(B, port=7502))
    assert not (await registry.retire_undeclared(60)).waiting
    # Nobody of the service is there: its deliveries wait, and no clock runs.
    for each in await registry.handlers():
        await registry.unregister(each.handler_id)
    assert not (await registry.retire_undeclared(60)).waiting
    # It comes back one by one: the clock starts with the first one that is there.
    await registry.register(endpoint(A))
    assert (await registry.retire_undeclared(60)).waiting
    await registry.unregister(one.handler_id)
    await registry.register(endpoint(A, B))
    assert not (await registry.retire_undeclared(60)).waiting
    assert await handled_by(registry) == (["a", "b"], [])


async def test_what_other_services_declare_does_not_count(
    registry: PostgresRegistryStore,
) -> None:
    await registry.register(endpoint(A))
    alone, _ = await registry.register(endpoint(replace(B, service_name="b"), service="b", port=1))
    await registry.unregister(alone.handler_id)
    assert not (await registry.retire_undeclared(60)).waiting


async def test_what_would_become_dead_letters_is_counted_by_instance_in_portions(
    engine: Engine, registry: PostgresRegistryStore
) -> None:
    await registry.register(endpoint(A))
    keys = []
    for state in (DeliveryState.NO_ENDPOINT, DeliveryState.LEASED, DeliveryState.READY):
        instance, first = await engine.started()
        await engine.touch_rows(instance.key, first, Delivery(first.event_id, "a", state))
        keys.append(instance.key)
    assert await registry.count_to_retire("a") == [(keys[0], 1), (keys[2], 1)]
    assert await registry.count_to_retire("a", limit=1) == [(keys[0], 1)]
    assert await registry.count_to_retire("a", after=keys[0]) == [(keys[2], 1)]
    assert await registry.count_to_retire("b") == []
    # It may continue, and is held until then.
    await engine.rows(
        "UPDATE workflow_instances SET status = %s WHERE key = %s", int(Status.FAILED), keys[0]
    )
    assert await registry.count_to_retire("a") == [(keys[0], 0), (keys[2], 1)]


async def test_instances_with_open_deliveries_are_found_until_they_have_none(
    engine: Engine, registry: PostgresRegistryStore
) -> None:
    await registry.register(endpoint(A, B))
    keys = []
    for state in (DeliveryState.NO_ENDPOINT, DeliveryState.READY, DeliveryState.LEASED):
        instance, first = await engine.started()
        await engine.touch_rows(
            instance.key,
            first,
            Delivery(first.event_id, "a", state),
            Delivery(first.event_id, "b", DeliveryState.READY),
        )
        keys.append(instance.key)
    assert await registry.instances_to_retire() == []
    await registry.retire("a")
    assert await registry.instances_to_retire() == [("a", key) for key in keys[:2]]
    await registry.retire("b")
    found = await registry.instances_to_retire(limit=3)
    assert found == [("a", keys[0]), ("a", keys[1]), ("b", keys[0])]
    rest = await registry.instances_to_retire(after=found[-1])
    assert rest == [("b", keys[1]), ("b", keys[2])]
    assert await registry.instances_to_retire(task_id="b", after=("b", keys[2])) == []
    async with engine.store.locked(key=keys[0]) as locked:
        ((row, event),) = await locked.deliveries_of("a", limit=10)
        assert (row.task_id, row.event_id) == ("a", event.event_id)
    async with engine.store.locked(key=keys[2]) as locked:
        assert await locked.deliveries_of("a", limit=10) == []


async def test_there_are_at_most_so_many_endpoints(registry: PostgresRegistryStore) -> None:
    for port in (7500, 7501):
        await registry.register(endpoint(A, port=port), at_most=2)
    await registry.register(endpoint(A, port=7501), at_most=2)
    with pytest.raises(TooManyHandlers) as refused:
        await registry.register(endpoint(A, C, port=7502), at_most=2)
    assert refused.value.metadata == {"limit": "2"}
    assert [task.task_id for task in (await registry.snapshot()).tasks] == ["a"]
