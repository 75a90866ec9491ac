"""When a router may break the leases of others: others had the chance to renew theirs, too."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from waystation_core.domain.errors import StoreUnavailable
from waystation_core.domain.pools import Pool
from waystation_core.ports.store import Heartbeat, RouterReport
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


async def may_break_after(monkeypatch: pytest.MonkeyPatch, *script: bool | None) -> list[bool]:
    """After each renewal, whether it may; False is a lease that had lapsed, None an outage."""
    clock = Clock()
    seen: list[bool] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        seen.append(lease.may_break_others)
        clock.now += seconds
        if len(seen) == len(script):
            done.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    lease = Lease(
        cast(Any, Renewals(*script)),
        "r-1",
        Pool("default", routers=1),
        SECONDS,
        lambda: RouterReport(0, 0, {}),
        lambda pools: None,
        lambda: None,
    )
    running = asyncio.ensure_future(lease._run())
    async with asyncio.timeout(20):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
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


async def test_a_renewal_that_came_late_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    store = Renewals(*[True] * 9)
    lease = Lease(
        cast(Any, store),
        "r-1",
        Pool("default", routers=1),
        SECONDS,
        lambda: RouterReport(0, 0, {}),
        lambda pools: None,
        lambda: None,
    )
    for _ in range(4):
        await lease._renew()
        clock.now += 3
    assert lease.may_break_others
    # The process stood still for longer than its lease, and nobody had broken it.
    clock.now += SECONDS
    await lease._renew()
    assert not lease.may_break_others
