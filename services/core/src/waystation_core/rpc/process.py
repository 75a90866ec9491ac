"""What all server processes have in common: settings, logs, signals and exit codes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
import uvloop

from waystation_core.background import Died, owner, step
from waystation_core.rpc import logs
from waystation_core.rpc.server import PortTaken
from waystation_core.rpc.settings import (
    EXIT_BAD_SETTINGS,
    BadSettings,
    SettingsType,
    read_settings,
)
from waystation_domain.errors import WaystationError

log = structlog.get_logger(__name__)

STOP_SECONDS = 3.0
"""Seconds for everything in a stop except calls in flight."""


def run(
    name: str,
    kind: type[SettingsType],
    serve: Callable[[SettingsType], Coroutine[Any, Any, None]],
    *,
    parts: Callable[[Mapping[str, Any]], Sequence[Coroutine[Any, Any, list[str]]]] = lambda _: (),
    refusals: tuple[type[Exception], ...] = (),
    faults: tuple[type[Exception], ...] = (),
    given: Mapping[str, str] | None = None,
) -> int:
    """Reads the settings and serves until SIGTERM or SIGINT. Returns the exit code: 0 after that, 78 for bad
    settings, 1 if it cannot start; `refusals` are further errors with their own message, and `faults` those
    that count as bad settings. `given` are settings by variable that override the environment. `parts` checks
    what the server depends on, with the known settings, so that all faults are reported together."""
    try:
        settings = read_settings(kind, {**os.environ, **(given or {})})
        logs.configure(settings.log_format, settings.log_level, process=name)
        uvloop.run(until_death(serve(settings)))
    except BadSettings as bad:
        others = asyncio.run(faults_of(parts(bad.known)))
        return _bad_settings(name, [*bad.faults, *others])
    except faults as bad:
        known = dict(settings)
        others = asyncio.run(faults_of(parts(known)))
        return _bad_settings(name, [*getattr(bad, "faults", (bad,)), *others])
    except (PortTaken, WaystationError) as problem:
        return _refused(name, problem)
    except refusals as problem:
        return _refused(name, problem)
    except Died as death:
        sys.stderr.write(f"{name} ended: {death}; its log has the reason.\n")
        return 1
    return 0


async def until_death(serving: Coroutine[Any, Any, None]) -> None:
    """Serves; raises Died afterwards if a background task could not continue."""
    await serving
    if (death := owner().death) is not None:
        raise death


async def faults_of(checks: Sequence[Coroutine[Any, Any, list[str]]]) -> list[str]:
    """All faults that these find."""
    return [fault for faults in await asyncio.gather(*checks) for fault in faults]


async def require_fit(
    checks: Sequence[Coroutine[Any, Any, list[str]]], stopping: asyncio.Event
) -> None:
    """Checks once, before waiting for anything; raises BadSettings for faults. Ends early if stopped."""
    found, stopped = step(faults_of(checks)), step(stopping.wait())
    try:
        await asyncio.wait({found, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if found.done() and (faults := found.result()):
            raise BadSettings(faults)
    finally:
        found.cancel()
        stopped.cancel()


def _bad_settings(name: str, faults: Sequence[object]) -> int:
    listed = "\n".join(f"- {each}" for each in dict.fromkeys(map(str, faults)))
    sys.stderr.write(f"{name} cannot start:\n{listed}\n")
    return EXIT_BAD_SETTINGS


def _refused(name: str, problem: Exception) -> int:
    sys.stderr.write(f"{name} cannot start: {problem}\n")
    return 1


def stop_signals(grace: float) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT, and when a background task has died; a second signal ends the
    process at once.

    Stopping has one deadline: `grace` seconds for calls in flight and `STOP_SECONDS` for the rest. What still
    waits for a database or a broker is then left behind: other processes take it over as after a crash.
    """
    stopping = asyncio.Event()

    def begin() -> None:
        if stopping.is_set():
            return
        stopping.set()
        # A thread: the loop may be over by then, and the interpreter may wait for other threads.
        seconds = grace + STOP_SECONDS
        code = 0 if owner().death is None else 1
        clock = threading.Timer(seconds, _leave, (seconds, code))
        clock.daemon = True
        clock.start()

    owner().on_death(begin)

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        begin()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


def _leave(seconds: float, code: int) -> None:
    log.warning("stopped_by_deadline", seconds=seconds, left="what is in doubt, to its lease")
    os._exit(code)


def spare_collections() -> None:
    """Objects that exist by now are permanent: the collector need not check them again, and most of what
    requests leave is freed without it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
