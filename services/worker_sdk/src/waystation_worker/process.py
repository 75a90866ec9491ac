"""The life of a process that serves until a signal, and ends even if something in it hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

logger = logging.getLogger("waystation_worker")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_BEYOND_GRACE = 3.0
"""Seconds for everything after the calls' grace period."""


def run_until_signal(serve: Callable[..., Coroutine[Any, Any, None]], grace: float) -> None:
    """Runs `serve(stop=...)` on a loop of its own, and sets `stop` at SIGTERM or SIGINT.

    `serve` then has `grace` seconds. Whatever holds it up, or the process after it (a function that
    blocks the loop or ignores its cancellation, a thread of `asyncio.to_thread` for which the
    interpreter waits), the process ends a few seconds later. A second signal ends it at once.

    Raises RuntimeError off the main thread, and where a loop is running.
    """
    _check_place()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    others = set(threading.enumerate())
    forced: threading.Timer | None = None

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal forced
        if forced is not None:
            # A second signal: do not wait for calls in flight.
            os._exit(1)
        forced = threading.Timer(grace + _BEYOND_GRACE, _end_process)
        forced.daemon = True
        forced.start()
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop_requested)

    def stop_requested() -> None:
        logger.info("stopping; what is in flight has %g s", grace)
        stop.set()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        stop = asyncio.Event()
        # Not the loop's own handlers: they wait for a loop that a task may be blocking.
        for number in _SIGNALS:
            signal.signal(number, on_signal)
        try:
            runner.run(serve(stop=stop))
        finally:
            for number in _SIGNALS:
                signal.signal(number, before[number])
    # The interpreter would wait for a thread that began meanwhile and does not end.
    if forced is not None and all(thread.daemon for thread in {*threading.enumerate()} - others):
        forced.cancel()


def _check_place() -> None:
    """Raises RuntimeError where no process can be run: what to do instead."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "run() handles SIGTERM and SIGINT, which only the main thread can; in another thread use "
            "asyncio.run(service.serve())"
        )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "run() runs an event loop of its own, and one is running here; in async code use "
        "`await service.serve()`"
    )


def _end_process() -> None:
    alive = [
        thread.name
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    logger.error(
        "the grace is over and %s: the process ends without it",
        f"threads still run ({', '.join(alive)})" if alive else "the event loop does not end",
    )
    logging.shutdown()
    os._exit(0)
