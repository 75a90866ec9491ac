"""Threads for plain functions: a limited number, none of which keeps the process alive.

A thread cannot be stopped from outside. One whose call timed out is *lost* until its function returns;
another one takes its place, so that a few hanging calls do not take the service's threads one by one. There
are at most twice as many threads as configured: if even more calls hang, the service has fewer threads, in
the end none, and calls without a thread report that.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

logger = logging.getLogger("waystation_worker")


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of a function, as a value: some cannot be set on a future, and others would end the loop."""

    error: BaseException


class NoThread(Exception):
    """Every thread is in use, and none became free in time; the message says by what."""


class Worker:
    """One thread, which calls one function after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[Worker], None]) -> None:
        self.label = ""
        """The task of its call."""
        self.since = 0.0
        """When that began, by time.monotonic."""
        self._loop = loop
        self._ended = ended
        self._answer: asyncio.Future[object] = loop.create_future()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        # A daemon: the interpreter waits for all others when the process is to end.
        Thread(target=self._work, name="waystation-task", daemon=True).start()

    def start(self, function: Callable[[Any], object], argument: object, label: str) -> Any:
        """Calls the function; returns a future of its result, or Raised."""
        self.label, self.since = label, time.monotonic()
        self._answer = self._loop.create_future()
        # Context variables that the function sets stay its own.
        run = contextvars.copy_context().run
        self._jobs.put(lambda: run(function, argument))
        return self._answer

    def stop(self) -> None:
        """Ends the thread once it has nothing to do."""
        self._jobs.put(None)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get()
                if job is None:
                    return
                outcome = job()
            except BaseException as error:
                # An exception that another thread sets on this one may come between two calls, too.
                outcome = Raised(error)
            job = None
            try:
                self._loop.call_soon_threadsafe(self._done, outcome)
            except RuntimeError:
                # The loop is closed: nobody waits for the answer, and there is no next call.
                return
            outcome = None

    def _done(self, outcome: object) -> None:
        if not self._answer.done():
            self._answer.set_result(outcome)
        self._ended(self)


class TaskThreads:
    """At most `most` threads with calls that somebody waits for. Lives on one event loop."""

    def __init__(self, maximum: int) -> None:
        self._most = maximum
        self._loop = asyncio.get_running_loop()
        self._idle: list[Worker] = []
        self._busy: dict[Worker, None] = {}
        self._lost: dict[Worker, None] = {}
        self._waiting: deque[asyncio.Future[Worker | None]] = deque()
        self._closed = False

    async def take(self, timeout: float) -> Worker:
        """A thread for one call, as soon as there is one. Raises NoThread after so many seconds."""
        worker = None if self._waiting else self._free()
        if worker is not None:
            return worker
        if self._closed:
            raise NoThread("this service is stopping")
        place: asyncio.Future[Worker | None] = self._loop.create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait((place,), timeout=timeout)
        except asyncio.CancelledError:
            if place.done() and (worker := place.result()) is not None:
                self._ended(worker)
            elif not place.done():
                self._waiting.remove(place)
            raise
        if not place.done():
            self._waiting.remove(place)
            raise NoThread(self._why())
        worker = place.result()
        if worker is None:
            raise NoThread("this service is stopping")
        return worker

    def give_up(self, worker: Worker) -> None:
        """Nobody waits for its call any more."""
        if self._busy.pop(worker, self) is None:
            self._lost[worker] = None
            if len(self._lost) == self._most and not self._closed:
                logger.error(
                    "%d threads hang in calls that timed out: %s. From now on each of them reduces the number of "
                    "usable threads; make these tasks finish, or increase `threads`",
                    len(self._lost),
                    self._names(self._lost),
                )
            self._serve()

    def unfinished(self) -> list[str]:
        """The tasks whose calls still run."""
        return [worker.label for worker in (*self._busy, *self._lost)]

    def refuse(self) -> None:
        """Calls that wait for a thread get none, and neither do new ones."""
        self._closed = True
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)

    def close(self) -> None:
        """Lets the threads end; functions that still run are not waited for."""
        self.refuse()
        for worker in self._idle:
            worker.stop()
        self._idle.clear()

    def _free(self) -> Worker | None:
        """A thread for a call; None if all are in use."""
        if self._closed or len(self._busy) >= self._most:
            return None
        if self._idle:
            worker = self._idle.pop()
        elif len(self._busy) + len(self._lost) < 2 * self._most:
            try:
                worker = Worker(self._loop, self._ended)
            except RuntimeError:
                logger.exception("no thread can be started")
                return None
        else:
            return None
        self._busy[worker] = None
        return worker

    def _ended(self, worker: Worker) -> None:
        """Its call has ended, wanted or not."""
        self._busy.pop(worker, None)
        self._lost.pop(worker, None)
        if self._closed or len(self._busy) + len(self._idle) >= self._most:
            worker.stop()
        else:
            self._idle.append(worker)
        self._serve()

    def _serve(self) -> None:
        while self._waiting and (worker := self._free()) is not None:
            self._waiting.popleft().set_result(worker)

    def _why(self) -> str:
        hung = f", and {len(self._lost)} hang in calls that timed out" if self._lost else ""
        taken = self._names((*self._busy, *self._lost))
        return f"{len(self._busy)} of {self._most} threads are taken{hung}: {taken}"

    def _names(self, workers: Iterable[Worker]) -> str:
        now = time.monotonic()
        oldest = sorted(workers, key=lambda worker: worker.since)
        named = [f"{worker.label} for {now - worker.since:.3g} s" for worker in oldest[:3]]
        return ", ".join(named) + (f" and {len(oldest) - 3} more" if len(oldest) > 3 else "")
