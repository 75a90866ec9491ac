"""What surrounds the calls of methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

CONTRACT = "/waystation."
"""How the methods of the contract begin; others are those of gRPC itself, such as health."""


class MethodInterceptor(grpc.aio.ServerInterceptor, ABC):
    """Surrounds the handlers of methods; each is built once."""

    def __init__(self) -> None:
        # One for each method: its handler, and what surrounds it.
        self._built: dict[str, tuple[Any, Any]] = {}

    @abstractmethod
    def around(self, method: str, handler: Any) -> Any:
        """The handler of the method with what surrounds it; the same one if nothing does."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._built.get(method)
        if known is None or known[0] is not handler:
            known = self._built[method] = (handler, self.around(method, handler))
        return known[1]


def with_behaviour(handler: Any, behaviour: Any) -> Any:
    """The handler with another function, which gets the same requests."""
    make, _ = form_of(handler)
    return make(
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def form_of(handler: Any) -> tuple[Callable[..., Any], Any]:
    """The constructor of a handler of the same kind, unary or streaming at either end, and this one's
    function."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, handler.stream_stream
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary
