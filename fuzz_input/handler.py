"""A handler service that answers with what the generator makes, and once with what it should."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from fuzz_input.values import Filler
from fuzz_input.wire import field, spoiled, varint
from waystation.v1 import (
    handler_pb2,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    result_pb2,
)
from waystation.v1 import task_handler_service_pb2 as pb

SERVICE = "fuzz"
CANARY = "canary"
UNARY, STREAM = "answers_unary", "answers_stream"
"""Workflow types whose start is answered with a generated answer: by a call, or over the stream."""
CODES = tuple(code for code in grpc.StatusCode if code is not grpc.StatusCode.OK)


def start_id(number: int) -> str:
    """The instance of input `number`; its handler finds the number in it."""
    return f"answer-{number}"


class HostileHandler:
    """Serves all three tasks. `rng_of` gives the chance of an input by its number."""

    def __init__(self, filler: Filler, rng_of: Callable[[int], random.Random]) -> None:
        self._filler = filler
        self._rng_of = rng_of
        self._server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        methods: dict[str, Any] = {
            "HandleEvent": grpc.unary_unary_rpc_method_handler(self._one),
            "HandleEvents": grpc.stream_stream_rpc_method_handler(self._many),
        }
        service = "waystation.v1.TaskHandlerService"
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, methods),)
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    async def start(self, channel: grpc.aio.Channel) -> None:
        """Serves, and registers permanently."""
        await self._server.start()
        request = handler_registry_service_pb2.RegisterHandlerRequest(
            service_name=SERVICE,
            host="127.0.0.1",
            port=self.port,
            kind=handler_pb2.REGISTRATION_KIND_STATIC,
            tasks=[
                handler_pb2.TaskSpec(
                    task_id=name,
                    event_types=["workflow.started"],
                    workflow_types=[name],
                    max_attempts=2,
                    batching=name == STREAM,
                    timeout={"seconds": 10},
                    initial_backoff={"nanos": 100_000_000},
                    on_failure=handler_pb2.ON_FAILURE_CONTINUE,
                    max_in_flight=200,
                )
                for name in (CANARY, UNARY, STREAM)
            ],
        )
        registry: Any = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
        await registry.RegisterHandler(request, timeout=60)

    async def stop(self) -> None:
        """Hangs up."""
        await self._server.stop(None)

    def answer(self, number: int) -> bytes:
        """The answer of one input."""
        rng = self._rng_of(number)
        response = pb.HandleEventResponse()
        self._filler.fill(response, rng)
        for part in ("failure", "pending"):
            if rng.random() < 0.7:
                response.ClearField(part)
        return spoiled(response.SerializeToString(), rng)

    async def _one(self, data: bytes, context: Any) -> bytes:
        request = pb.HandleEventRequest.FromString(data)
        if request.task_id == CANARY:
            return _completed()
        number = int(request.context.workflow_instance_id.rpartition("-")[2])
        rng = self._rng_of(-number)
        if rng.random() < 0.1:
            details = (("grpc-status-details-bin", rng.randbytes(rng.choice((1, 300)))),)
            text = rng.choice(("no", "\N{HIRAGANA LETTER A}" * 3_000, "x" * 5_000))
            await context.abort(rng.choice(CODES), text, details if rng.random() < 0.5 else ())
        return self.answer(number)

    async def _many(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            for item in pb.HandleEventsRequest.FromString(message).items:
                number = int(item.context.workflow_instance_id.rpartition("-")[2])
                rng = self._rng_of(-number)
                named = field(1, item.idempotency_key.encode()) + b"\x10" + varint(item.attempt)
                if rng.random() < 0.1:
                    error = result_pb2.CallStatus()
                    self._filler.fill(error, rng)
                    result = named + field(4, error.SerializeToString())
                else:
                    result = named + field(3, self.answer(number))
                whole = field(1, result)
                yield spoiled(whole, rng) if rng.random() < 0.05 else whole


def _completed() -> bytes:
    return pb.HandleEventResponse(
        result=result_pb2.TaskResult(complete=result_pb2.WorkflowCompletion())
    ).SerializeToString()
