"""Seals: bytes that only a server of this installation can have made (keyed BLAKE2b, RFC 7693)."""

from __future__ import annotations

import hashlib
import hmac

_BYTES = 16


class Seal:
    """Seals and opens with one key (16 to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sealed(self, body: bytes) -> bytes:
        """The body with its seal behind it."""
        return body + self._of(body)

    def opened(self, whole: bytes) -> bytes | None:
        """The body; None if it was not sealed with this key."""
        body, seal = whole[:-_BYTES], whole[-_BYTES:]
        return body if hmac.compare_digest(seal, self._of(body)) else None

    def _of(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_BYTES).digest()
