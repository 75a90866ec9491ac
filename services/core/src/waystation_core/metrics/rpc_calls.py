"""How long calls of clients take, and how they end."""

from __future__ import annotations

import inspect
import time
from typing import Any

import grpc

from waystation_core.metrics.definitions import RPC_DURATION
from waystation_core.metrics.meters import Meters
from waystation_core.rpc.method_interceptor import (
    CONTRACT,
    MethodInterceptor,
    form_of,
    with_behaviour,
)

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallMeter(MethodInterceptor):
    """Measures the methods of the contract. It surrounds all other interceptors, so it counts refusals too."""

    def __init__(self, meters: Meters) -> None:
        super().__init__()
        self._meter = meters.histogram(RPC_DURATION)

    def around(self, method: str, handler: Any) -> Any:
        """The handler with a clock around it."""
        if not method.startswith(CONTRACT):
            return handler
        behaviour = form_of(handler)[1]
        measured = self._generator if inspect.isasyncgenfunction(behaviour) else self._coroutine
        return with_behaviour(handler, measured(behaviour, method.removeprefix("/")))

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
