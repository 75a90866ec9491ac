"""The door of a server: who is calling, before anything of the call is read, and whether it may.

Credentials come as `authorization: Bearer ...`. What was found out about one is kept for `KEPT_SECONDS`, so
that a call costs a look into a table, and a withdrawn credential is refused after that time at the latest. A
stream is asked again more often.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from waystation_core.background import step
from waystation_core.identity.authenticator import Authenticator, Identified
from waystation_core.identity.principal import (
    Principal,
    caller,
    denied,
    namespace_meant,
    namespace_of,
    set_caller,
)
from waystation_core.rpc.peers import peer_address
from waystation_core.rpc.roles import OF_SEVERAL_NAMESPACES, OF_THE_INSTALLATION, OPEN_TO_ALL
from waystation_domain.errors import StoreUnavailable, Unauthenticated, WaystationError

KEPT_SECONDS = 25.0
"""Seconds that a valid credential is trusted without asking again. Contracts and docs say 30."""

_MOST_KEPT = 10_000
"""Credentials that are remembered at once; the one that was not used for longest is forgotten."""
_MOST_BYTES = 16 * 1024
"""Bytes of a credential: larger ones are refused unread."""
_LOOKS = 5
"""How often a stream is asked again while an answer is kept: both times together are 30 s."""
_SAY_SECONDS = 1.0
"""Refused calls are logged at most once in this time, with their number."""

_NOT_OF_ONE_NAMESPACE = OPEN_TO_ALL | OF_THE_INSTALLATION

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that was refused at the door."""

    principal: str
    """Who called; empty if the credential was missing or not valid."""
    peer: str
    method: str
    namespace: str
    """As the request names it; empty where the call was refused before it was read."""
    error: WaystationError


class Access:
    """Decides about every call of one server."""

    def __init__(
        self,
        ways: Sequence[Authenticator],
        *,
        on_denied: Callable[[Denial], None] = lambda denial: None,
        kept_seconds: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ways`: of proving who is calling; none of them: nobody is let in."""
        self.kept_seconds = kept_seconds
        self._ways = tuple(ways)
        self._on_denied = on_denied
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._refused = 0
        self._said_at = float("-inf")

    async def admit(self, method: str, context: Any) -> None:
        """Sets the caller of a call that was not read yet. Raises Unauthenticated, PermissionDenied for a
        method that the caller may call about no namespace, StoreUnavailable."""
        if method in OPEN_TO_ALL:
            return
        principal = await self.identify(method, context)
        set_caller(principal)
        if not principal.may_anywhere(method):
            raise self._denied(principal.name, method, "", context, denied(method))

    def check_request(self, method: str, request: Any, context: Any) -> None:
        """Whether the admitted caller may do this about the namespace of the request. Raises
        NamespaceNotFound, PermissionDenied."""
        named = namespace_of(request)
        if named is None or method in _NOT_OF_ONE_NAMESPACE:
            return
        if not named and method in OF_SEVERAL_NAMESPACES:
            return
        principal = caller()
        try:
            principal.require(method, namespace_meant(named))
        except WaystationError as error:
            self._denied(principal.name, method, named, context, error)
            raise

    def watch(self, method: str, context: Any) -> StreamWatch:
        """Asks again and again who is behind the stream that this task answers."""
        return StreamWatch(self, method, context)

    async def identify(self, method: str, context: Any) -> Principal:
        """Who is calling. Raises Unauthenticated, StoreUnavailable."""
        credential, why = _credential(context.invocation_metadata() or ())
        if credential is None:
            raise self._denied("", method, "", context, unauthenticated(), why)
        digest = hashlib.sha256(credential.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known[1]:
            self._known.move_to_end(digest)
            return known[0]
        found = await self._ask(credential)
        if isinstance(found, str):
            self._known.pop(digest, None)
            raise self._denied("", method, "", context, unauthenticated(), found)
        seconds = min(self.kept_seconds, found.seconds if found.seconds is not None else math.inf)
        self._known[digest] = (found.principal, self._clock() + seconds)
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return found.principal

    async def _ask(self, credential: str) -> Identified | str:
        for way in self._ways:
            if way.recognises(credential):
                return await way.identify(credential)
        return "the credential is of no kind that this server takes"

    def _denied(
        self,
        principal: str,
        method: str,
        namespace: str,
        context: Any,
        error: WaystationError,
        why: str = "",
    ) -> WaystationError:
        peer = peer_address(str(context.peer() or ""))
        self._on_denied(Denial(principal, peer, method, namespace, error))
        self._refused += 1
        if self._clock() - self._said_at >= _SAY_SECONDS:
            log.warning(
                "calls_refused",
                number=self._refused,
                last_method=method,
                last_caller=principal or None,
                last_peer=peer,
                reason=error.reason,
                why=why or error.message,
            )
            self._refused, self._said_at = 0, self._clock()
        return error


class StreamWatch:
    """Ends a stream whose caller lost what it needs. `over` must be called at its end."""

    def __init__(self, access: Access, method: str, context: Any) -> None:
        self.error: WaystationError | None = None
        """Why the stream was ended."""
        self._access, self._method, self._context = access, method, context
        self._stream = asyncio.current_task()
        self._looking = step(self._look())

    def over(self) -> None:
        """Stops looking."""
        self._looking.cancel()

    async def _look(self) -> None:
        while True:
            # More often than answers are kept: one that another call has renewed just now is old at the next look.
            await asyncio.sleep(self._access.kept_seconds / _LOOKS)
            try:
                await self._access.admit(self._method, self._context)
            except StoreUnavailable:
                # Nobody withdrew anything: the stream goes on as long as the store is away.
                continue
            except WaystationError as error:
                self.error = error
                if self._stream is not None:
                    self._stream.cancel()
                return


def unauthenticated() -> Unauthenticated:
    """The one refusal for every fault of a credential."""
    return Unauthenticated(
        "The call has no valid credential. Set WAYSTATION_TOKEN to a token or key of this server; its log says "
        "what is wrong with the one that was sent.",
    )


def _credential(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str | None, str]:
    """The credential of a call, or why there is none."""
    values = [value for key, value in metadata if key == "authorization"]
    if not values:
        return None, "there is no authorization in the metadata"
    if len(values) > 1 or not isinstance(values[0], str):
        return None, "there are several authorizations in the metadata"
    scheme, _, credential = values[0].partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        return None, "the authorization is not of the form `Bearer ...`"
    if len(credential) > _MOST_BYTES:
        return None, "the credential is too long"
    return credential.strip(), ""
