"""The keys of an issuer, as a JSON Web Key Set: from a URL or a file, and followed when they change.

The issuer replaces its keys when it likes. The first token with a new key (an unknown `kid`) has the set read again,
once for all who wait, and at most every `BETWEEN_SECONDS`, so that made-up names cost nothing. Otherwise the set
is read when it is old, beside the calls. A set that cannot be read leaves the old one in use.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from waystation_core.background import job
from waystation_core.identity.jwt_settings import KINDS
from waystation_domain.errors import StoreUnavailable
from waystation_tls import stamp_of

BETWEEN_SECONDS = 10.0
"""The set is read at most this often."""
OLD_SECONDS = 300.0
"""A set that was read so long ago is read again: this bounds how long a withdrawn key is trusted."""
FETCH_SECONDS = 5.0
MAX_BYTES = 1024 * 1024
MAX_KEYS = 100
LEAST_RSA_BITS = 2048

log = structlog.get_logger(__name__)

Read = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: frozenset[str]


class BadJwks(Exception):
    """The text is no key set that can be used; the message is a sentence."""


def parse_jwks(text: bytes) -> dict[str, IssuerKey]:
    """The keys that verify signatures, by their `kid`; keys for other purposes and of other kinds are left out.
    Raises BadJwks."""
    try:
        document = json.loads(text)
        entries = document["keys"]
        if not isinstance(entries, list):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadJwks('It is not a JSON Web Key Set: an object with a list "keys".') from None
    found = {}
    for entry in entries[:MAX_KEYS]:
        key = _key(entry)
        if key is not None:
            found[str(entry.get("kid", ""))] = key
    if not found:
        raise BadJwks("It has no public key that verifies signatures (RSA, EC or Ed25519).")
    return found


def _key(entry: Any) -> IssuerKey | None:
    """None for a symmetric key, above all: its holder could sign, too."""
    if not isinstance(entry, Mapping) or entry.get("use", "sig") != "sig":
        return None
    kind, named = entry.get("kty"), entry.get("alg")
    allowed = KINDS.get(kind) if isinstance(kind, str) else None
    if allowed is None or (named is not None and named not in allowed):
        return None
    try:
        read = PyJWK(dict(entry), algorithm=named)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    # A private key that was published by mistake verifies nothing.
    if not hasattr(read.key, "public_bytes"):
        return None
    if kind == "RSA":
        if read.key.key_size < LEAST_RSA_BITS:
            return None
        return IssuerKey(read.key, frozenset([named] if named else allowed))
    # The curve decides.
    return IssuerKey(read.key, frozenset([read.algorithm_name]))


class KeySet:
    """The keys of an issuer."""

    def __init__(
        self,
        read: Read,
        place: str,
        *,
        changed: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` gets the text of the set, or raises OSError; `place` names its source in the log. `changed` is a
        cheap look whether it was replaced, for a file."""
        self._read = read
        self._place = place
        self._changed = changed
        self._clock = clock
        self._keys: dict[str, IssuerKey] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def key(self, kid: str | None) -> IssuerKey | None:
        """The key of this name; without a name the only one there is. Raises StoreUnavailable if the set was never
        read."""
        if self._changed():
            await self._again()
        elif self._clock() - self._read_at >= OLD_SECONDS and self._keys:
            self._begin()
        found = self._find(kid)
        if found is None and self._begin() is not None:
            await self._again()
            found = self._find(kid)
        if found is None and not self._keys:
            raise StoreUnavailable(
                "The keys that tokens are verified with cannot be read now. Retry in a moment."
            )
        return found

    def _find(self, kid: str | None) -> IssuerKey | None:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _again(self) -> None:
        reading = self._begin(at_once=True)
        if reading is not None:
            # Who hangs up does not take it from the others.
            await asyncio.shield(reading)

    def _begin(self, *, at_once: bool = False) -> asyncio.Task[None] | None:
        """The reading that goes on, or a new one; None if it is too early for that."""
        if self._reading is None:
            if not at_once and self._clock() - self._tried_at < BETWEEN_SECONDS:
                return None
            self._tried_at = self._clock()
            self._reading = job("read the issuer's keys", self._replace())
        return self._reading

    async def _replace(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                text = await self._read()
            keys = parse_jwks(text)
        except (BadJwks, OSError, http.client.HTTPException, ValueError) as error:
            log.error(
                "issuer_keys_not_read",
                place=self._place,
                why=str(error) or type(error).__name__,
                used="the old keys" if self._keys else "none: no JWT can be verified",
            )
        else:
            if keys.keys() != self._keys.keys():
                log.info("issuer_keys_replaced", place=self._place, kids=sorted(keys))
            self._keys, self._read_at = keys, self._clock()
        finally:
            self._reading = None


def keys_of_file(path: Path) -> KeySet:
    """The keys of a file, which is read again when it changes."""
    seen: tuple[int, int, int] | None = None

    def changed() -> bool:
        nonlocal seen
        stamp = stamp_of(path)
        if stamp is None:
            return False
        before, seen = seen, stamp
        return before != stamp

    async def read() -> bytes:
        return await asyncio.to_thread(_read_file, path)

    return KeySet(read, str(path), changed=changed)


def keys_of_url(url: str, *, clock: Callable[[], float] = time.monotonic) -> KeySet:
    """The keys at an address."""

    async def read() -> bytes:
        return await asyncio.to_thread(_fetch, url)

    return KeySet(read, url, clock=clock)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(MAX_BYTES + 1))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The keys come from where the settings say, and from nowhere else."""

    def redirect_request(self, *args: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def _fetch(url: str) -> bytes:
    # Each look at the socket ends in time, and so does the thread.
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - see JwtSettings
    with _opener.open(request, timeout=FETCH_SECONDS) as response:
        return _bounded(response.read(MAX_BYTES + 1))


def _bounded(text: bytes) -> bytes:
    if len(text) > MAX_BYTES:
        raise BadJwks(f"It has more than {MAX_BYTES:,} bytes.")
    return text


def faults_of_jwks(path: Path) -> list[str]:
    """What is wrong with a file; nothing: it can be used."""
    try:
        parse_jwks(_read_file(path))
    except (BadJwks, OSError) as error:
        return [f"{path} cannot be used. {error}"]
    return []
