"""The store's clock as a router knows it: what it decides by, whatever its own clock says."""

from __future__ import annotations

import time
from datetime import datetime, timedelta


class StoreClock:
    """Set by what the store answers; goes on between answers. Behind by no more than the answer was long in
    coming."""

    def __init__(self) -> None:
        self._set: tuple[datetime, float] | None = None

    def set(self, now: datetime) -> None:
        """Takes over what the store has just said."""
        self._set = now, time.monotonic()

    def now(self) -> datetime | None:
        """The store's time; None while the store has said nothing."""
        if self._set is None:
            return None
        then, at = self._set
        return then + timedelta(seconds=time.monotonic() - at)
