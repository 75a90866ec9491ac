"""Certificates of a running server: new files are taken into use, and what ends soon is said in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from waystation_tls import LOOK_SECONDS, ClientCredentials, News, ServerCredentials, ending_soon

log = structlog.get_logger(__name__)

SAY_AGAIN_SECONDS = 24 * 3600.0


class CertificateWatch:
    """Looks at the files of one port, or of one kind of calls. `follow` is a loop."""

    def __init__(
        self,
        credentials: ServerCredentials | ClientCredentials,
        *,
        of: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`of` names them in the log; `changed` is called after new files were taken into use."""
        self._credentials = credentials
        self._of = of
        self._changed = changed
        self._said_at = float("-inf")

    async def follow(self) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Looks once."""
        news = await asyncio.to_thread(self._credentials.look)
        if news is News.CHANGED:
            log.info("certificates_replaced", of=self._of, ends=self._ends())
            self._said_at = float("-inf")
            self._changed()
        elif news is News.BROKEN:
            log.error(
                "certificates_not_usable",
                of=self._of,
                why=self._credentials.trouble,
                still_used=self._ends(),
            )
        self._say_what_ends()

    def _say_what_ends(self) -> None:
        ending = ending_soon(self._credentials.material.endings)
        if ending and time.monotonic() - self._said_at >= SAY_AGAIN_SECONDS:
            self._said_at = time.monotonic()
            for each in ending:
                log.warning("certificate_ends_soon", of=self._of, what=str(each))

    def _ends(self) -> str:
        return "; ".join(str(each) for each in self._credentials.material.endings)
