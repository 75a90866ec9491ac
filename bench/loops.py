"""What begins the workflows: a closed or an open loop.

Needs nothing but Python, as `bench.window`, so that peers are measured by the same loops in environments of their own.
"""

import asyncio
import time
from typing import Any, Protocol

from bench.window import RunOne, Window, claim

MOST_OPEN = 5_000
"""With more workflows at once the queue would never get shorter."""


class Loop(Protocol):
    """What begins workflows."""

    async def run(self, window: Window, warm_up: float, seconds: float) -> None:
        """Works through the warm-up and the window. What was begun ends in order."""


async def run_loop(run_one: RunOne, options: dict[str, Any]) -> dict[str, Any]:
    """What the loop of these options found (`Window.result`): an open one if there is a `rate`, begun by so many
    `clients`; else a closed one of `concurrency` callers."""
    window = Window(options["groups"], options.get("sampled", ()))
    loop: Loop
    if options.get("rate"):
        loop = OpenLoop(run_one, options["rate"], options["clients"])
    else:
        loop = ClosedLoop(run_one, options["concurrency"])
    await loop.run(window, options["warm_up"], options["seconds"])
    return window.result()


class ClosedLoop:
    """`concurrency` callers, each of which begins the next workflow when its last one has ended."""

    def __init__(self, run_one: RunOne, concurrency: int) -> None:
        self._run_one = run_one
        self._concurrency = concurrency
        self._numbers = iter(range(1 << 62))
        self._over = False

    async def run(self, window: Window, warm_up: float, seconds: float) -> None:
        """See Loop."""
        callers = [asyncio.ensure_future(self._call(at, window)) for at in range(self._concurrency)]
        await _while_working(callers, warm_up)
        window.open()
        await _while_working(callers, seconds)
        window.close()
        self._over = True
        await asyncio.gather(*callers)

    async def _call(self, at: int, window: Window) -> None:
        while not self._over:
            data = claim(next(self._numbers))
            began = time.monotonic()
            await self._run_one(at, data)
            window.count(began)


async def _while_working(callers: list[asyncio.Task[None]], seconds: float) -> None:
    """Lets the callers work so long. Raises what ended one of them."""
    ended, _ = await asyncio.wait(callers, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for caller in ended:
        caller.result()


class OpenLoop:
    """`rate` workflows a second, each by the next one of `clients`, whether earlier ones have ended or not.

    A latency counts from when a workflow should have begun: one that begins late, as the machine is busy, has
    waited too.
    """

    def __init__(self, run_one: RunOne, rate: float, clients: int) -> None:
        self._run_one = run_one
        self._rate = rate
        self._clients = clients

    async def run(self, window: Window, warm_up: float, seconds: float) -> None:
        """See Loop. Raises RuntimeError where the system does not keep up."""
        began = time.monotonic()
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            window_at = int(warm_up * self._rate)
            for number in range(int((warm_up + seconds) * self._rate)):
                due = began + number / self._rate
                await asyncio.sleep(due - time.monotonic())
                if number == window_at:
                    window.open(due)
                if len(running) >= MOST_OPEN:
                    raise RuntimeError(f"{MOST_OPEN:,} are open: {self._rate:g}/s are too many")
                task = group.create_task(self._one(number, due, window))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(began + warm_up + seconds - time.monotonic())
            window.close()

    async def _one(self, number: int, due: float, window: Window) -> None:
        await self._run_one(number % self._clients, claim(number))
        window.count(due)
