"""Drives several users of the real store statement by statement: each statement, and each end of a
transaction, waits until the test lets it go. A statement that waits for a lock is recognised by the
database's own account of it, and the others go on meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from waystation_core.store.connections import ConnectionPool

_QUICK_SECONDS = 0.005
_PATIENCE_SECONDS = 20.0


class Actor:
    """One user of the store. What it does through `pool` happens step by step."""

    def __init__(self, name: str, pool: ConnectionPool) -> None:
        self.name = name
        self.pool: Any = _SteppedPool(pool, self)
        self.steps: list[str] = []
        self._work: asyncio.Task[Any] | None = None
        self._gates: list[asyncio.Future[None]] = []
        self._moved = asyncio.Event()
        self.backend = 0

    def begin(self, work: Awaitable[Any]) -> None:
        async def whole() -> None:
            try:
                await work
            finally:
                self._moved.set()

        self._work = asyncio.ensure_future(whole())

    @property
    def done(self) -> bool:
        return self._work is not None and self._work.done()

    @property
    def ready(self) -> bool:
        """Whether it has a statement to send."""
        return bool(self._gates)

    async def pass_gate(self, step: str) -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gates.append(gate)
        self._moved.set()
        await gate
        self.steps.append(step)

    def let_go(self) -> None:
        self._moved.clear()
        self._gates.pop(0).set_result(None)

    async def wait_moved(self, seconds: float) -> bool:
        """Whether it has come to its next statement, or its end, within this time."""
        if self.ready or self.done:
            return True
        try:
            async with asyncio.timeout(seconds):
                while not (self.ready or self.done):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def finish(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def result(self) -> Any:
        assert self._work is not None
        return self._work.result()


class _SteppedPool:
    def __init__(self, pool: ConnectionPool, actor: Actor) -> None:
        self._pool = pool
        self._actor = actor
        self.closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._pool.connection() as connection:
            yield _SteppedConnection(connection, self._actor)

    async def check(self) -> None:
        pass


class _SteppedConnection:
    def __init__(self, connection: Any, actor: Actor) -> None:
        self._connection = connection
        self._actor = actor

    async def execute(self, query: Any, parameters: Any = None) -> Any:
        await self._actor.pass_gate(str(query).split("(")[0].strip()[:40])
        self._actor.backend = self._connection.info.backend_pid
        return await self._connection.execute(query, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield
            await self._actor.pass_gate("COMMIT")


Choose = Callable[[int], int]
"""Which of so many goes next."""


class Schedule:
    """One order: the choices that were made, so that the next one differs."""

    def __init__(self, given: Sequence[int] = ()) -> None:
        self._given = list(given)
        self.made: list[tuple[int, int]] = []
        """What was chosen, of how many."""

    def choose(self, among: int) -> int:
        at = len(self.made)
        choice = self._given[at] % among if at < len(self._given) else 0
        self.made.append((choice, among))
        return choice

    def next(self) -> list[int] | None:
        """The choices of the order that follows; None after the last one."""
        made = list(self.made)
        while made:
            choice, among = made.pop()
            if choice + 1 < among:
                return [*(one for one, _ in made), choice + 1]
        return None


class Sampled:
    """Orders by chance, the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.made: list[tuple[int, int]] = []

    def choose(self, among: int) -> int:
        choice = self._random.randrange(among)
        self.made.append((choice, among))
        return choice


async def run(actors: Sequence[Actor], choose: Choose, pool: ConnectionPool) -> list[str]:
    """Has all of them come to their ends in the order that `choose` makes; the order as it was."""
    order: list[str] = []
    until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        for actor in actors:
            await _stand(actor, pool)
        able = [actor for actor in actors if actor.ready]
        if not able:
            if all(actor.done for actor in actors):
                return order
            assert asyncio.get_running_loop().time() < until, f"nobody goes on after {order}"
            continue
        actor = able[choose(len(able))]
        order.append(actor.name)
        actor.let_go()


async def _stand(actor: Actor, pool: ConnectionPool) -> None:
    """Waits until it is at its next statement, at its end, or waits for another's lock."""
    while not await actor.wait_moved(_QUICK_SECONDS):
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT cardinality(pg_blocking_pids(%s))", (actor.backend,)
            )
            row = await cursor.fetchone()
        if row is not None and row[0]:
            return
