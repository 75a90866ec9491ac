"""How long, and after which pauses, a client retries a call."""

from __future__ import annotations

import random
import time

import grpc

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
# A server that stops ends calls as CANCELLED; the caller's own cancellation is not an error of the call.
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class RetryWindow:
    """Allows retries for so many seconds since the server last answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """The server has answered."""
        self._end = time.monotonic() + self._seconds
        self._pause = _FIRST_PAUSE

    def pause_after(self, code: grpc.StatusCode) -> float | None:
        """Seconds until the next try after this failure; None: do not retry."""
        pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        if code not in _AGAIN or time.monotonic() + pause > self._end:
            return None
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause
