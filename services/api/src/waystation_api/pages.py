"""Page tokens (AIP-158): where the next page begins, bound to the list that gave them out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from google.protobuf.message import Message

from waystation_core.domain import limits
from waystation_core.domain.errors import InvalidPageToken

MAX_PAGE_BYTES = 2 * 1024 * 1024
"""A page ends early rather than grow beyond what clients receive by default (4 MiB)."""


class Page:
    """One request for a page: how many rows, after which key."""

    def __init__(self, request: Message, kinds: Sequence[type]) -> None:
        """`kinds` are the types of the key's parts: str, int or datetime.

        Raises InvalidPageToken for a negative size, or a token of another list.
        """
        fields: Any = request
        self.size = limits.page_size(fields.page_size)
        token: str = fields.page_token
        query = type(request)()
        query.CopyFrom(request)
        query.ClearField("page_size")  # type: ignore[arg-type, unused-ignore]
        query.ClearField("page_token")  # type: ignore[arg-type, unused-ignore]
        self._list = hashlib.sha256(
            type(request).__name__.encode() + b"\0" + query.SerializeToString(deterministic=True)
        ).digest()[:8]
        self.after: tuple[Any, ...] | None = self._read(token, kinds) if token else None

    def token(self, key: Sequence[str | int | datetime]) -> str:
        """What the next page is asked for with; `key` is that of this page's last row."""
        body = orjson.dumps(list(key))
        return base64.urlsafe_b64encode(self._check(body) + body).decode().rstrip("=")

    def _check(self, body: bytes) -> bytes:
        return hashlib.sha256(self._list + body).digest()[:8]

    def _read(self, token: str, kinds: Sequence[type]) -> tuple[Any, ...]:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            check, body = raw[:8], raw[8:]
            if check != self._check(body):
                raise ValueError("another list's")
            parts = orjson.loads(body)
            return tuple(
                datetime.fromisoformat(part) if kind is datetime else kind(part)
                for part, kind in zip(parts, kinds, strict=True)
            )
        except (ValueError, TypeError, binascii.Error):
            raise InvalidPageToken(
                "page_token was not given out by this list with these filters; begin again "
                "without one.",
                field="page_token",
            ) from None
