"""The gate before every call: shut while the server starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from waystation_core.identity.existing_namespaces import set_existing
from waystation_core.rpc.method_interceptor import CONTRACT, with_behaviour
from waystation_domain.errors import StoreUnavailable


class Gate(grpc.aio.ServerInterceptor):
    """Refuses calls until the store can be used, and tells the others which namespaces exist."""

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self.is_open = False
        self._exists = exists

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        set_existing(self._exists)
        handler = await continuation(handler_call_details)
        if self.is_open or handler is None or not handler_call_details.method.startswith(CONTRACT):
            return handler
        return with_behaviour(handler, self._refuse)

    async def _refuse(self, request: object, context: object) -> None:
        raise StoreUnavailable(
            "The server is starting and waits for Postgres and its schema; retry in a moment."
        )
