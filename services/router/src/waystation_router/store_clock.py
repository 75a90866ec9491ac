"""The store's clock as a router knows it: decisions use it, not the router's own clock."""

from __future__ import annotations

import time
from datetime import datetime, timedelta


class StoreClock:
    """Set from answers of the store, at least every few seconds (`reconciler`), and runs on between them. It is late
    by at most the time that the answer took, and, where the machine was asleep, by that until the next answer."""

    def __init__(self) -> None:
        self._set: tuple[datetime, float] | None = None

    def set(self, now: datetime) -> None:
        """Takes the time of an answer."""
        self._set = now, time.monotonic()

    def now(self) -> datetime | None:
        """The store's time; None before the first answer."""
        if self._set is None:
            return None
        then, at = self._set
        return then + timedelta(seconds=time.monotonic() - at)
