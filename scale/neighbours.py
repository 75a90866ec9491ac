"""The cases of a flood beside others: how long a quiet workflow takes alone, and how long beside clients that start as
many as they can of another type, or in another namespace. Medians, in turns, as a shared machine is faster one minute
and slower the next."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from scale import handlers
from scale.clients import api
from scale.report import Row
from scale.system import System
from waystation_worker import Client

TURNS = 3
SECONDS = 8.0
"""Seconds of each half of a turn."""
AT_MOST = 2.0
PAUSE = 0.05
"""Seconds between two quiet workflows."""
OTHER = "other"

Quiet = Callable[[], Awaitable[float]]
"""Runs a quiet workflow; how long it took (s)."""


async def neighbours(system: System, number: int, normal: float) -> list[Row]:
    """Beside so many clients of a flood whose tasks wait for each other's places, and beside one that takes
    all of the machine that it gets."""
    async with api(system.address) as one:
        return await _beside_floods("neighbours", system, number, lambda: one.run(handlers.QUIET))


async def namespaces(system: System, number: int, normal: float) -> list[Row]:
    """The same, where the flood is in one namespace and the quiet workflows in another, which has handlers of its
    own."""
    async with Client(system.address) as client:
        await client.namespaces.create(OTHER)
    await asyncio.to_thread(system.start_handlers_in, OTHER)
    async with api(system.address) as one:
        return await _beside_floods(
            "namespaces", system, number, lambda: one.run(handlers.QUIET, namespace=OTHER)
        )


async def _beside_floods(case: str, system: System, number: int, quiet: Quiet) -> list[Row]:
    rows = []
    for name, workflow_type in (
        ("waits for its own places", handlers.FLOOD),
        ("takes all of the machine", handlers.NOW),
    ):
        await quiet()
        alone, beside = [], []
        seconds = SECONDS if number >= 64 else 1.0
        for _ in range(TURNS):
            alone.append(await _median(quiet, seconds))
            flood = await asyncio.to_thread(system.start_flood, workflow_type, number)
            # Its queue is full before anything is timed.
            await asyncio.sleep(seconds / 5)
            beside.append(await _median(quiet, seconds))
            await asyncio.to_thread(flood.stop, 60)
        ended = system.rows(
            "SELECT count(*) FROM workflow_instances WHERE workflow_type = %s AND status = 3",
            [workflow_type],
        )
        rows += _rows(case, name, number, alone, beside, int(ended[0][0]))
    return rows


def _rows(
    case: str, name: str, number: int, alone: Sequence[float], beside: Sequence[float], flood: int
) -> list[Row]:
    ratio = statistics.median(beside) / statistics.median(alone)
    figures = ", ".join(
        f"{one * 1e3:.1f}/{two * 1e3:.1f}" for one, two in zip(alone, beside, strict=True)
    )
    print(
        f"{case}: {number} clients, a flood that {name}, {flood:,} of it: p50 alone/beside, "
        f"in each turn (ms): {figures}",
        flush=True,
    )
    what = f"p50 beside a flood that {name}, to p50 alone"
    return [Row(case, what, ratio, "<=", AT_MOST, "times")]


async def _median(quiet: Quiet, seconds: float) -> float:
    """Seconds that quiet workflows take, one after the other."""
    until = time.monotonic() + seconds
    took = []
    while time.monotonic() < until:
        took.append(await quiet())
        await asyncio.sleep(PAUSE)
    return statistics.median(took)
