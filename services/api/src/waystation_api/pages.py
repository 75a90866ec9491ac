"""Page tokens (AIP-158): where the next page begins, valid only for the list that issued them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, MutableSequence, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import orjson
from google.protobuf.message import Message

from waystation_core.ids import may_be_ours
from waystation_domain import limits
from waystation_domain.errors import InvalidPageToken

Key: TypeAlias = tuple[Any, ...]
"""The key of a row: the next page begins after it."""

T = TypeVar("T")

MAX_PAGE_BYTES = 2 * 1024 * 1024
"""A page ends early rather than exceed what clients receive by default (4 MiB)."""

_LONGEST_TOKEN = 4_000
_LARGEST_KEY = 2**63 - 1
_LONGEST_KEY = 300
"""Characters of the longest text in a key: a host name."""


FIRST_PORTION = 10
"""Rows that are read first; each further portion is twice as large."""

_OF_ONE = 8
"""The largest overhead of a message inside another one."""


class Room:
    """How many bytes of messages an answer still has room for."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def takes(self, message: Message) -> bool:
        """Whether there is room for the message, which then takes it."""
        size = message.ByteSize() + _OF_ONE
        if size > self._left:
            return False
        self._left -= size
        return True


class Page:
    """A request for a page: how many rows, after which key."""

    def __init__(self, request: Message, kinds: Sequence[type]) -> None:
        """`kinds` are the types of the key's parts: str, UUID (as text), int or datetime.

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
        self.after: Key | None = self._read(token, kinds) if token else None

    def token(self, key: Sequence[str | int | datetime]) -> str:
        """The token of the next page; `key` is that of this page's last row."""
        body = orjson.dumps(list(key))
        return base64.urlsafe_b64encode(self._check(body) + body).decode().rstrip("=")

    def _check(self, body: bytes) -> bytes:
        return hashlib.sha256(self._list + body).digest()[:8]

    def _read(self, token: str, kinds: Sequence[type]) -> Key:
        try:
            if len(token) > _LONGEST_TOKEN:
                raise ValueError("longer than any that was given out")
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            check, body = raw[:8], raw[8:]
            if check != self._check(body):
                raise ValueError("another list's")
            return tuple(
                _part(part, kind) for part, kind in zip(orjson.loads(body), kinds, strict=True)
            )
        except (ValueError, TypeError, binascii.Error):
            raise InvalidPageToken(
                "page_token is not from this list with these filters; start again "
                "without a page_token.",
                field="page_token",
            ) from None


def _part(part: object, kind: type) -> str | int | datetime:
    """A part of a key that was issued. Raises ValueError: the token's check finds mistakes, not forgeries,
    and what is read here goes into a statement."""
    if kind is datetime:
        when = datetime.fromisoformat(str(part))
        if when.tzinfo is None:
            raise ValueError("a time without a zone")
        return when
    if kind is int and type(part) is int and 0 <= part <= _LARGEST_KEY:
        return part
    if kind is str and isinstance(part, str) and len(part) <= _LONGEST_KEY and "\0" not in part:
        return part
    if kind is UUID and isinstance(part, str) and may_be_ours(part):
        return part
    raise ValueError("no part of a key")


async def fill(
    page: Page,
    into: MutableSequence[Any],
    look: Callable[[Key | None, int], Awaitable[Sequence[T]]],
    to_message: Callable[[T], Message],
    key: Callable[[T, Key | None], Key],
) -> str:
    """Puts as many rows into a page as fit; returns the token of the next page, empty if there is none.
    `look` returns rows after a key. They are read in growing portions: few large ones fit, and rows that do
    not fit are read again for the next page."""
    after, room, at_once = page.after, Room(MAX_PAGE_BYTES), FIRST_PORTION
    while True:
        # One more than fits shows whether this page is the last one.
        limit = min(page.size + 1 - len(into), at_once)
        rows = await look(after, limit)
        for row in rows:
            message = to_message(row)
            if len(into) == page.size or (not room.takes(message) and into):
                return page.token(after or ())
            into.append(message)
            after = key(row, after)
        if len(rows) < limit:
            return ""
        at_once *= 2
