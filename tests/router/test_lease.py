"""When a router may break the leases of others (others had the chance to renew theirs, too), and that one
slow renewal does not cost it its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.scripted_store import Script, held

from waystation_core.ports.store import Heartbeat, RouterReport
from waystation_domain.errors import StoreUnavailable
from waystation_domain.pools import Pool
from waystation_router import lease as module
from waystation_router.lease import Lease

SECONDS = 9.0
"""Of a lease; it is renewed each third."""


class Clock:
    """Time as the lease sees it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class Renewals:
    """A store whose heartbeats go as the test says, and then no more."""

    def __init__(self, *script: bool | None) -> None:
        self._script = iter(script)

    async def heartbeat(self, *_: Any) -> Heartbeat:
        held = next(self._script)
        if held is None:
            raise StoreUnavailable("away") from ConnectionError()
        return Heartbeat(held, in_pool=True, pools=())


def nothing() -> RouterReport:
    return RouterReport(0, 0, {})


def a_lease(
    store: object,
    seconds: float = SECONDS,
    on_lost: Callable[[], None] = lambda: None,
    report: Callable[[], RouterReport] = nothing,
) -> Lease:
    return Lease(
        cast(Any, store),
        "r-1",
        Pool("default", routers=1),
        seconds,
        report,
        lambda pools: None,
        on_lost,
    )


def without_time(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, slept: Callable[[], Awaitable[None]]
) -> None:
    """A lease's waits only move the clock: a sleep is told of, and what is not answered by itself is
    not answered before the wait is over."""

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await slept()

    async def wait(tasks: set[asyncio.Task[None]], *, timeout: float, return_when: str) -> Any:
        for _ in range(20):
            await asyncio.sleep(0)
        done = {task for task in tasks if task.done()}
        if not done:
            clock.now += timeout
        return done, tasks - done

    monkeypatch.setattr(module, "time", clock)
    patched = SimpleNamespace(
        sleep=sleep, wait=wait, gather=asyncio.gather, FIRST_COMPLETED=asyncio.FIRST_COMPLETED
    )
    monkeypatch.setattr(module, "asyncio", patched)


async def may_break_after(
    monkeypatch: pytest.MonkeyPatch, *script: bool | None, stands_still: int = 0
) -> list[bool]:
    """After each renewal, whether it may; False is a lease that had lapsed, None an outage. After so many of
    them the process `stands_still` for longer than its lease."""
    clock = Clock()
    seen: list[bool] = []
    done = asyncio.Event()

    async def slept() -> None:
        seen.append(lease.may_break_others)
        if len(seen) == stands_still:
            clock.now += SECONDS
        if len(seen) == len(script):
            done.set()
            await asyncio.Event().wait()

    without_time(monkeypatch, clock, slept)
    lease = a_lease(Renewals(*script))
    lease.start()
    async with asyncio.timeout(20):
        await done.wait()
    await lease.stop()
    return seen


@pytest.mark.parametrize(
    ("script", "may"),
    [
        ([True] * 5, "...yy"),
        ([True, True, True, None, True, True, True, True], ".......y"),
        ([True, True, True, False, True, True, True], "......y"),
        ([None, None, True, True, True, True], ".....y"),
    ],
    ids=["renewed all the time", "an outage between", "it had lapsed", "an outage at first"],
)
async def test_only_who_was_renewed_for_a_whole_lease_may(
    monkeypatch: pytest.MonkeyPatch, script: list[bool | None], may: str
) -> None:
    seen = await may_break_after(monkeypatch, *script)
    assert "".join("y" if one else "." for one in seen) == may


async def test_a_renewal_that_came_late_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody had broken the lease meanwhile."""
    seen = await may_break_after(monkeypatch, *[True] * 5, stands_still=4)
    assert seen == [False, False, False, True, False]


@pytest.mark.parametrize("seconds", [1.0, 10.0, 300.0])
async def test_after_a_renewal_without_an_answer_there_is_time_for_another(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock, script, done = Clock(), Script(), asyncio.Event()
    script.on("heartbeat", held(), calls=3)
    in_time: list[bool] = []

    async def slept() -> None:
        # The next one begins now, and its answer may be as long in coming as it is waited for.
        clock.now += seconds * module.PATIENCE
        in_time.append(lease.is_held)
        clock.now -= seconds * module.PATIENCE
        if script.calls["heartbeat"] == 6:
            done.set()
            await asyncio.Event().wait()

    without_time(monkeypatch, clock, slept)
    lease = a_lease(script.wrap(Renewals(*[True] * 6)), seconds)
    lease.start()
    async with asyncio.timeout(20):
        await done.wait()
    await lease.stop()
    assert in_time == [True] * 6
    assert script.bites == [("heartbeat", 3, "held")]


async def test_a_late_answer_counts_from_its_request_and_shows_what_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, script, done, lost = Clock(), Script(), asyncio.Event(), asyncio.Event()
    late = script.on("heartbeat", held(), calls=[2, 3])
    asked_at: list[float] = []
    seen: list[tuple[bool, bool]] = []

    def report() -> RouterReport:
        asked_at.append(clock.now)
        return nothing()

    async def slept() -> None:
        seen.append((lease.is_held, lost.is_set()))
        if len(seen) == 5:
            late.open()
        if len(seen) == 6:
            done.set()
            await asyncio.Event().wait()

    without_time(monkeypatch, clock, slept)
    lease = a_lease(script.wrap(Renewals(True, False, True)), SECONDS, lost.set, report)
    lease.start()
    async with asyncio.timeout(20):
        await done.wait()
    await lease.stop()
    assert len(asked_at) == 3, "no further one is begun while two are not answered"
    assert seen[4] == (False, False), "nothing was answered for more than a lease"
    assert lost.is_set()
    assert not lease.may_break_others
    clock.now = asked_at[2] + SECONDS - 0.1
    assert lease.is_held
    clock.now += 0.2
    assert not lease.is_held
