"""Certificates of a running server: new files are taken into use, and what ends soon is said in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from waystation_tls import LOOK_SECONDS, ClientCredentials, EndReminder, News, ServerCredentials

log = structlog.get_logger(__name__)


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
        self._reminder = EndReminder()

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
            self._reminder.replaced()
            self._changed()
        elif news is News.BROKEN:
            log.error(
                "certificates_not_usable",
                of=self._of,
                why=self._credentials.trouble,
                still_used=self._ends(),
            )
        for each in self._reminder.due(self._credentials.material.endings):
            log.warning("certificate_ends_soon", of=self._of, what=str(each))

    def _ends(self) -> str:
        return "; ".join(str(each) for each in self._credentials.material.endings)
