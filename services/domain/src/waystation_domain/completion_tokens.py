"""Completion tokens: the right to end one delivery, given to its handler with each attempt.

A token names event, task, edit and attempt, and is sealed with a key that only the servers of an installation
have (keyed BLAKE2b, RFC 7693). Nothing is stored for it, as most attempts never use theirs. The idempotency
key, which handlers pass on to third parties, gives no such right.
"""

from __future__ import annotations

import base64
import struct
import uuid
from dataclasses import dataclass

from waystation_domain.seal import Seal

_HEAD = struct.Struct(">B16sII")
"""Form, event, edit, attempt; the task's id follows."""
_FORM = 1
"""The first byte. Another format gets another number."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a token names."""

    event_id: str
    task_id: str
    edit: int
    attempt: int


class CompletionTokens:
    """Makes and reads the tokens of one key (16 to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._seal = Seal(key)

    def of(self, event_id: str, task_id: str, edit: int, attempt: int) -> str:
        """The token, some 70 characters and the task's id, of `[A-Za-z0-9_-]`."""
        body = _HEAD.pack(_FORM, uuid.UUID(event_id).bytes, edit, attempt) + task_id.encode()
        return base64.urlsafe_b64encode(self._seal.sealed(body)).rstrip(b"=").decode()

    def read(self, token: str) -> Attempt | None:
        """What the token names; None if it was not sealed with this key."""
        try:
            whole = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:
            return None
        body = self._seal.opened(whole)
        if body is None or len(body) <= _HEAD.size or body[0] != _FORM:
            return None
        _, event, edit, number = _HEAD.unpack_from(body)
        task_id = body[_HEAD.size :].decode()
        return Attempt(str(uuid.UUID(bytes=event)), task_id, edit, number)
