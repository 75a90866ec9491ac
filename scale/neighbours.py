"""The case of a flood beside others: how long a quiet workflow takes alone, and how long beside a type whose
clients start as many as they can. Medians, in turns, as a shared machine is faster one minute and slower the
next."""

import asyncio
import statistics
import time
from collections.abc import Sequence

from scale import handlers
from scale.clients import Api, api
from scale.report import Row
from scale.system import System

TURNS = 3
SECONDS = 8.0
"""Seconds of each half of a turn."""
AT_MOST = 2.0
PAUSE = 0.05
"""Seconds between two quiet workflows."""


async def neighbours(system: System, number: int, normal: float) -> list[Row]:
    """Beside so many clients of a flood whose tasks wait for each other's places, and beside one that takes
    all of the machine that it gets."""
    rows = []
    async with api(system.address) as one:
        for name, workflow_type in (
            ("waits for its own places", handlers.FLOOD),
            ("takes all of the machine", handlers.NOW),
        ):
            await one.run(handlers.QUIET)
            alone, beside = [], []
            seconds = SECONDS if number >= 64 else 1.0
            for _ in range(TURNS):
                alone.append(await _median(one, seconds))
                flood = await asyncio.to_thread(system.start_flood, workflow_type, number)
                # Its queue is full before anything is timed.
                await asyncio.sleep(seconds / 5)
                beside.append(await _median(one, seconds))
                await asyncio.to_thread(flood.stop, 60)
            ended = system.rows(
                "SELECT count(*) FROM workflow_instances WHERE workflow_type = %s AND status = 3",
                [workflow_type],
            )
            rows += _rows(name, number, alone, beside, int(ended[0][0]))
    return rows


def _rows(
    name: str, number: int, alone: Sequence[float], beside: Sequence[float], flood: int
) -> list[Row]:
    ratio = statistics.median(beside) / statistics.median(alone)
    figures = ", ".join(
        f"{one * 1e3:.1f}/{two * 1e3:.1f}" for one, two in zip(alone, beside, strict=True)
    )
    print(
        f"neighbours: {number} clients, a flood that {name}, {flood:,} of it: p50 alone/beside, "
        f"in each turn (ms): {figures}",
        flush=True,
    )
    what = f"p50 beside a flood that {name}, to p50 alone"
    return [Row("neighbours", what, ratio, "<=", AT_MOST, "times")]


async def _median(one: Api, seconds: float) -> float:
    """Seconds that quiet workflows take, one after the other."""
    until = time.monotonic() + seconds
    took = []
    while time.monotonic() < until:
        took.append(await one.run(handlers.QUIET))
        await asyncio.sleep(PAUSE)
    return statistics.median(took)
