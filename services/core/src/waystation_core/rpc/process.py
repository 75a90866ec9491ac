"""What every server process does around its work: settings, logs, signals and exit codes, once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvloop

from waystation_core.domain.errors import WaystationError
from waystation_core.rpc import logs
from waystation_core.rpc.server import PortTaken
from waystation_core.rpc.settings import (
    EXIT_BAD_SETTINGS,
    BadSettings,
    SettingsType,
    read_settings,
)
from waystation_core.running import Died, owner


def run(
    name: str,
    kind: type[SettingsType],
    serve: Callable[[SettingsType], Coroutine[Any, Any, None]],
    *,
    refusals: tuple[type[Exception], ...] = (),
    given: Mapping[str, str] | None = None,
) -> int:
    """Reads the settings and serves until SIGTERM or SIGINT. Answers with the exit code: 0 after
    that, 78 for bad settings, 1 where it can't start; `refusals` are further errors whose message
    says why. `given` are settings by their variables that go before the environment's."""
    try:
        settings = read_settings(kind, {**os.environ, **(given or {})})
        logs.configure(settings.log_format, settings.log_level, process=name)
        uvloop.run(until_death(serve(settings)))
    except BadSettings as bad:
        sys.stderr.write(f"{name} can't start:\n{bad}\n")
        return EXIT_BAD_SETTINGS
    except (PortTaken, WaystationError) as problem:
        return _refused(name, problem)
    except refusals as problem:
        return _refused(name, problem)
    except Died as death:
        sys.stderr.write(f"{name} ended: {death}; its log has the reason.\n")
        return 1
    return 0


async def until_death(serving: Coroutine[Any, Any, None]) -> None:
    """Serves; raises Died afterwards where a background task could not go on."""
    await serving
    if (death := owner().death) is not None:
        raise death


def _refused(name: str, problem: Exception) -> int:
    sys.stderr.write(f"{name} can't start: {problem}\n")
    return 1


def stop_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT, and when a background task has died; a second signal ends
    the process at once."""
    stopping = asyncio.Event()
    owner().on_death(stopping.set)

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


def spare_collections() -> None:
    """What is loaded by now stays: the collector need not look at it again and again, and what
    requests leave behind is mostly freed without it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
