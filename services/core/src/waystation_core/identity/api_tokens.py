"""API tokens: rows that admins create and revoke, looked up by the hash of their secret.

Looks are gathered: while one is on its way to Postgres, everybody else's wait together for the next, so a flood
of unknown tokens takes one connection. If Postgres cannot be asked, a token that was valid within the last
`TRUSTED_SECONDS` goes on, unless its time is over.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from waystation_core.background import job
from waystation_core.identity.authenticator import Identified
from waystation_core.identity.principal import GRANTABLE, Principal
from waystation_core.ports.store import TokenGrants, TokenStore, ValidToken
from waystation_core.rpc.roles import Role
from waystation_domain.errors import StoreUnavailable

PREFIX = "wst_"
"""What every API token begins with, so that scanners of secrets find one."""

TRUSTED_SECONDS = 300.0
"""How long a token goes on after it was last found valid while Postgres cannot be asked."""
_ASK_AGAIN_SECONDS = 2.0
"""Postgres is asked about such a token at most this often."""
_MOST_REMEMBERED = 10_000
_MOST_AT_ONCE = 500
"""Tokens in one look."""
_MOST_WAITING = 5_000

_TOKEN = re.compile(r"wst_[A-Za-z0-9_-]{43}")
_ROLES = {role.value: role for role in GRANTABLE}


def new_secret() -> str:
    """The secret of a token: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of_secret(secret: str) -> bytes:
    """What is stored of a secret. It is random and long: a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).digest()


def roles_of(grants: TokenGrants) -> dict[str, frozenset[Role]]:
    """The roles by namespace; those that this release does not know grant nothing."""
    return {
        namespace: frozenset(_ROLES[name] for name in names if name in _ROLES)
        for namespace, names in grants.roles.items()
    }


class ApiTokens:
    """The tokens of a store, as one way to prove who is calling."""

    def __init__(self, store: TokenStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._valid: OrderedDict[bytes, tuple[Principal, float, float]] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Future[ValidToken | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    def recognises(self, credential: str) -> bool:
        return credential.startswith(PREFIX)

    async def identify(self, credential: str) -> Identified | str:
        if not _TOKEN.fullmatch(credential):
            return "the token has not the form of an API token"
        digest = digest_of_secret(credential)
        try:
            token = await asyncio.shield(self._look(digest))
        except StoreUnavailable:
            return self._as_it_was(digest)
        if token is None:
            self._valid.pop(digest, None)
            return "the API token is unknown, revoked or over"
        principal = Principal(
            f"token:{token.name}", roles_of(token.grants), frozenset(token.grants.service_names)
        )
        now = self._clock()
        end = math.inf if token.seconds is None else now + token.seconds
        self._valid[digest] = (principal, now, end)
        self._valid.move_to_end(digest)
        if len(self._valid) > _MOST_REMEMBERED:
            self._valid.popitem(last=False)
        return Identified(principal, token.seconds)

    def _as_it_was(self, digest: bytes) -> Identified | str:
        """What was found out last. Raises StoreUnavailable if that is too long ago."""
        now = self._clock()
        principal, seen, end = self._valid.get(digest, (None, -math.inf, -math.inf))
        if principal is not None and now >= end:
            return "the API token is over"
        if principal is None or now - seen >= TRUSTED_SECONDS:
            raise StoreUnavailable(
                "The database cannot be asked whether the token is valid. Retry the request in a moment."
            )
        return Identified(principal, min(_ASK_AGAIN_SECONDS, end - now))

    def _look(self, digest: bytes) -> asyncio.Future[ValidToken | None]:
        """The answer to come. Whoever asks for the same token gets the same answer."""
        waiting = self._waiting.get(digest)
        if waiting is not None:
            return waiting
        if len(self._waiting) >= _MOST_WAITING:
            raise StoreUnavailable("Too many tokens wait to be looked up. Retry in a moment.")
        waiting = self._waiting[digest] = asyncio.get_running_loop().create_future()
        # Nobody may be left to hear of a failure: its caller has hung up.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._asking is None:
            self._asking = job("look up tokens", self._ask())
        return waiting

    async def _ask(self) -> None:
        """Until nobody waits."""
        asked: list[bytes] = []
        try:
            while self._waiting:
                asked = list(self._waiting)[:_MOST_AT_ONCE]
                try:
                    found: Mapping[bytes, ValidToken] = await self._store.valid_tokens(asked)
                except StoreUnavailable as error:
                    self._answer(asked, error=error)
                    continue
                self._answer(asked, found)
        finally:
            self._asking = None
            # Only a fault of this code leaves somebody behind.
            self._answer(
                list(self._waiting), error=StoreUnavailable("The token could not be looked up.")
            )

    def _answer(
        self,
        digests: list[bytes],
        found: Mapping[bytes, ValidToken] | None = None,
        *,
        error: StoreUnavailable | None = None,
    ) -> None:
        for digest in digests:
            waiting = self._waiting.pop(digest)
            if error is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result((found or {}).get(digest))
