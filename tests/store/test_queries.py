"""Questions to the store that no call of the API asks in just this form."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from string import ascii_letters
from typing import Any

import pytest
from support.scripted_engine import ScriptedEngine, failure, reply, task

from waystation_api.workflows.past import entries_of
from waystation_core.broker import open_broker
from waystation_core.ids import new_id
from waystation_core.ports.store import (
    DeadLetterFilter,
    FirstFew,
    HistoryFilter,
    LeaseState,
    RouterReport,
)
from waystation_core.providers import PROVIDERS
from waystation_core.store.connections import (
    ConnectionPool,
    Connections,
    connection_of,
    open_connections,
)
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.open_work import COMPARED_WITHIN
from waystation_core.store.queries import PostgresQueryStore
from waystation_domain import actions
from waystation_domain.errors import DeadLetterNotFound
from waystation_domain.model import Delivery, DeliveryState, OnFailure, Result
from waystation_domain.operations import Operation

BIG = Operation("/big", "set", "".join(random.Random(7).choices(ascii_letters, k=700_000)))
"""What cannot be compressed to less than half a portion."""


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    connections = open_connections(database_url, size=4, name="test")
    await connections.open(wait=True)
    yield connections
    await connections.close()


@pytest.fixture
def pool(connections: Connections) -> ConnectionPool:
    return connections.hot


@pytest.fixture
def queries(connections: Connections) -> PostgresQueryStore:
    return PostgresQueryStore(connections)


@pytest.fixture
async def engine(
    pool: ConnectionPool, queries: PostgresQueryStore
) -> AsyncIterator[ScriptedEngine]:
    broker = open_broker("memory://", role="api")
    engine = ScriptedEngine(PostgresEngineStore(pool), queries, broker)
    yield engine
    await engine.relay.close()
    await broker.close()


async def started(pool: ConnectionPool, name: str) -> int:
    (made,) = await PostgresEngineStore(pool).start(
        [
            actions.start(
                providers=PROVIDERS,
                workflow_instance_id=name,
                workflow_type="t",
                data={"n": 1.5},
                payload=None,
                correlation_id=None,
                priority=None,
                metadata=None,
                digest=b"d",
                request_id=None,
                namespace="default",
            )
        ]
    )
    return made.instance.key


async def test_unknown_ids_are_missing_and_the_rest_is_one_query(
    pool: ConnectionPool, queries: PostgresQueryStore
) -> None:
    for name in ("a", "b"):
        await started(pool, name)
    found = await queries.instances(["a", "nobody", "b", "a"])
    assert sorted(found) == ["a", "b"]
    assert found["a"].data == {"n": 1.5}
    assert await queries.instances([]) == {}
    assert await queries.instances(["a"], namespace="other") == {}


async def test_open_work_is_what_is_not_settled(
    pool: ConnectionPool, queries: PostgresQueryStore, engine: ScriptedEngine
) -> None:
    key = await started(pool, "w-1")
    found = await queries.open_work(key)
    (waiting,) = found.events.shown
    assert (waiting.event.event_type, waiting.announcements, found.deliveries) == (
        "workflow.started",
        1,
        FirstFew([]),
    )
    assert (waiting.due_at - waiting.created_at).total_seconds() == pytest.approx(60, abs=1)
    await engine.handle("w-1", "workflow.started", reply("a", "b"))
    await engine.handle("w-1", "a", failure())
    found = await queries.open_work(key)
    (waiting,), (retrying,) = found.events.shown, found.deliveries.shown
    assert waiting.event.event_type == "b"
    assert (retrying.delivery.state, retrying.delivery.attempts) == (DeliveryState.READY, 1)
    assert retrying.due_at > retrying.since


async def test_what_a_router_has_in_hand_is_known_for_as_long_as_it_compares(
    pool: ConnectionPool, queries: PostgresQueryStore, engine: ScriptedEngine
) -> None:
    store = PostgresEngineStore(pool)
    key = await started(pool, "w-1")
    event, router_id = await engine.pending("w-1", "workflow.started"), new_id()
    row = Delivery(event.event_id, "other", DeliveryState.AT_CAPACITY)
    await engine.handle(
        "w-1",
        "workflow.started",
        None,
        tasks=[task(), task("other")],
        rows=[row],
        router_id=router_id,
    )
    now, (leased,) = await store.leased(router_id, after=None, limit=5)
    assert leased.since is not None

    async def known(lease: float = 10.0) -> dict[str, LeaseState | None]:
        await store.heartbeat(router_id, "default", "host", lease, RouterReport(0, 0, {}))
        found = (await queries.open_work(key)).deliveries.shown
        return {one.delivery.task_id: one.lease for one in found}

    async def time_passes(seconds: float) -> None:
        async with connection_of(pool) as connection:
            await connection.execute(
                "UPDATE routers SET compared_at = compared_at - make_interval(secs => %s)",
                (seconds,),
            )

    name = leased.task_id
    assert await known(lease=-1.0) == {"other": None, name: LeaseState.LAPSED}
    assert (await known())[name] is LeaseState.NOT_COMPARED
    await store.compared(router_id, leased.since)
    assert (await known())[name] is LeaseState.NOT_COMPARED
    await store.compared(router_id, now)
    await time_passes(COMPARED_WITHIN - 5)
    assert (await known())[name] is LeaseState.IN_HAND
    await time_passes(6)
    assert (await known())[name] is LeaseState.NOT_COMPARED


async def test_a_dead_letter_shows_the_payload_as_last_tried(
    pool: ConnectionPool, queries: PostgresQueryStore, engine: ScriptedEngine
) -> None:
    await started(pool, "w-1")
    continued = task(on_failure=OnFailure.CONTINUE)
    await engine.handle("w-1", "workflow.started", failure("A", permanent=True), by=continued)
    (letter,) = await queries.dead_letters(DeadLetterFilter())
    assert letter.event.payload == {"n": 1.5}
    assert await queries.dead_letter(letter.dead_letter_id) == letter
    for name, namespace in ((letter.dead_letter_id, "other"), ("no-uuid", "default")):
        with pytest.raises(DeadLetterNotFound):
            await queries.dead_letter(name, namespace=namespace)
    assert await queries.dead_letters(DeadLetterFilter(), namespace="other") == []


async def test_history_is_read_in_portions_of_what_a_filter_means(
    pool: ConnectionPool, queries: PostgresQueryStore, engine: ScriptedEngine
) -> None:
    key = await started(pool, "w-1")
    await engine.handle("w-1", "workflow.started", reply("a", "b", change=[BIG, BIG]))
    await engine.handle("w-1", "a", failure())
    await engine.handle("w-1", "a", reply(change=[BIG]), attempt=2)
    await engine.handle("w-1", "b", None)

    async def found(*args: Any, **named: Any) -> tuple[list[int], bool]:
        portion = await queries.history(key, *args, **named)
        return [stored.entry.sequence for stored in portion.entries], portion.more

    # The second entry takes a portion for itself; without changes, all are small.
    assert await found() == ([1, 2], True)
    assert await found(HistoryFilter(from_sequence=3)) == ([3, 4, 5], False)
    assert await found(with_change=False) == ([1, 2, 3, 4, 5], False)
    assert await found(newest_first=True) == ([5, 4, 3, 2], True)
    assert await found(newest_first=True, limit=2) == ([5, 4], True)
    assert await found(HistoryFilter(3, 4), limit=2) == ([3, 4], False)
    for filter, sequences in (
        (HistoryFilter(processed_by=("claim_validator",)), [2, 3, 4]),
        (HistoryFilter(processed_by=("client", "nobody")), [1]),
        (HistoryFilter(event_types=("a", "b")), [3, 4, 5]),
        (HistoryFilter(results=(Result.FAILED, Result.UNHANDLED)), [3, 5]),
        (HistoryFilter(actions=("start",)), [1]),
        (HistoryFilter(2, event_types=("a",), results=(Result.SUCCESS,)), [4]),
        (HistoryFilter(6), []),
    ):
        assert await found(filter, with_change=False) == (sequences, False)
    without = (await queries.history(key, with_change=False)).entries[1]
    entry = (await queries.history(key, HistoryFilter(2, 2))).entries[0]
    assert (without.entry.change, len(entry.entry.change or ())) == (None, 2)
    assert replace(without.entry, change=entry.entry.change) == entry.entry
    assert [one.entry.sequence async for one in entries_of(queries, key, 4)] == [1, 2, 3, 4]
    newest = await PostgresEngineStore(pool).newest_history(key, up_to=4, limit=2)
    assert [stored.entry.sequence for stored in newest] == [4, 3]


async def test_requests_are_forgotten_after_a_week(
    pool: ConnectionPool, queries: PostgresQueryStore
) -> None:
    store = PostgresEngineStore(pool)
    key = await started(pool, "w-1")
    async with store.locked(key=key) as locked:
        for request_id in ("old-1", "old-2", "new"):
            await locked.remember("PublishEvent", request_id, b"d", {"event_id": request_id})
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE requests SET created_at = now() - interval '7 days 1 minute' "
            "WHERE request_id LIKE 'old%%'"
        )
    assert [await store.forget_requests(1) for _ in range(3)] == [1, 1, 0]
    async with store.locked(key=key) as locked:
        assert await locked.repeated("PublishEvent", "new", b"d") == {"event_id": "new"}
        assert await locked.repeated("PublishEvent", "old-1", b"d") is None
