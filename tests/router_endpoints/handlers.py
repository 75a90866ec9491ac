"""Handler services for these tests: real gRPC servers, in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from support.certificates import Ended

from waystation.v1 import event_pb2, result_pb2
from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import task_handler_service_pb2_grpc as pb_grpc
from waystation_core.ports.store import Registration
from waystation_domain.task_spec import TaskSpec
from waystation_tls import ServerCredentials


class Handler(pb_grpc.TaskHandlerServiceServicer):
    """Does what the task's name says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[pb.HandleEventRequest] = []
        self.messages: list[pb.HandleEventsRequest] = []
        self.cancelled: list[str] = []
        self.release = asyncio.Event()
        self.streams = 0

    async def answer(self, request: pb.HandleEventRequest) -> pb.HandleEventResponse:
        self.calls.append(request)
        match request.task_id:
            case "wait":
                try:
                    await self.release.wait()
                except asyncio.CancelledError:
                    self.cancelled.append(request.idempotency_key)
                    raise
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "huge":
                failure = result_pb2.TaskFailure(message="x" * (17 * 1024 * 1024))
                return pb.HandleEventResponse(failure=failure)
            case "big":
                failure = result_pb2.TaskFailure(message="x" * (9 * 1024 * 1024))
                return pb.HandleEventResponse(failure=failure)
        return pb.HandleEventResponse(result={"events": [pb_event(request.idempotency_key)]})

    async def HandleEvent(
        self, request: pb.HandleEventRequest, context: Any
    ) -> pb.HandleEventResponse:
        if request.task_id.isupper():
            self.calls.append(request)
            code = grpc.StatusCode[request.task_id]
            await context.abort(code, "said by the handler", context.trailing_metadata())
        return await self.answer(request)

    async def HandleEvents(
        self, requests: AsyncIterator[pb.HandleEventsRequest], context: Any
    ) -> None:
        self.streams += 1
        running: dict[str, asyncio.Task[None]] = {}
        lock = asyncio.Lock()

        async def one(item: pb.HandleEventRequest) -> None:
            result = pb.HandleEventsResult(
                idempotency_key=item.idempotency_key, attempt=item.attempt
            )
            if item.task_id.isupper():
                self.calls.append(item)
                result.error.code = grpc.StatusCode[item.task_id].value[0]
                result.error.message = "said by the handler"
            elif item.task_id == "nothing":
                pass
            else:
                result.response.CopyFrom(await self.answer(item))
            async with lock:
                await context.write(pb.HandleEventsResponse(results=[result]))

        async with asyncio.TaskGroup() as group:
            async for message in requests:
                self.messages.append(message)
                for item in message.items:
                    running[item.idempotency_key] = group.create_task(one(item))
                for cancel in message.cancels:
                    running[cancel.idempotency_key].cancel()


def pb_event(name: str) -> event_pb2.NewEvent:
    return event_pb2.NewEvent(event_type=name)


@asynccontextmanager
async def serving(
    handler: pb_grpc.TaskHandlerServiceServicer,
    *more: Any,
    port: int = 0,
    receives: int = 4 * 1024 * 1024,
    tls: ServerCredentials | Ended | None = None,
) -> AsyncIterator[int]:
    """Serves on loopback; gives the port."""
    server = grpc.aio.server(
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", receives)]
    )
    pb_grpc.add_TaskHandlerServiceServicer_to_server(handler, server)
    for add in more:
        add(server)
    if tls is None:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        port = server.add_secure_port(f"127.0.0.1:{port}", tls.of_grpc())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def task(task_id: str, *, batching: bool, event_types: tuple[str, ...] = ("#",)) -> TaskSpec:
    return TaskSpec(task_id, "claims", event_types, ("*",), batching=batching)


def registration(
    port: int, *tasks: TaskSpec, static: bool = False, host: str = "127.0.0.1"
) -> Registration:
    return Registration(
        handler_id=f"handler-{port}",
        service_name="claims",
        service_version="1",
        host=host,
        port=port,
        static=static,
        tasks=tasks,
    )


def request(task_id: str, key: str = "e1", attempt: int = 1) -> pb.HandleEventRequest:
    wanted = pb.HandleEventRequest(
        task_id=task_id, idempotency_key=f"{key}:{task_id}", attempt=attempt
    )
    wanted.event.event_type = "claim.filed"
    wanted.context.namespace = "default"
    wanted.context.workflow_type = "insurance_claim"
    return wanted


async def main() -> None:
    """A handler service of its own process: prints its port and serves until it is killed."""
    async with serving(Handler()) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
