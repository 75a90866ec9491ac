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
from support.certificates import Ended

from waystation.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    delivery_completion_service_pb2,
    delivery_completion_service_pb2_grpc,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    result_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
    task_handler_service_pb2,
    token_service_pb2,
    token_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)
from waystation_tls import ServerCredentials
from waystation_worker.channels import open_port

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
    dead_letter_service_pb2_grpc.DeadLetterServiceServicer,
    system_service_pb2_grpc.SystemServiceServicer,
    token_service_pb2_grpc.TokenServiceServicer,
    audit_service_pb2_grpc.AuditServiceServicer,
    namespace_service_pb2_grpc.NamespaceServiceServicer,
):
    """Keeps every request, and answers by the queued answers, then by the usual ones."""

    def __init__(self, *, streams: bool = True) -> None:
        """`streams` False: as a server of before RunWorkflows."""
        self.streams = streams
        self.messages: list[Any] = []
        """Of RunWorkflows; their items are among the calls, under the names of their unary forms."""
        self.hang_up = asyncio.Event()
        """Ends a stream in the middle of what is on it."""
        self.hang_up_code = grpc.StatusCode.UNAVAILABLE
        self.opened = self.half_closed = 0
        """Streams."""
        self._streams: list[Any] = []
        self.calls: list[tuple[str, Any]] = []
        self.tokens: list[str | None] = []
        """What each call and each stream carried."""
        self.valid: set[str] | None = None
        """The tokens that are taken; None: a call needs none."""
        self.queued: dict[str, deque[Answer]] = {}
        self.usual: dict[str, Callable[[Any], Answer]] = {
            "RegisterHandler": self._registered,
            "RenewHandler": lambda _: handler_registry_service_pb2.RenewHandlerResponse(),
            "UnregisterHandler": lambda _: handler_registry_service_pb2.UnregisterHandlerResponse(),
        }
        self.address = ""

    def next(self, method: str, *answers: Answer) -> None:
        self.queued.setdefault(method, deque()).extend(answers)

    async def say_closing(self) -> None:
        """Asks for the end of every stream."""
        for context in self._streams:
            await context.write(workflow_service_pb2.RunWorkflowsResponse(closing=True))

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.calls if name == method]

    def _registered(self, request: Any) -> Any:
        response = handler_registry_service_pb2.RegisterHandlerResponse()
        response.handler.handler_id = f"h-{len(self.requests('RegisterHandler'))}"
        return response

    async def admit(self, context: Any) -> None:
        """Refuses a call without a valid token. An item of a stream is admitted with its stream."""
        if isinstance(context, _ItemContext):
            return
        sent = dict(context.invocation_metadata()).get("authorization")
        token = None if sent is None else sent.removeprefix("Bearer ")
        self.tokens.append(token)
        if self.valid is not None and token not in self.valid:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")

    async def _answer(self, method: str, request: Any, context: Any) -> Any:
        # An abort raises.
        await self.admit(context)
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


class _ItemRefused(Exception):
    """An item's answer that is an error."""


class _ItemContext:
    """What `_answer` uses of a call's context, for one item."""

    def __init__(self, error: result_pb2.CallStatus) -> None:
        self._error = error

    async def abort(self, code: grpc.StatusCode, message: str) -> None:
        self._error.code, self._error.message = code.value[0], message
        raise _ItemRefused

    async def abort_with_status(self, status: Any) -> None:
        for _, value in status.trailing_metadata:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
                self._error.reason = info.reason
                self._error.metadata.update(info.metadata)
        await self.abort(status.code, status.details)


_UNARY = {"start": "StartWorkflow", "run": "RunWorkflow", "wait": "WaitWorkflow"}


async def _serve_items(self: FakeWaystation, requests: Any, context: Any) -> None:
    await self.admit(context)
    self.opened += 1
    self._streams.append(context)
    if not self.streams:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    async def serve(item: Any) -> None:
        kind = item.WhichOneof("call")
        result = workflow_service_pb2.RunWorkflowsResult(item_id=item.item_id)
        try:
            answer = await self._answer(
                _UNARY[kind], getattr(item, kind), _ItemContext(result.error)
            )
        except _ItemRefused:
            pass
        else:
            while isinstance(answer, asyncio.Event):
                await answer.wait()
                answer = self.usual[_UNARY[kind]](getattr(item, kind))
            getattr(result, kind).CopyFrom(answer)
        async with writing:
            await context.write(workflow_service_pb2.RunWorkflowsResponse(results=[result]))

    async def read() -> None:
        async for message in requests:
            self.messages.append(message)
            served.extend(asyncio.create_task(serve(item)) for item in message.items)
            for item in message.cancels:
                self.calls.append(("cancel", item))
        self.half_closed += 1

    served: list[asyncio.Task[None]] = []
    writing = asyncio.Lock()
    reader = asyncio.create_task(read())
    hung_up = asyncio.create_task(self.hang_up.wait())
    await asyncio.wait({reader, hung_up}, return_when=asyncio.FIRST_COMPLETED)
    if not hung_up.done():
        hung_up.cancel()
        await asyncio.gather(*served)
        return
    self.hang_up.clear()
    for task in (reader, *served):
        task.cancel()
    await context.abort(self.hang_up_code, "gone")


for _file in (
    handler_registry_service_pb2,
    delivery_completion_service_pb2,
    workflow_service_pb2,
    dead_letter_service_pb2,
    system_service_pb2,
    token_service_pb2,
    audit_service_pb2,
    namespace_service_pb2,
):
    for _service in _file.DESCRIPTOR.services_by_name.values():
        for _method in _service.methods:
            _make = _serve_stream if _method.server_streaming else _serve
            setattr(FakeWaystation, _method.name, _make(_method.name))
FakeWaystation.RunWorkflows = _serve_items  # type: ignore[method-assign,assignment]


@contextlib.asynccontextmanager
async def serving(
    fake: FakeWaystation, port: int = 0, tls: ServerCredentials | Ended | None = None
) -> AsyncIterator[FakeWaystation]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler_registry_service_pb2_grpc.add_HandlerRegistryServiceServicer_to_server(fake, server)
    delivery_completion_service_pb2_grpc.add_DeliveryCompletionServiceServicer_to_server(
        fake, server
    )
    workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(fake, server)
    dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(fake, server)
    system_service_pb2_grpc.add_SystemServiceServicer_to_server(fake, server)
    token_service_pb2_grpc.add_TokenServiceServicer_to_server(fake, server)
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(fake, server)
    namespace_service_pb2_grpc.add_NamespaceServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{open_port(server, f'127.0.0.1:{port}', tls)}"
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
