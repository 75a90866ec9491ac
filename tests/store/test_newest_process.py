"""Whatever the order in which processes begin, lapse, come back and end: the spec of the one that began
last holds, what any live one announces is handled, and a generation means one and the same set of tasks."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from waystation_core.ports.store import Registration
from waystation_core.store.connections import ConnectionPool, open_pool
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.task_spec import TaskSpec

EVENT_TYPES = ("a", "b", "c", "d")
WORKFLOW_TYPES = ("x", "y")
STEPS = 40


@dataclass(slots=True)
class Process:
    """As the test knows it; of two the one with the greater number began later."""

    number: int
    task: TaskSpec
    began_at: datetime | None = None
    handler_id: str = ""
    live: bool = False

    def announces(self, event_type: str, workflow_type: str) -> bool:
        return event_type in self.task.event_types and workflow_type in self.task.workflow_types


class Deploys:
    """A store, and beside it the processes that it should know of."""

    def __init__(self, pool: ConnectionPool, chance: random.Random) -> None:
        self.pool = pool
        self.store = PostgresRegistryStore(pool)
        self.chance = chance
        self.processes: list[Process] = []
        self.of_generation: dict[int, object] = {}
        self.said: list[str] = []

    async def step(self) -> None:
        live = [process for process in self.processes if process.live]
        away = [process for process in self.processes if not process.live]
        acts = [self.begin]
        if live:
            acts += [self.lapse, self.end, self.register_again, self.renew, self.lapse_all]
        if away:
            acts += [self.come_back] * 3
        act = self.chance.choice(acts)
        self.said.append(act.__name__)
        await act()

    async def begin(self) -> None:
        number = len(self.said)
        task = TaskSpec(
            "t",
            "s",
            tuple(sorted(self.chance.sample(EVENT_TYPES, self.chance.randint(1, 3)))),
            tuple(sorted(self.chance.sample(WORKFLOW_TYPES, self.chance.randint(1, 2)))),
            timeout=float(number),
        )
        process = Process(number, task)
        self.processes.append(process)
        await self._register(process)

    async def come_back(self) -> None:
        await self._register(
            self.chance.choice([process for process in self.processes if not process.live])
        )

    async def register_again(self) -> None:
        await self._register(self._any_live())

    async def renew(self) -> None:
        await self.store.renew(self._any_live().handler_id)

    async def end(self) -> None:
        process = self._any_live()
        self.processes.remove(process)
        await self.store.unregister(process.handler_id)

    async def lapse(self) -> None:
        await self._lapse([self._any_live()])

    async def lapse_all(self) -> None:
        await self._lapse([process for process in self.processes if process.live])

    async def check(self, newest: Process) -> None:
        generation, _ = await self.store.changes()
        snapshot = await self.store.snapshot()
        table = snapshot.table()
        handled = {}
        for event_type in EVENT_TYPES:
            for workflow_type in WORKFLOW_TYPES:
                wanted = any(
                    process.announces(event_type, workflow_type)
                    for process in (newest, *self.processes)
                    if process.live or process is newest
                )
                tasks = table.resolve(event_type, workflow_type)
                assert [task.timeout for task in tasks] == [newest.task.timeout] * wanted, self.said
                handled[event_type, workflow_type] = wanted
        assert snapshot.generation == generation
        assert self.of_generation.setdefault(generation, handled) == handled, self.said

    def _any_live(self) -> Process:
        return self.chance.choice([process for process in self.processes if process.live])

    async def _register(self, process: Process) -> None:
        stored, _ = await self.store.register(
            Registration(
                handler_id="",
                service_name="s",
                service_version="",
                host="127.0.0.1",
                port=1 + process.number,
                static=False,
                tasks=(process.task,),
                lease_seconds=3600,
                began_at=process.began_at,
            )
        )
        assert process.began_at in (None, stored.began_at)
        process.began_at, process.handler_id, process.live = (
            stored.began_at,
            stored.handler_id,
            True,
        )

    async def _lapse(self, processes: list[Process]) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                "UPDATE handlers SET lease_until = now() - interval '1 s' "
                "WHERE handler_id = ANY(%s::uuid[])",
                ([process.handler_id for process in processes],),
            )
        for process in processes:
            process.live = False


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    pool = open_pool(database_url, size=2, name="test")
    await pool.open(wait=True)
    yield pool
    await pool.close()


@pytest.mark.parametrize("seed", range(8))
async def test_the_newest_process_is_the_one_that_began_last(
    pool: ConnectionPool, seed: int
) -> None:
    deploys = Deploys(pool, random.Random(seed))
    newest: Process | None = None
    for _ in range(STEPS):
        await deploys.step()
        newest = max((newest, *deploys.processes), key=lambda one: one.number if one else -1)
        assert newest is not None
        # One that has ended announces nothing any more; its spec holds until another one begins.
        if newest not in deploys.processes:
            newest = replace(newest, live=False)
        await deploys.check(newest)
