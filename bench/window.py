"""What every load has in common: the work it starts, and the window in which it is measured.

Needs nothing but Python and what is in `bench.cpu`, so that peers are measured by the same code in environments of
their own.
"""

import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.cpu import cpu_seconds

RunOne = Callable[[int, dict[str, Any]], Awaitable[None]]
"""Runs one workflow, given the client's number and the claim. Raises where it did not end as it should."""


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


class Window:
    """Seconds in which workflows are counted."""

    def __init__(self, groups: Mapping[str, Sequence[int]], sampled: Sequence[int] = ()) -> None:
        """`groups`: processes by group, whose CPU time is measured. `sampled`: processes with a sampler
        (`bench.sampler`), which are told of the window's begin and end."""
        self._groups = groups
        self._sampled = sampled
        self._ended = 0
        self._latencies: list[float] = []
        self._began = self._closed = float("inf")

    def open(self, since: float | None = None) -> None:
        """Begins now, or at that time (time.monotonic), which is some moments ago."""
        self._tell_samplers()
        self._before = cpu_seconds(self._groups)
        self._began = time.monotonic() if since is None else since

    def close(self) -> None:
        """Ends now."""
        self._closed = time.monotonic()
        after = cpu_seconds(self._groups)
        self._cpu = {group: after[group] - self._before[group] for group in self._groups}
        self._tell_samplers()

    def count(self, due: float) -> None:
        """A workflow that should have begun at `due` (time.monotonic) has ended just now."""
        now = time.monotonic()
        if self._began <= now < self._closed:
            self._ended += 1
        if self._began <= due < self._closed:
            self._latencies.append(now - due)

    def result(self) -> dict[str, Any]:
        """How many ended inside the window, the latencies (s) of those that were to begin in it, its length (s),
        CPU seconds by group."""
        return {
            "ended": self._ended,
            "latencies": self._latencies,
            "seconds": self._closed - self._began,
            "cpu": self._cpu,
        }

    def _tell_samplers(self) -> None:
        for pid in self._sampled:
            os.kill(pid, signal.SIGUSR2)
