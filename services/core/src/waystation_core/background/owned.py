"""Background tasks with an owner.

A task that nobody awaits can fail unnoticed: its process looks healthy and does half its work. So every
background task of a server is made here, and nowhere else:

    run_loop("registry", follow) a loop; restarted when it fails, at growing intervals
    job("announce", announce())  ends on its own; what it raises is logged
    step(dial())                 awaited by its caller, which gets what it raises

A loop that cannot continue ends its process: that logs the reason, is NOT_SERVING, stops in order and ends
with exit code 1, so that it is restarted. This happens when a loop has failed `MOST_FAILURES` times in a
row, when it ended or was cancelled unexpectedly, and at the first fault of a loop that cannot be restarted.

The owner belongs to the event loop, as the tasks do: a process has one of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import structlog

from waystation_core.background.retries import wait_before

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_FAILURES = 10
LONGEST_WAIT_SECONDS = 5.0
WELL_AFTER_SECONDS = 60.0
"""A loop that ran so long has recovered: its failures are counted from zero."""


class Died(Exception):
    """A background task cannot continue; the message names it. The log has the reason."""


class Owner:
    """The background tasks of one process, and whether one of them has died."""

    def __init__(self) -> None:
        self.kept: set[BackgroundLoop] = set()
        """The running loops."""
        self.jobs: set[asyncio.Task[Any]] = set()
        self.death: Died | None = None
        self._on_death: list[Callable[[], None]] = []

    def on_death(self, callback: Callable[[], None]) -> None:
        """Calls back once, at the first death; at once if there was one."""
        if self.death is not None:
            callback()
        else:
            self._on_death.append(callback)

    def died(self, name: str, why: str, error: BaseException | None = None) -> None:
        """Reports that the process cannot continue."""
        log.error("background_task_died", task=name, why=why, exc_info=error)
        if self.death is None:
            self.death = Died(f"its background task {name} cannot continue: {why}")
            for callback in self._on_death:
                callback()


_OWNERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Owner] = WeakKeyDictionary()


def owner() -> Owner:
    """The owner of the running loop's tasks."""
    loop = asyncio.get_running_loop()
    found = _OWNERS.get(loop)
    if found is None:
        found = _OWNERS[loop] = Owner()
    return found


class BackgroundLoop:
    """A loop that runs until `cancel`."""

    def __init__(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, again: bool, ends: bool
    ) -> None:
        self.name = name
        self._work = work
        self._again = again
        self._ends = ends
        self._owner = owner()
        self._cancelled = False
        self._thrown: Exception | None = None
        self.task = asyncio.get_running_loop().create_task(self._run(), name=name)
        self._owner.kept.add(self)
        self.task.add_done_callback(self._over)

    @property
    def done(self) -> bool:
        return self.task.done()

    def cancel(self) -> None:
        """Cancels it; nothing is reported."""
        self._cancelled = True
        self.task.cancel()

    async def wait(self) -> None:
        """Returns when it has ended. Raises nothing."""
        await asyncio.wait({self.task})

    def throw(self, error: Exception) -> None:
        """For tests: as if its work had just raised this."""
        self._thrown = error
        self.task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._work()
                if self._ends or self._cancelled:
                    return
                fault: Exception = RuntimeError("it ended unexpectedly")
            except asyncio.CancelledError:
                if self._thrown is None or self._cancelled:
                    raise
                fault, self._thrown = self._thrown, None
                self.task.uncancel()
            except Exception as raised:
                fault = raised
            failures = 1 if loop.time() - began > WELL_AFTER_SECONDS else failures + 1
            if not self._again or failures >= MOST_FAILURES:
                self._owner.died(self.name, f"{type(fault).__name__}: {fault}"[:300], fault)
                return
            log.error("background_task_failed", task=self.name, times=failures, exc_info=fault)
            await asyncio.sleep(wait_before(failures, longest=LONGEST_WAIT_SECONDS))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._owner.kept.discard(self)
        if task.cancelled() and not self._cancelled:
            self._owner.died(self.name, "it was cancelled unexpectedly")


def run_loop(
    name: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    *,
    again: bool = True,
    ends: bool = False,
) -> BackgroundLoop:
    """Runs a loop. With `again` False it cannot be restarted, as what it had in hand would be lost. `ends`:
    it may return."""
    return BackgroundLoop(name, work, again=again, ends=ends)


def job(name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Runs something that ends. It is kept from being collected; what it raises is logged."""
    mine = owner()
    task = asyncio.get_running_loop().create_task(work, name=name)
    mine.jobs.add(task)

    def over(task: asyncio.Task[T]) -> None:
        mine.jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_job_failed", job=name, exc_info=error)

    task.add_done_callback(over)
    return task


def step(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Runs a part of the caller's own work beside it. The caller awaits it, with what it raises."""
    return asyncio.get_running_loop().create_task(work)
