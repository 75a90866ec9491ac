"""Every audited call gets its entry: one that changes something with the change, one that is refused
afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc

from waystation_api.audit.calls import set_audited_call
from waystation_api.audit.entries import entry_of
from waystation_api.audit.refusals import Refusals
from waystation_core.identity.principal import caller
from waystation_core.ports.store import AuditedCall
from waystation_core.rpc.audited import AUDITED
from waystation_core.rpc.errors import form_of
from waystation_domain.errors import WaystationError


class AuditInterceptor(grpc.aio.ServerInterceptor):
    """Stands inside what finds out who is calling."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, which records what becomes of a call; built once for each method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method not in AUDITED:
            return handler
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        make, behaviour = form_of(handler)
        wrapped = make(
            self._recording(method, behaviour),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        self._wrapped[method] = (handler, wrapped)
        return wrapped

    def _recording(self, method: str, behaviour: Any) -> Any:
        async def recorded(request: Any, context: Any) -> Any:
            call = AuditedCall(entry_of(method, request, caller(), context.peer()))
            set_audited_call(call)
            try:
                return await behaviour(request, context)
            except Exception as error:
                known = error if isinstance(error, WaystationError) else WaystationError("")
                self._refusals.add(replace(call.entry, code=known.code, reason=known.reason))
                raise

        return recorded
