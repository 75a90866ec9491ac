"""TLS of clients and handler services: credentials from WAYSTATION_TLS_*, and a look at their files from time to
time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from waystation_tls import (
    LOOK_SECONDS,
    BadTls,
    ClientCredentials,
    ClientTls,
    Diagnosis,
    EndReminder,
    News,
    ServerCredentials,
    diagnose,
)
from waystation_worker.addresses import split_address
from waystation_worker.errors import SettingsError, TlsFailed, Unavailable, WaystationError

logger = logging.getLogger("waystation_worker")


def client_credentials(environ: Mapping[str, str]) -> ClientCredentials | None:
    """What calls to Waystation use; None for plain text. Raises SettingsError with all faults."""
    try:
        return ClientCredentials.if_on(ClientTls.of(environ))
    except BadTls as bad:
        raise SettingsError("; ".join(bad.faults), code="INVALID_ARGUMENT") from None


class CertificateLook:
    """Looks at the files of some credentials, not more often than every few seconds, and logs what it finds."""

    def __init__(self, credentials: ClientCredentials | ServerCredentials) -> None:
        self.credentials = credentials
        self._next = time.monotonic() + LOOK_SECONDS
        self._reminder = EndReminder()
        self._say_what_ends()

    def if_due(self) -> bool:
        """Whether new files were taken into use. Reads three small files if it is time."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + LOOK_SECONDS
        return self.now()

    def now(self) -> bool:
        """Whether new files were taken into use."""
        news = self.credentials.look()
        if news is News.CHANGED:
            logger.info("new certificates are in use")
            self._reminder.replaced()
        elif news is News.BROKEN:
            logger.error(
                "new certificates cannot be used, the old ones stay in use: %s",
                self.credentials.trouble,
            )
        self._say_what_ends()
        return news is News.CHANGED

    def _say_what_ends(self) -> None:
        for each in self._reminder.due(self.credentials.material.endings):
            logger.warning("%s: renew it", each)


class TlsFaults:
    """Tells whether TLS is why calls to an address fail."""

    def __init__(self, address: str, credentials: ClientCredentials | None) -> None:
        self._address = address
        self._credentials = credentials
        self._asking: asyncio.Task[Diagnosis | None] | None = None

    async def explained(self, error: WaystationError) -> WaystationError:
        """The error of a call, or TlsFailed if that is the reason."""
        place = split_address(self._address)
        if not isinstance(error, Unavailable) or error.reason or place is None:
            return error
        if error.code != "UNAVAILABLE":
            return error
        if self._asking is None or self._asking.done():
            # Calls that fail together ask once.
            material = None if self._credentials is None else self._credentials.material
            self._asking = asyncio.create_task(diagnose(*place, tls=material))
        found = await asyncio.shield(self._asking)
        if found is None:
            return error
        return TlsFailed(
            f"no connection to Waystation at {self._address}: {found.message}",
            reason=found.reason,
            metadata={"address": self._address},
            code=error.code,
        )
