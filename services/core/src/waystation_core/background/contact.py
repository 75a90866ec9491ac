"""Whether writes go through: what health says of the database.

Asked of a probe that writes nothing and needs all that a write needs; and of what the last writes
met, as a full disk or a broken page is met by rows only.
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
"""A probe that takes longer has failed: a frozen database answers nothing at all."""
REMEMBERED_SECONDS = 5.0
"""How long a failed write counts when none was made since."""


class Contact:
    """Follows one server's writes. `watch` is a loop; the others are told by whoever writes."""

    def __init__(self, probe: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._probe = probe
        self.answers = True
        """Whether the last probe came through."""
        self._failed_at: float | None = None
        self._asked: asyncio.Task[None] | None = None
        self.trouble = ""
        """What is the matter, for people; empty when nothing is."""

    @property
    def writes(self) -> bool:
        """Whether a write would go through, as far as can be known."""
        failed = self._failed_at
        return self.answers and (failed is None or time.monotonic() - failed > REMEMBERED_SECONDS)

    def failed(self, error: StoreUnavailable) -> None:
        """A write did not go through."""
        self._failed_at = time.monotonic()
        self.trouble = error.message

    def succeeded(self) -> None:
        """A write went through."""
        self._failed_at = None

    async def watch(self) -> None:
        """Probes until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_EVERY_SECONDS)

    async def look(self) -> None:
        """Probes once; one that is on its way still is waited for instead."""
        if self._asked is None:
            self._asked = step(self._probe())
        # It is not cancelled: a driver would wait for the database once more, to tell it so.
        await asyncio.wait({self._asked}, timeout=PATIENCE_SECONDS)
        if not self._asked.done():
            self.answers, self.trouble = False, "The database does not answer."
            return
        asked, self._asked = self._asked, None
        try:
            asked.result()
        except StoreUnavailable as error:
            self.answers, self.trouble = False, error.message
        else:
            self.answers = True
            if self.writes:
                self.trouble = ""
