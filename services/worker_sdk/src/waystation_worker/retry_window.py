"""How long a call is tried again, and how soon."""

from __future__ import annotations

import random
import time

import grpc

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
# CANCELLED is what a server that stops leaves of a call; a caller's own cancellation is no error
# of the call.
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class RetryWindow:
    """With a server that can't be reached, for so many seconds from the last sign of life."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """The server has shown that it lives."""
        self._end = time.monotonic() + self._seconds
        self._pause = _FIRST_PAUSE

    def pause_after(self, code: grpc.StatusCode) -> float | None:
        """Seconds until the next try after a call that failed so; None where there should be none."""
        pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        if code not in _AGAIN or time.monotonic() + pause > self._end:
            return None
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause
