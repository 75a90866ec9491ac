"""SIGTERM has one deadline over all of it, whatever does not answer meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from e2e.conftest import StartParts
from support.databases import migrated
from support.moody import Moody
from support.system import Embedded, System
from support.waiting import eventually

from localservers.postgres import PostgresServer

GRACE = 2.0
REST = 3.0
"""What the page on operations promises for everything but the calls in flight."""
SLACK = 10.0
"""For a machine that has other things to do."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that may be frozen and stopped."""
    with PostgresServer() as server:
        yield server


def _freeze(postmaster: int) -> list[psutil.Process]:
    parent = psutil.Process(postmaster)
    frozen = [parent, *parent.children(recursive=True)]
    for process in frozen:
        process.suspend()
    return frozen


def _thaw(frozen: list[psutil.Process]) -> None:
    for process in frozen:
        if process.is_running():
            process.resume()


async def _all_end(system: System) -> None:
    for process in system.engine:
        process.send(signal.SIGTERM)
    began = time.monotonic()

    async def running() -> list[str]:
        return [process.log.name for process in system.engine if process.running]

    await eventually(running, until=lambda names: not names, timeout=GRACE + REST + SLACK)
    assert time.monotonic() - began < GRACE + REST + SLACK
    assert [process.returncode for process in system.engine] == [0] * len(system.engine)


async def _in_call(system: System, folder: Path) -> None:
    """A call that does not end by itself, and results that come in all the time."""
    moody = Moody(system, folder)
    await asyncio.to_thread(moody.start)
    async with system.client() as client:
        workflow = await client.start("endless", {})

        async def called() -> int:
            return len(moody.seen(workflow.id))

        await eventually(called)
        for _ in range(20):
            await client.start("plain", {})


@pytest.mark.parametrize("busy", [True, False], ids=["calls in flight", "idle"])
@pytest.mark.parametrize("how", ["frozen", "stopped"])
async def test_api_and_router_end_in_time_though_postgres_does_not_answer(
    start_parts: StartParts, own_postgres: PostgresServer, tmp_path: Path, how: str, busy: bool
) -> None:
    parts = start_parts(
        database=own_postgres.fresh_database(migrated),
        routers=1,
        WAYSTATION_STOP_GRACE_SECONDS=str(GRACE),
    )
    if busy:
        await _in_call(parts, tmp_path)
    frozen: list[psutil.Process] = []
    if how == "frozen":
        frozen = _freeze(own_postgres.pid)
    else:
        await asyncio.to_thread(own_postgres.stop_server, "immediate")
    try:
        await _all_end(parts)
    finally:
        _thaw(frozen)


async def test_waystation_dev_ends_in_time_though_its_postgres_is_frozen(tmp_path: Path) -> None:
    environment = {"WAYSTATION_STOP_GRACE_SECONDS": str(GRACE)}
    with Embedded(tmp_path, environment) as system:
        await _in_call(system, tmp_path)
        (engine,) = system.engine
        (postgres,) = [
            child for child in psutil.Process(engine.pid).children() if child.name() == "postgres"
        ]
        frozen = _freeze(postgres.pid)
        try:
            await _all_end(system)
        finally:
            _thaw(frozen)
