"""The case of calls that last as long as an LLM's answers: one router holds a great many of them, and work that is
quick goes on beside them."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

from scale import handlers
from scale.memory import watched
from scale.report import Row
from scale.system import System
from waystation_worker import Client, NewWorkflow

PROCESSES = 4
SECONDS = 30.0
STARTED_A_SECOND = 500
"""At least: what a call lasts longer than SECONDS, so that the last one has begun before the first one ends."""
MOST_MEGABYTES = 600.0
AT_MOST = 2.0
CALLERS = 8
WINDOW_SECONDS = 8.0
_CALLS = "SELECT COALESCE(sum(calls_in_flight), 0) FROM routers"


async def slow_calls(system: System, number: int, normal: float) -> list[Row]:
    """So many calls at once, by handlers in four processes."""
    window = WINDOW_SECONDS if number >= 1_000 else 1.0
    seconds = (SECONDS if number >= 1_000 else 10.0) + number / STARTED_A_SECOND
    await asyncio.to_thread(system.start_more, "scale.handlers", "scale", PROCESSES - 1)
    await asyncio.to_thread(system.start_more, "bench.handlers", "bench-claims")
    alone = await _p50(system, window)
    async with watched(system.engine()) as memory:
        began = time.monotonic()
        refused = await _start(system.address, number, seconds)
        started = time.monotonic() - began
        held = await _until_held(system, number, began + seconds)
        beside = await _p50(system, window)
        still = await _count(system, _CALLS)
        ended = await _until_ended(system, number, began + 4 * seconds + 60)
    again = await _count(system, "SELECT count(*) FROM history WHERE attempt > 1")
    print(
        f"slow-calls: {number:,} calls of {seconds:.0f} s, started in {started:.0f} s; claim-3 with {CALLERS} "
        f"callers: p50 {alone * 1e3:.1f} ms alone, {beside * 1e3:.1f} ms beside {still:,} calls",
        flush=True,
    )
    return [
        Row("slow-calls", "starts that were refused", refused, "<=", 0, ""),
        Row("slow-calls", "calls that one router held at once", held, ">=", number, ""),
        *(
            Row("slow-calls", f"{name}: memory at most", max(seen), "<=", MOST_MEGABYTES, "MB")
            for name, seen in memory.items()
        ),
        Row(
            "slow-calls",
            "p50 of claim-3 beside them, to p50 alone",
            beside / alone,
            "<=",
            AT_MOST,
            "times",
        ),
        Row("slow-calls", "not completed in the end", number - ended, "<=", 0, ""),
        Row("slow-calls", "calls that were made again", again, "<=", 0, ""),
    ]


async def _p50(system: System, seconds: float) -> float:
    """Of claim-3 in a closed loop (s)."""
    found = await asyncio.to_thread(system.run_claims, CALLERS, seconds)
    return statistics.median(found["latencies"])


async def _start(address: str, number: int, seconds: float) -> int:
    """Starts them as fast as possible; how many were refused."""

    async def workflows() -> AsyncIterator[NewWorkflow]:
        for _ in range(number):
            yield NewWorkflow(workflow_type=handlers.CALLS, data={"seconds": seconds})

    async with Client(address) as client:
        return sum([result.error is not None async for result in client.start_many(workflows())])


async def _until_held(system: System, number: int, until: float) -> int:
    """The most calls in flight that the router reported, until there are so many, or it is too late."""
    most = 0
    while most < number and time.monotonic() < until:
        most = max(most, await _count(system, _CALLS))
        await asyncio.sleep(0.5)
    return most


async def _until_ended(system: System, number: int, until: float) -> int:
    """How many have completed, once all have, or it is too late."""
    query = f"SELECT count(*) FROM workflow_instances WHERE workflow_type = '{handlers.CALLS}' AND status = 3"
    while True:
        ended = await _count(system, query)
        if ended >= number or time.monotonic() > until:
            return ended
        await asyncio.sleep(1.0)


async def _count(system: System, query: str) -> int:
    ((number,),) = await asyncio.to_thread(system.rows, query)
    return int(number)
