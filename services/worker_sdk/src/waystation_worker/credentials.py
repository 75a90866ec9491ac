"""The token that calls to Waystation carry, and how it gets there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from waystation_tls import stamp_of
from waystation_tls.exposure import token_in_the_open
from waystation_worker.addresses import split_address
from waystation_worker.errors import SettingsError

_LOOK_SECONDS = 1.0
"""How often the file is looked at, at most."""
_MOST_BYTES = 16 * 1024
_TOKEN = re.compile(r"[!-~]{1,16384}")

_FROM = ("token", "WAYSTATION_TOKEN", "WAYSTATION_TOKEN_FILE")

Metadata = tuple[tuple[str, str], ...]


class Credentials:
    """A token, as the metadata of a call; one from a file is followed when the file is replaced."""

    def __init__(self, token: str = "", file: Path | None = None) -> None:
        """Raises SettingsError for what cannot be a token. It does not show the token."""
        self._file = file
        self._stamp: object = None
        self._next = time.monotonic() + _LOOK_SECONDS
        if file is None:
            self._use(token)
        else:
            self._stamp = stamp_of(file)
            self._use(_read(file))

    @classmethod
    def of(
        cls, token: str | None, environ: Mapping[str, str], *, address: str, tls: bool
    ) -> Credentials | None:
        """The argument, else WAYSTATION_TOKEN, else the file WAYSTATION_TOKEN_FILE; None without any.

        Raises SettingsError for what cannot be a token, for two of the variables, and for a token that would be
        readable on its way: over plain text, to an address that is not on loopback.
        """
        named, file = environ.get(_FROM[1]), environ.get(_FROM[2])
        if token is None and named and file:
            raise SettingsError(
                "WAYSTATION_TOKEN and WAYSTATION_TOKEN_FILE are both set: unset one of them",
                code="INVALID_ARGUMENT",
            )
        if token is not None:
            found = cls(token)
        elif named:
            found = cls(named)
        elif file:
            found = cls(file=Path(file))
        else:
            return None
        place = split_address(address)
        insecure = environ.get("WAYSTATION_INSECURE", "").lower() in ("1", "true", "yes")
        if place is not None and not insecure and not tls:
            fault = token_in_the_open(place[0])
            if fault is not None:
                raise SettingsError(fault, code="INVALID_ARGUMENT")
        return found

    def metadata(self) -> Metadata:
        """What a call sends."""
        self.look()
        return self._metadata

    def look(self, *, at_once: bool = False) -> bool:
        """Whether there is another token since the last look. A file that cannot be read leaves the old one."""
        if self._file is None or (not at_once and time.monotonic() < self._next):
            return False
        self._next = time.monotonic() + _LOOK_SECONDS
        stamp = stamp_of(self._file)
        if stamp is None or stamp == self._stamp:
            return False
        before = self._metadata
        try:
            self._use(_read(self._file))
        except SettingsError:
            # Half written, perhaps: looked at again.
            return False
        self._stamp = stamp
        return self._metadata != before

    def _use(self, token: object) -> None:
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            place = _FROM[2] if self._file is not None else "the token"
            raise SettingsError(
                f"{place} has no token: one line of characters without blanks, such as wst_...",
                code="INVALID_ARGUMENT",
            )
        self._metadata: Metadata = (("authorization", f"Bearer {token}"),)


class Authorized:
    """A stub whose calls carry a token."""

    def __init__(self, stub: Any, credentials: Credentials) -> None:
        self._stub = stub
        self._credentials = credentials

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(*args: Any, **options: Any) -> Any:
            return method(*args, metadata=self._credentials.metadata(), **options)

        setattr(self, name, call)
        return call


def authorized(stub: Any, credentials: Credentials | None) -> Any:
    """The stub, whose calls carry the token if there is one."""
    return stub if credentials is None else Authorized(stub, credentials)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(
            f"{_FROM[2]}: {file} cannot be read: {error.strerror}", code="INVALID_ARGUMENT"
        ) from None
