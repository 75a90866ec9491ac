"""Whether writes to the database work, for health.

Known from a probe that writes nothing but needs everything that a write needs, and from the last writes: a
full disk or a broken page shows only with rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from waystation_core.background.owned import step
from waystation_domain.errors import StoreUnavailable

PROBE_EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
"""A longer probe has failed: a frozen database does not answer at all."""
REMEMBERED_SECONDS = 5.0
"""How long a failed write counts if no other was made since."""


class Contact:
    """Follows one server's writes. `watch` is a loop; writers call the other methods."""

    def __init__(self, probe: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._probe = probe
        self.answers = True
        """Whether the last probe succeeded."""
        self._failed_at: float | None = None
        self._probing: asyncio.Task[None] | None = None
        self.trouble = ""
        """What is wrong, for people; empty if nothing is."""

    @property
    def writes(self) -> bool:
        """Whether a write would succeed, as far as is known."""
        failed = self._failed_at
        return self.answers and (failed is None or time.monotonic() - failed > REMEMBERED_SECONDS)

    def failed(self, error: StoreUnavailable) -> None:
        """A write failed."""
        self._failed_at = time.monotonic()
        self.trouble = error.message

    def succeeded(self) -> None:
        """A write succeeded."""
        self._failed_at = None

    async def watch(self) -> None:
        """Probes until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_EVERY_SECONDS)

    async def look(self) -> None:
        """Probes once, or waits for the probe under way."""
        if self._probing is None:
            self._probing = step(self._probe())
        # It is not cancelled: the driver would wait for the database again, to cancel the query.
        await asyncio.wait({self._probing}, timeout=PATIENCE_SECONDS)
        if not self._probing.done():
            self.answers, self.trouble = False, "The database does not answer."
            return
        probing, self._probing = self._probing, None
        try:
            probing.result()
        except StoreUnavailable as error:
            self.answers, self.trouble = False, error.message
        else:
            self.answers = True
            if self.writes:
                self.trouble = ""
