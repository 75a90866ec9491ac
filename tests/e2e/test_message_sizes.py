"""A client and a handler with gRPC's own defaults get the largest messages that there can be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.largest import worst
from support.system import Embedded
from support.waiting import eventually

from waystation.v1 import (
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    task_handler_service_pb2_grpc,
)
from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import workflow_service_pb2 as workflows_pb
from waystation.v1.handler_pb2 import ON_FAILURE_CONTINUE, REGISTRATION_KIND_STATIC, TaskSpec
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.result_pb2 import TaskFailure, TaskResult
from waystation.v1.wait_pb2 import WaitRequest
from waystation.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from waystation_domain import limits

NAME = "w-1"
DEFAULT_LIMIT = 4 * 1024 * 1024


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with Embedded(tmp_path) as system:
        yield system.address


class Handler(task_handler_service_pb2_grpc.TaskHandlerServiceServicer):
    """A handler service without SDK."""

    def __init__(self) -> None:
        self.requests: dict[str, pb.HandleEventRequest] = {}

    async def HandleEvent(
        self, request: pb.HandleEventRequest, context: Any
    ) -> pb.HandleEventResponse:
        self.requests[request.task_id] = request
        answer: Callable[[], pb.HandleEventResponse] = getattr(self, request.task_id)
        return answer()

    def ask(self) -> pb.HandleEventResponse:
        """As many questions as may be open, as large as they may be together."""
        result = TaskResult()
        for at in range(limits.MAX_OPEN_WAITS):
            wait = WaitRequest(wait_id=f"{at:0200}", message="m" * limits.MAX_TEXT_BYTES)
            wait.input_schema.update(worst(5_800, 100))
            result.waits.append(wait)
        return pb.HandleEventResponse(result=result)

    def fill(self) -> pb.HandleEventResponse:
        result = TaskResult()
        result.operations.items.add(path="/fill").set.string_value = "f" * 200_000
        return pb.HandleEventResponse(result=result)

    def bear(self) -> pb.HandleEventResponse:
        failure = TaskFailure(reason="TOO_MUCH", message="m" * 4_096, permanent=True)
        failure.metadata.update(worst(limits.MAX_DETAILS_BYTES))
        return pb.HandleEventResponse(failure=failure)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    server = grpc.aio.server()
    task_handler_service_pb2_grpc.add_TaskHandlerServiceServicer_to_server(handler, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(1)


def spec(task_id: str, event_type: str, entries: int = 0) -> TaskSpec:
    return TaskSpec(
        task_id=task_id,
        event_types=[event_type],
        workflow_types=["large"],
        on_failure=ON_FAILURE_CONTINUE,
        history_entries=entries,
    )


async def test_whoever_receives_by_default_receives_the_largest(address: str) -> None:
    handler = Handler()
    async with serving(handler) as port, grpc.aio.insecure_channel(address) as channel:
        workflows: Any = WorkflowServiceStub(channel)
        letters: Any = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
        registry: Any = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
        await registry.RegisterHandler(
            handler_registry_service_pb2.RegisterHandlerRequest(
                service_name="plain",
                host="127.0.0.1",
                port=port,
                kind=REGISTRATION_KIND_STATIC,
                tasks=[
                    spec("ask", "workflow.started"),
                    spec("fill", "fill"),
                    spec("bear", "large", 1_000),
                ],
            )
        )
        start = workflows_pb.StartWorkflowRequest(workflow_type="large", workflow_instance_id=NAME)
        start.data.update({**worst(limits.MAX_BYTES - 200_100, 9_000), "fill": "x" * 200_000})
        start.payload.SetInParent()
        await workflows.StartWorkflow(start)
        await entries(workflows, 3)
        publish = workflows_pb.PublishEventRequest(workflow_instance_id=NAME)
        publish.event.event_type = "fill"
        for more in range(5):
            await workflows.PublishEvent(publish)
            await entries(workflows, 5 + 2 * more)
        publish.event.event_type = "large"
        publish.event.payload.update(worst())
        await workflows.PublishEvent(publish)
        history = await entries(workflows, 15)

        asked = handler.requests["bear"]
        assert 3_900_000 < asked.ByteSize() <= DEFAULT_LIMIT
        assert len(asked.context.waits) == limits.MAX_OPEN_WAITS
        sent = [entry.sequence for entry in asked.history]
        assert sent == list(range(asked.history_left_out + 1, asked.context.version + 1))
        # The first ones are too large for what room there is.
        assert asked.history_left_out >= 2
        assert list(asked.history) == history[asked.history_left_out : asked.context.version]

        got = await workflows.GetWorkflow(
            workflows_pb.GetWorkflowRequest(workflow_instance_id=NAME)
        )
        assert 2_200_000 < got.ByteSize() <= DEFAULT_LIMIT
        (letter,) = (
            await letters.ListDeadLetters(dead_letter_service_pb2.ListDeadLettersRequest())
        ).dead_letters
        del handler.requests["bear"]
        retried = await letters.RetryDeadLetter(
            dead_letter_service_pb2.RetryDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
        )
        assert 3_500_000 < retried.ByteSize() <= DEFAULT_LIMIT
        # Called again, and as the history is longer by then with less of it.
        await entries(workflows, 17)
        assert 3_900_000 < handler.requests["bear"].ByteSize() <= DEFAULT_LIMIT
        watch = workflows.WatchWorkflow(
            workflows_pb.WatchWorkflowRequest(workflow_instance_id=NAME)
        )
        watched = [(await watch.read()).history_entry.sequence for _ in range(17)]
        assert watched == list(range(1, 18))
        watch.cancel()


async def entries(workflows: Any, number: int) -> list[HistoryEntry]:
    """The history, once it has so many entries."""

    async def listed() -> list[HistoryEntry]:
        request = workflows_pb.ListHistoryRequest(workflow_instance_id=NAME, page_size=1000)
        found: list[HistoryEntry] = []
        while True:
            page = await workflows.ListHistory(request)
            found += page.entries
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    return await eventually(
        listed, until=lambda found: len(found) >= number, what=f"{number} entries"
    )
