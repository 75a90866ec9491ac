"""Handlers on a port, and runs of theirs that a replay can be held against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import psycopg
from support.running_api import Api
from support.scripted_engine import task

from waystation.v1 import task_handler_service_pb2, task_handler_service_pb2_grpc
from waystation.v1.handler_pb2 import REGISTRATION_KIND_STATIC, TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerRequest
from waystation.v1.result_pb2 import TaskResult
from waystation.v1.workflow_service_pb2 import ReplayWorkflowRequest, ReplayWorkflowResponse
from waystation_conversion import context_to_proto, event_to_proto, reply_from_proto
from waystation_domain.model import idempotency_key

Request = task_handler_service_pb2.HandleEventRequest
Answer = task_handler_service_pb2.HandleEventResponse


def result(**said: Any) -> Answer:
    """The answer of a task that did its work."""
    return Answer(result=TaskResult(**said))


class Tasks(task_handler_service_pb2_grpc.TaskHandlerServiceServicer):
    """Answers by functions that a test exchanges; keeps what it was asked."""

    def __init__(self, **does: Callable[[Request], Answer]) -> None:
        self.does = does
        self.calls: list[Request] = []
        self.port = 0
        self.holding: set[str] = set()
        """Tasks that never answer."""

    async def HandleEvent(self, request: Request, context: Any) -> Answer:
        self.calls.append(request)
        if request.task_id in self.holding:
            await asyncio.Event().wait()
        if request.task_id not in self.does:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not hosted here")
        return self.does[request.task_id](request)


@asynccontextmanager
async def serving(tasks: Tasks) -> AsyncIterator[Tasks]:
    """Serves them on a free loopback port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    task_handler_service_pb2_grpc.add_TaskHandlerServiceServicer_to_server(tasks, server)
    tasks.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield tasks
    finally:
        await server.stop(None)


async def register(api: Api, tasks: Tasks, **different: Any) -> str:
    """Registers all of them as replayable; gives the handler's id."""
    fields = {"event_types": ["#"], "workflow_types": ["order"], "replayable": True, **different}
    response = await api.handlers.RegisterHandler(
        RegisterHandlerRequest(
            service_name="claims",
            service_version="2",
            host="127.0.0.1",
            port=tasks.port,
            kind=REGISTRATION_KIND_STATIC,
            tasks=[TaskSpec(task_id=task_id, **fields) for task_id in tasks.does],
        )
    )
    return str(response.handler.handler_id)


async def handle(
    api: Api, service: Tasks, workflow_instance_id: str, event_type: str, task_id: str, **more: Any
) -> None:
    """Commits what the task answers now, as a router would."""
    instance = (await api.store.queries.instances([workflow_instance_id]))[workflow_instance_id]
    event = await api.engine.pending(workflow_instance_id, event_type)
    request = Request(
        event=event_to_proto(event, workflow_instance_id),
        context=context_to_proto(instance),
        task_id=task_id,
        attempt=more.get("attempt", 1),
        idempotency_key=idempotency_key(event.event_id, task_id),
    )
    outcome = reply_from_proto(service.does[task_id](request))
    await api.engine.handle(workflow_instance_id, event_type, outcome, by=task(task_id), **more)


async def replay(api: Api, workflow_instance_id: str, **fields: Any) -> ReplayWorkflowResponse:
    request = ReplayWorkflowRequest(workflow_instance_id=workflow_instance_id, **fields)
    response: ReplayWorkflowResponse = await api.workflows.ReplayWorkflow(request, timeout=30)
    return response


def everything(database_url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as text."""
    with psycopg.connect(database_url) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT t::text FROM {name} t ORDER BY 1").fetchall()  # type: ignore[arg-type]
            for (name,) in names
        }
