"""When it is time to say that certificates end."""

from __future__ import annotations

import time
from collections.abc import Iterable

from waystation_tls.files import Ending, ending_soon

AGAIN_SECONDS = 24 * 3600.0


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
