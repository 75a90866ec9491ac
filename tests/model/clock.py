"""An event loop whose time moves only when the test says so, so that a run is the same each time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_MOST_TURNS = 20_000
"""Of one `settle`: what still goes on then goes on for ever."""


class SteppedLoop(asyncio.SelectorEventLoop):
    """Everything in it that is ready is carried out by `settle`; nothing waits for real time.

    Whatever real input and output there is happens elsewhere, and is waited for (`database.Serial`).
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 1_000_000.0
        self.faults: list[dict[str, Any]] = []
        """What tasks ended with and nobody asked for."""
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self._now

    def settle(self) -> None:
        """Runs until everything waits: for time, for a message, an answer, or a gate."""
        for _ in range(_MOST_TURNS):
            if not self._ready and not self._is_due():  # type: ignore[attr-defined]
                return
            self.call_soon(self.stop)
            self.run_forever()
        raise AssertionError("the system does not come to rest")

    def advance(self, seconds: float) -> None:
        """Moves time in one leap: sleepers wake once, as after a pause of the whole process."""
        self._now += seconds
        self.settle()

    def _is_due(self) -> bool:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        return any(not handle.cancelled() and handle.when() <= self._now for handle in scheduled)


class _Time(ModuleType):
    """The module `time`, with the loop's own monotonic clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__("time")
        self.monotonic = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def under_clock(clock: Callable[[], float]) -> Callable[[], None]:
    """Gives the engine's modules this clock for `time.monotonic`; answers with what takes it back."""
    shim = _Time(clock)
    changed = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("waystation_router", "waystation_api", "waystation_core"))
        and getattr(module, "time", None) is time
    ]
    for module in changed:
        module.time = shim  # type: ignore[attr-defined]

    def restore() -> None:
        for module in changed:
            module.time = time  # type: ignore[attr-defined]

    return restore
