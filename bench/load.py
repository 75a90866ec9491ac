"""The load client: a closed loop of `run` calls, as a process of its own.

`python -m bench.load` with a JSON object on the command line; prints one JSON object.
"""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

import uvloop

from bench.cpu import cpu_seconds
from waystation_worker import Client

RUN_SECONDS = 60.0


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


class Load:
    """One closed loop: `concurrency` coroutines that each start a workflow and wait for its end."""

    def __init__(self, address: str, workflow_type: str, concurrency: int, channels: int) -> None:
        self._clients = [Client(address) for _ in range(min(channels, concurrency))]
        self._workflow_type = workflow_type
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
        for client in self._clients:
            await client.close()
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
        client = self._clients[at % len(self._clients)]
        while not self._over:
            data = claim(next(self._numbers))
            began = time.monotonic()
            workflow = await client.run(self._workflow_type, data, timeout=RUN_SECONDS)
            took = time.monotonic() - began
            if workflow.status != "COMPLETED":
                raise RuntimeError(f"{workflow.id} is {workflow.status}: {workflow.failure}")
            if self._measured is not None:
                self._measured.append(took)


async def _main(options: dict[str, Any]) -> None:
    load = Load(
        options["address"], options["workflow_type"], options["concurrency"], options["channels"]
    )
    groups = {**options["groups"], "client": os.getpid()}
    print(json.dumps(await load.run(options["warm_up"], options["seconds"], groups)))


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
