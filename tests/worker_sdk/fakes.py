"""A Waystation that does what a test tells it to, behind a real port."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from waystation.v1 import (
    delivery_completion_service_pb2,
    delivery_completion_service_pb2_grpc,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    task_handler_service_pb2,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

Answer = Any


class Refusal(Exception):
    """An answer that is a gRPC error, with an ErrorInfo where it has a reason."""

    def __init__(self, code: str, reason: str = "", message: str = "no", **metadata: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = metadata


class FakeWaystation(
    handler_registry_service_pb2_grpc.HandlerRegistryServiceServicer,
    delivery_completion_service_pb2_grpc.DeliveryCompletionServiceServicer,
    workflow_service_pb2_grpc.WorkflowServiceServicer,
):
    """Keeps every request, and answers by the queued answers, then by the usual ones."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.queued: dict[str, deque[Answer]] = {}
        self.usual: dict[str, Callable[[Any], Answer]] = {
            "RegisterHandler": self._registered,
            "RenewHandler": lambda _: handler_registry_service_pb2.RenewHandlerResponse(),
            "UnregisterHandler": lambda _: handler_registry_service_pb2.UnregisterHandlerResponse(),
        }
        self.address = ""

    def next(self, method: str, *answers: Answer) -> None:
        self.queued.setdefault(method, deque()).extend(answers)

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.calls if name == method]

    def _registered(self, request: Any) -> Any:
        response = handler_registry_service_pb2.RegisterHandlerResponse()
        response.handler.handler_id = f"h-{len(self.requests('RegisterHandler'))}"
        return response

    async def _answer(self, method: str, request: Any, context: Any) -> Any:
        # An abort raises.
        self.calls.append((method, request))
        queue = self.queued.get(method)
        answer = queue.popleft() if queue else self.usual[method](request)
        if not isinstance(answer, Refusal):
            return answer
        if not answer.reason:
            await context.abort(grpc.StatusCode[answer.code], answer.message)
        detail = any_pb2.Any()
        detail.Pack(
            error_details_pb2.ErrorInfo(
                reason=answer.reason, domain="waystation", metadata=answer.metadata
            )
        )
        return await context.abort_with_status(
            rpc_status.to_status(
                status_pb2.Status(
                    code=code_pb2.Code.Value(answer.code), message=answer.message, details=[detail]
                )
            )
        )


def _serve(method: str) -> Any:
    async def serve(self: FakeWaystation, request: Any, context: Any) -> Any:
        return await self._answer(method, request, context)

    return serve


def _serve_stream(method: str) -> Any:
    """An answer is a list: messages, and where it is to break, a Refusal or an Event to wait for."""

    async def serve(self: FakeWaystation, request: Any, context: Any) -> None:
        answers = await self._answer(method, request, context)
        for answer in answers:
            if isinstance(answer, Refusal):
                await context.abort(grpc.StatusCode[answer.code], answer.message)
            elif isinstance(answer, asyncio.Event):
                await answer.wait()
            else:
                await context.write(answer)

    return serve


for _file in (handler_registry_service_pb2, delivery_completion_service_pb2, workflow_service_pb2):
    for _service in _file.DESCRIPTOR.services_by_name.values():
        for _method in _service.methods:
            _make = _serve_stream if _method.server_streaming else _serve
            setattr(FakeWaystation, _method.name, _make(_method.name))


@contextlib.asynccontextmanager
async def serving(fake: FakeWaystation, port: int = 0) -> AsyncIterator[FakeWaystation]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler_registry_service_pb2_grpc.add_HandlerRegistryServiceServicer_to_server(fake, server)
    delivery_completion_service_pb2_grpc.add_DeliveryCompletionServiceServicer_to_server(
        fake, server
    )
    workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield fake
    finally:
        await server.stop(0)


def delivery(
    task_id: str,
    data: dict[str, Any] | None = None,
    payload: dict[str, Any] | None = None,
    *,
    key: str = "e-1:t",
    attempt: int = 1,
) -> task_handler_service_pb2.HandleEventRequest:
    """What a router sends."""
    request = task_handler_service_pb2.HandleEventRequest(
        task_id=task_id, idempotency_key=key, attempt=attempt
    )
    request.event.event_id = key.split(":")[0]
    request.event.event_type = "claim.processed"
    request.event.priority = 100
    request.event.payload.update(payload or {})
    request.context.workflow_instance_id = "claim-7"
    request.context.workflow_type = "insurance_claim"
    request.context.status = 1
    request.context.version = 3
    request.context.data.update(data or {})
    return request
