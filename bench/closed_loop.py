"""A closed loop: so many callers, each of which begins the next workflow when its last one has ended.

Needs nothing but Python and what is in `bench.cpu`, so that peers are measured by the same loop in environments
of their own.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.cpu import cpu_seconds


def claim(number: int) -> dict[str, Any]:
    """About 300 bytes of JSON, no two alike."""
    pick = random.Random(number)
    return {
        "claim": {
            "number": f"CLM-{number:08d}",
            "policy": f"CAR-{pick.randrange(10**6):06d}",
            "amount": round(pick.uniform(100, 20_000), 2),
            "currency": "EUR",
            "text": "The other driver did not stop at the red light and hit my car on the left "
            "side; both doors and the mirror have to be replaced.",
            "customer": {"name": "Alex Example", "city": "Sampletown"},
        }
    }


RunOne = Callable[[int, dict[str, Any]], Awaitable[None]]
"""Runs one workflow, given the caller's number and the claim. Raises where it did not end as it should."""


class ClosedLoop:
    """`concurrency` callers."""

    def __init__(self, run_one: RunOne, concurrency: int) -> None:
        self._run_one = run_one
        self._concurrency = concurrency
        self._numbers = iter(range(1 << 62))
        self._measured: list[float] | None = None
        self._over = False

    async def run(self, warm_up: float, seconds: float, groups: dict[str, int]) -> dict[str, Any]:
        """Latencies (s) of what ended inside the window, its length (s), CPU seconds by group."""
        loops = [asyncio.ensure_future(self._loop(at)) for at in range(self._concurrency)]
        await self._while_working(loops, warm_up)
        measured: list[float] = []
        self._measured = measured
        before, began = cpu_seconds(groups), time.monotonic()
        await self._while_working(loops, seconds)
        self._measured = None
        after, took = cpu_seconds(groups), time.monotonic() - began
        self._over = True
        await asyncio.gather(*loops)
        return {
            "latencies": measured,
            "seconds": took,
            "cpu": {group: after[group] - before[group] for group in groups},
        }

    async def _while_working(self, loops: list[asyncio.Task[None]], seconds: float) -> None:
        """Lets the loops work so long. Raises what ended one of them."""
        ended, _ = await asyncio.wait(loops, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for loop in ended:
            loop.result()

    async def _loop(self, at: int) -> None:
        while not self._over:
            data = claim(next(self._numbers))
            began = time.monotonic()
            await self._run_one(at, data)
            if self._measured is not None:
                self._measured.append(time.monotonic() - began)
