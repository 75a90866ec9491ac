"""Postgres dies: what was answered is there afterwards, and repeating what was not is safe (P1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from store.instances import Engine, a_start, task
from support.waiting import eventually

from localservers.postgres import PostgresServer
from waystation_core.store.connections import open_connections
from waystation_core.store.migration import migrate
from waystation_domain.actions import Start
from waystation_domain.errors import StoreUnavailable
from waystation_domain.operations import Operation
from waystation_domain.outcomes import Reply

A = task("a")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be broken."""
    with PostgresServer() as server:
        yield server


async def test_what_was_answered_survives_the_death_of_postgres(server: PostgresServer) -> None:
    url = server.fresh_database()
    await migrate(url)
    connections = open_connections(url, size=8, name="test")
    await connections.open(wait=True)
    engine = Engine(connections)
    generation = await engine.generation()
    answered: list[Start] = []
    failures = 0
    busy = True

    async def client() -> None:
        """Starts instances and handles their first events, each repeated until it is answered."""
        nonlocal failures
        while busy:
            start = a_start()
            # Before the first answer nothing is known: created, or there already.
            while True:
                try:
                    (answer,) = await engine.store.start([start])
                    break
                except StoreUnavailable:
                    failures += 1
                    await asyncio.sleep(0)
            assert answer.same_content
            answered.append(start)
            while True:
                try:
                    reply = Reply(change=(Operation("/n", "increment", 1),))
                    commit = await engine.decide(start.event.event_id, A, reply)
                    if not commit.is_empty:
                        await engine.store.commit([commit], generations={"default": generation})
                    break
                except StoreUnavailable:
                    failures += 1
                    await asyncio.sleep(0)

    async def ten_more() -> None:
        seen = len(answered)

        async def number() -> int:
            return len(answered)

        await eventually(number, until=lambda now: now >= seen + 10, timeout=30)

    clients = [asyncio.create_task(client()) for _ in range(4)]
    for _ in range(2):
        await ten_more()
        failed = failures
        await asyncio.to_thread(server.restart, "immediate")
        await ten_more()
        assert failures > failed, "nobody noticed"
    busy = False
    await asyncio.gather(*clients)

    assert len(await engine.rows("SELECT 1 FROM workflow_instances")) == len(answered)
    loaded = await engine.store.load([start.event.event_id for start in answered])
    assert loaded.events.keys() == {start.event.event_id for start in answered}
    assert all(instance.data == {"n": 1} for instance in loaded.instances.values())
    assert all(instance.idle is not None for instance in loaded.instances.values())
    await engine.check(list(loaded.instances))
    await connections.close()
