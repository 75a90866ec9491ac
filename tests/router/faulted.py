"""A whole router, one of whose parts runs into one fault of the store; and what must be true afterwards.

Times that a router waits between two looks are short here, and what the database holds for a while
becomes due when a test says that the time has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from router.whole import Made, WholeRouter
from store.instances import Engine
from support.scripted_store import Fault, Script, broken, held, reply_lost, unavailable
from support.waiting import eventually

from waystation_core.background import owned
from waystation_core.broker.in_process import Hub
from waystation_domain.model import Result
from waystation_domain.task_spec import TaskSpec
from waystation_router import app, committer, intake, lease, reconciler, sweeper
from waystation_router.lease import Lease

LOOK_SECONDS = 0.03
FAULTS: dict[str, Callable[[], Fault]] = {
    "before": unavailable,
    "reply lost": reply_lost,
    "other": lambda: broken(RuntimeError("a fault of ours")),
    "other, after": lambda: broken(RuntimeError("a fault of ours"), after=True),
    "hangs until killed": lambda: held(after=True),
}
"""What may become of a call of the store. Two of them, and the last one, were carried out."""

CARRIED_OUT = frozenset({"reply lost", "other, after", "hangs until killed"})
OUTAGES = frozenset({"before", "reply lost"})
ALL = frozenset(FAULTS)
NONE: frozenset[str] = frozenset()

PARTS: dict[str, Callable[[Any], Any]] = {
    "committer": lambda r: r._committer,
    "sweeper": lambda r: r._sweeper,
    "claims": lambda r: r._sweeper._claims,
    "reconciler": lambda r: r._reconciler,
    "intake": lambda r: r._intake,
    "calls": lambda r: r._calls,
    "timers": lambda r: r._sweeper._timers,
    "lease": lambda r: r._lease,
    "registries": lambda r: r._registries,
    "registry_copy": lambda r: r._registries.of("default"),
    "decisions": lambda r: r._decisions,
    "relay": lambda r: r._relay,
    "app": lambda r: r,
}
"""By the name of its module, each part of a router that has the store."""


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a router look again after some milliseconds, whatever it waits for."""
    for name in ("DELIVERIES", "EVENTS", "PARKED", "OVERDUE", "LAPSED", "LOST", "LEASES"):
        monkeypatch.setattr(sweeper, f"{name}_EVERY", LOOK_SECONDS)
    for module in (sweeper, reconciler):
        monkeypatch.setattr(module, "LOOK_EVERY", LOOK_SECONDS)
    monkeypatch.setattr(reconciler, "AGAIN_AFTER", LOOK_SECONDS / 3)
    # Else it would find, some seconds later, what another part must find at once.
    monkeypatch.setattr(sweeper, "STARVING_AFTER", 3_600.0)
    monkeypatch.setattr(app, "REGISTRY_EVERY", LOOK_SECONDS)
    monkeypatch.setattr(lease, "RENEWED_EVERY", LOOK_SECONDS / 5)
    for retrying in (committer, intake, sweeper, lease, owned):
        monkeypatch.setattr(retrying, "wait_before", lambda *_, **__: LOOK_SECONDS)

    # As if it had been renewed for a whole lease.
    monkeypatch.setattr(Lease, "may_break_others", property(lambda self: self.is_held))


@dataclass(eq=False)
class World:
    """One database, one broker, and the routers that one test has on them: one, and perhaps the one that
    comes after its death."""

    engine: Engine
    url: str
    monkeypatch: pytest.MonkeyPatch
    settings: dict[str, Any] = field(default_factory=dict)
    script: Script = field(default_factory=Script)
    """Of the part that this is about, in the first router."""
    on_call: Callable[[Made], None] = lambda made: made.answer()
    answers: bool = True
    """Whether calls of the first router are answered at once."""
    routers: list[WholeRouter] = field(default_factory=list)

    def __post_init__(self) -> None:
        hurry(self.monkeypatch)
        self.hub = Hub()
        # No broker that begins: what is announced is not brought back for that reason alone.
        self.hub.consumed_before = True
        self._new_router()

    def _new_router(self) -> WholeRouter:
        router = WholeRouter(self.engine, self.url, self.monkeypatch, self.hub, **self.settings)
        router.endpoints.on_call = self._called
        self.routers.append(router)
        return router

    @property
    def whole(self) -> WholeRouter:
        """The one that lives."""
        return self.routers[-1]

    def _called(self, made: Made) -> None:
        if self.answers or len(self.routers) > 1:
            self.on_call(made)

    def calls(self) -> list[Made]:
        return [made for router in self.routers for made in router.endpoints.calls]

    def faulty(self, *parts: str) -> None:
        """Has these parts of the first router use the scripted store."""
        for part in parts:
            owner = PARTS[part](self.whole.router)
            owner._store = self.script.wrap(owner._store)
            if part == "app":
                owner._contact._probe = owner._store.probe

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async def look() -> bool:
            return condition()

        await eventually(look, timeout=20, what=what)

    async def bitten(self, name: str, kind: str) -> None:
        """Returns when a call has run into the fault."""
        await self.until(
            lambda: any(bite[0] == name and bite[2] == kind for bite in self.script.bites),
            f"{name} to be called",
        )

    async def dies(self) -> None:
        """The router's process ends without a word: what it had under way is cut off, and its lease is
        over. Another one comes, to which nothing happens."""
        mine = owned.owner()
        renewals = self.whole.router._lease._renewals
        cut = [*(kept.task for kept in mine.kept), *mine.jobs, *renewals]
        for kept in list(mine.kept):
            kept.cancel()
        for task in [*mine.jobs, *renewals]:
            task.cancel()
        if cut:
            await asyncio.wait(cut)
        await self.whole.broker.close()
        self.whole._started = False
        await self.engine.rows("UPDATE routers SET lease_until = now()")
        await self._new_router().start()

    async def time_passes(self) -> None:
        """What was put off, or claimed for a while, is due."""
        for table in ("timers", "deliveries", "outbox"):
            await self.engine.rows(f"UPDATE {table} SET due_at = now() WHERE due_at > now()")

    async def end(self) -> None:
        for router in self.routers:
            with contextlib.suppress(RuntimeError):
                await router.stop()

    # --- what must be true -----------------------------------------------------------------

    async def settled(self, *, late: bool) -> None:
        """Returns when nothing is open and no timer is left; `late`: time passes meanwhile."""

        async def is_open() -> int:
            if late:
                await self.time_passes()
            (timers,) = await self.engine.rows("SELECT count(*) FROM timers")
            return await self.whole.open_events() + int(timers[0])

        await eventually(is_open, until=lambda n: n == 0, timeout=20, what="all to be settled")

    async def each_was_handled_once(self, tasks: Sequence[TaskSpec]) -> None:
        """Every event that was raised has one result that counts from each of its tasks."""
        wanted = sorted(
            (event_id, task.task_id)
            for event_id, event_type in await self.engine.rows(
                "SELECT event_id::text, event_type FROM events"
            )
            for task in tasks
            if event_type in task.event_types
        )
        assert wanted
        found = await self.engine.rows(
            "SELECT event_id::text, processed_by FROM history WHERE result = %s AND attempt > 0 "
            "AND processed_by = ANY(%s) ORDER BY 1, 2",
            int(Result.SUCCESS),
            [task.task_id for task in tasks],
        )
        assert found == wanted
        assert not await self.engine.rows("SELECT 1 FROM dead_letters")

    def no_attempt_was_made_twice(self) -> None:
        made = [(*one.place, one.attempt) for one in self.calls()]
        assert len(set(made)) == len(made), made
