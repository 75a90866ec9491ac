"""When it is time to say that certificates end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from waystation_tls.files import Ending

ENDS_SOON = timedelta(days=14)
"""A certificate that ends sooner is reported."""
AGAIN_SECONDS = 24 * 3600.0


def ending_soon(found: Iterable[Ending], now: datetime | None = None) -> list[Ending]:
    """Those that end within `ENDS_SOON`."""
    latest = (now or datetime.now(UTC)) + ENDS_SOON
    return [each for each in found if each.ends_at < latest]


class EndReminder:
    """Says which certificates end soon: once a day, and again as soon as they were replaced."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def due(self, endings: Iterable[Ending]) -> list[Ending]:
        """Those to be told of now."""
        found = ending_soon(endings)
        if not found or time.monotonic() - self._said_at < AGAIN_SECONDS:
            return []
        self._said_at = time.monotonic()
        return found

    def replaced(self) -> None:
        """There are others now: what was said does not hold for them."""
        self._said_at = float("-inf")
