"""The second form of the commit rule on a real Postgres, and both forms raced against each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from store.instances import ROUTER, Engine, task
from support.waiting import eventually

from waystation_domain import actions
from waystation_domain.commit import EventFacts
from waystation_domain.errors import RequestIdReused, WorkflowNotFound
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    NewEvent,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import CallResult, Reply, Verdict
from waystation_domain.results import EventTouch, apply_touch

A, B = task("a"), task("b")


def sets(**members: Any) -> Reply:
    return Reply(change=tuple(Operation(f"/{key}", "set", v) for key, v in members.items()))


async def test_who_waited_for_the_lock_sees_all_that_the_other_wrote(engine: Engine) -> None:
    instance, event = await engine.started()
    seen: list[Any] = []

    async def second() -> None:
        async with engine.store.locked(
            key=instance.key, event_ids=[event.event_id], since=1
        ) as locked:
            seen.append((locked.instance.version, dict(locked.facts), list(locked.log)))

    async with engine.drafting(instance.key, event.event_id) as (_, draft):
        waiting = asyncio.create_task(second())
        await eventually(
            lambda: engine.rows(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            ),
            what="the second to wait for the lock",
        )
        results = {"a": CallResult(A, 1, 1, sets(n=1))}
        apply_touch(draft, EventTouch(event, (A, B), results), router_id=ROUTER)
    await waiting
    ((version, facts, log),) = seen
    assert version == 2
    row = Delivery(event.event_id, "b", DeliveryState.LEASED, leased_by=ROUTER)
    assert facts == {event.event_id: EventFacts(False, {"b": row})}
    assert [(one.version, one.writes) for one in log] == [(2, (("/n", "set"),))]


async def test_the_copy_has_the_times_of_the_database(engine: Engine) -> None:
    instance, event = await engine.started()
    async with engine.store.locked(key=instance.key, event_ids=[event.event_id]) as locked:
        draft = engine.draft(locked)
        actions.publish(draft, NewEvent("news", {}))
        actions.cancel(draft, "")
        commit = draft.commit()
        await locked.write(commit)
    await engine.check_copy(commit)
    assert commit.after.completed_at is not None
    raised = [one.event_id for one in commit.raised]
    loaded = await engine.store.load(raised)
    assert [loaded.events[one][0] for one in raised] == commit.raised


async def test_a_block_that_fails_writes_nothing(engine: Engine) -> None:
    instance, _ = await engine.started()
    before = await engine.everything()

    async def fail_late() -> None:
        async with engine.store.locked(key=instance.key) as locked:
            draft = engine.draft(locked)
            actions.publish(draft, NewEvent("news", {}))
            await locked.write(draft.commit())
            await locked.remember("Rpc", "r", b"digest", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert await engine.everything() == before


async def test_an_unknown_instance_is_reported_by_name(engine: Engine) -> None:
    with pytest.raises(WorkflowNotFound) as caught:
        async with engine.store.locked(workflow_instance_id="nobody"):
            pass
    assert caught.value.metadata == {"workflow_instance_id": "nobody"}


async def test_a_request_is_remembered_with_its_effect(engine: Engine) -> None:
    instance, _ = await engine.started()
    async with engine.store.locked(key=instance.key) as locked:
        assert await locked.repeated("Publish", "r", b"digest") is None
        await locked.remember("Publish", "r", b"digest", {"event_id": "e"})
    async with engine.store.locked(key=instance.key) as locked:
        assert await locked.repeated("Publish", "r", b"digest") == {"event_id": "e"}
        assert await locked.repeated("Cancel", "r", b"digest") is None
        with pytest.raises(RequestIdReused):
            await locked.repeated("Publish", "r", b"another")


async def test_each_task_is_offered_an_unhandled_event_until_it_had_a_delivery_of_it(
    engine: Engine,
) -> None:
    instance, first = await engine.started()
    async with engine.drafting(instance.key, first.event_id) as (_, draft):
        apply_touch(draft, EventTouch(first, ()), router_id=ROUTER)
    for task_id, expected in (("a", [first.event_id]), ("a", []), ("b", [first.event_id])):
        async with engine.store.locked(key=instance.key) as locked:
            found = await locked.unhandled(task_id)
            assert [event.event_id for event in found] == expected
            draft = engine.draft(locked, await locked.facts_of([first.event_id]))
            actions.catch_up(draft, found, task_id)
            await locked.write(draft.commit())
    await engine.check([instance.key])
    await engine.handle(first, A, Reply())
    await engine.check([instance.key])
    async with engine.store.locked(key=instance.key) as locked:
        assert [await locked.unhandled(task_id) for task_id in ("a", "b")] == [[], []]
        # `client` started it: that is no delivery of a task that is called so.
        (found,) = await locked.unhandled("client")
        assert found.event_id == first.event_id


async def test_routers_that_race_for_one_instance_lose_no_update(engine: Engine) -> None:
    """Each result reads the list, adds its token and writes it back; clients publish in between.
    First form where nobody was faster, else the second."""
    instance, first = await engine.started({"tokens": []})
    key = instance.key
    events = [first, *[await engine.publish(key) for _ in range(23)]]
    conflicts = 0

    async def handle(event: Any) -> None:
        nonlocal conflicts
        while True:
            before = (await engine.store.load([event.event_id])).instances[key]
            grown = [*before.data["tokens"], event.event_id]
            reply = Reply(change=(Operation("/tokens", "set", grown),), reads=("/tokens",))
            commit = await engine.decide(event.event_id, A, reply)
            if commit.before.version == before.version and await engine.write(commit):
                return
            verdict = await engine.handle_locked(key, event, A, reply, base=before.version)
            if verdict is Verdict.APPLIED:
                return
            assert verdict is Verdict.CONFLICT
            conflicts += 1

    async def disturb() -> None:
        for _ in range(10):
            await engine.handle_locked(
                key,
                await engine.publish(key, "disturbing"),
                B,
                Reply(change=(Operation("/others", "increment", 1),), reads=()),
                base=(await engine.instance(key)).version,
            )

    async def router(at: int) -> None:
        for event in events[at::4]:
            await handle(event)

    await asyncio.gather(*(router(at) for at in range(4)), disturb())
    found = await engine.instance(key)
    assert sorted(found.data["tokens"]) == sorted(event.event_id for event in events)
    assert found.data["others"] == 10
    assert conflicts
    assert found.idle is not None
    await engine.check([key])
