"""How long calls of clients take, and how they end."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from waystation_core.metrics.definitions import RPC_DURATION
from waystation_core.metrics.meters import Meters
from waystation_core.rpc.errors import form_of

_CONTRACT = "/waystation."
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallMeter(grpc.aio.ServerInterceptor):
    """Measures the methods of the contract. It surrounds all other interceptors, so it counts refusals too."""

    def __init__(self, meters: Meters) -> None:
        self._meter = meters.counting(RPC_DURATION)
        # One for each method of the contract.
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler with a clock around it; built once for each method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_CONTRACT):
            return handler
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        make, behaviour = form_of(handler)
        measured = self._generator if inspect.isasyncgenfunction(behaviour) else self._coroutine
        wrapped = make(
            measured(behaviour, method.removeprefix("/")),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        self._wrapped[method] = (handler, wrapped)
        return wrapped

    def _coroutine(self, behaviour: Any, method: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            began = time.monotonic()
            ended = False
            try:
                result = await behaviour(request, context)
                ended = True
                return result
            finally:
                self._ended(method, context, began, ended=ended)

        return answer

    def _generator(self, behaviour: Any, method: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            began = time.monotonic()
            ended = False
            try:
                async for response in behaviour(request, context):
                    yield response
                ended = True
            finally:
                self._ended(method, context, began, ended=ended)

        return answer

    def _ended(self, method: str, context: Any, began: float, *, ended: bool) -> None:
        code = context.code()
        number = code.value[0] if isinstance(code, grpc.StatusCode) else code
        # gRPC sets no code for an answer, nor for a call that its caller cancelled.
        name = _NAMES.get(number, "UNKNOWN") if number else "OK" if ended else "CANCELLED"
        self._meter.of(method, name).observe(time.monotonic() - began)
