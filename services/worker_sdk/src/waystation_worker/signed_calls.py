"""The door of a handler service that knows its routers: calls of others end before anything of them is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from waystation_worker.invocation import CallRefused
from waystation_worker.router_identity import NotIdentified, RouterIdentity
from waystation_worker.servicer import details_of
from waystation_worker.status_texts import short_enough

CALLER_NOT_IDENTIFIED = "CALLER_NOT_IDENTIFIED"
"""The reason of a refusal that does not count as an attempt: nobody knows who called."""

_OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Services that tell nothing of workflows; every other one needs a signature."""

logger = logging.getLogger("waystation_worker")


class SignedCallsOnly(grpc.aio.ServerInterceptor):
    """Admits calls that Waystation has signed."""

    def __init__(self, identity: RouterIdentity) -> None:
        self._identity = identity
        self._refusals = Refusals()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method, or a refusal in its place."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN):
            return handler
        try:
            self._identity.check(handler_call_details.invocation_metadata or ())
        except NotIdentified as why:
            return self._refusal(handler, str(why))
        return handler

    def _refusal(self, handler: Any, why: str) -> Any:
        """What answers such a call: of the same kind as the method, and without a look at the request."""
        code = grpc.StatusCode.UNAUTHENTICATED
        message = short_enough(why)
        refused = CallRefused(code, message, reason=CALLER_NOT_IDENTIFIED)

        async def refuse(request: Any, context: Any) -> Any:
            self._refusals.say(str(context.peer() or "an unknown address"), why)
            await context.abort(code, message, details_of(refused))

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse)
        return grpc.unary_unary_rpc_method_handler(refuse)


class Refusals:
    """Says in the log which calls were refused: at most once a second, however many there are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = float("-inf")
        self._silent = 0

    def say(self, peer: str, why: str) -> None:
        """A call was refused."""
        if self._clock() - self._said_at < 1.0:
            self._silent += 1
            return
        more = f" ({self._silent} more since the last time)" if self._silent else ""
        logger.warning("refused a call from %s: %s%s", peer, why, more)
        self._said_at, self._silent = self._clock(), 0
