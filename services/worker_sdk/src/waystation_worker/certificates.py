"""TLS of clients and handler services: credentials from WAYSTATION_TLS_*, and a look at their files from time to
time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from waystation_tls import (
    LOOK_SECONDS,
    BadTls,
    ClientCredentials,
    ClientTls,
    News,
    ServerCredentials,
    diagnose,
    ending_soon,
)
from waystation_worker.addresses import split_address
from waystation_worker.errors import SettingsError, TlsFailed, Unavailable, WaystationError

logger = logging.getLogger("waystation_worker")

_SAY_AGAIN_SECONDS = 24 * 3600.0


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
        self._said_at = float("-inf")
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
            self._said_at = float("-inf")
        elif news is News.BROKEN:
            logger.error(
                "new certificates cannot be used, the old ones stay in use: %s",
                self.credentials.trouble,
            )
        self._say_what_ends()
        return news is News.CHANGED

    def _say_what_ends(self) -> None:
        ending = ending_soon(self.credentials.material.endings)
        if ending and time.monotonic() - self._said_at >= _SAY_AGAIN_SECONDS:
            self._said_at = time.monotonic()
            for each in ending:
                logger.warning("%s: renew it", each)


async def explained(
    error: WaystationError, address: str, credentials: ClientCredentials | None
) -> WaystationError:
    """The error of a call, with what is wrong with TLS if that is why there was no connection."""
    if not isinstance(error, Unavailable) or error.reason:
        return error
    place = split_address(address)
    material = None if credentials is None else credentials.material
    found = await diagnose(*place, tls=material) if place is not None else None
    if found is None:
        return error
    return TlsFailed(
        f"no connection to Waystation at {address}: {found.message}",
        reason=found.reason,
        metadata={"address": address},
        code=error.code,
    )
