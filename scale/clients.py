"""What the cases ask of the API, timed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc

from waystation.v1 import (
    dead_letter_service_pb2_grpc,
    handler_registry_service_pb2_grpc,
    system_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

T = TypeVar("T")

_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
ENDED = (3, 4, 5)


class Api:
    """The stubs over one connection of its own."""

    def __init__(self, channel: Any) -> None:
        self.workflows: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
        self.letters: Any = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
        self.handlers: Any = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
        self.system: Any = system_service_pb2_grpc.SystemServiceStub(channel)

    async def start(self, workflow_type: str, workflow_instance_id: str = "") -> str:
        """Starts a workflow; its id."""
        answer = await self.workflows.StartWorkflow(
            workflow_service_pb2.StartWorkflowRequest(
                workflow_type=workflow_type, workflow_instance_id=workflow_instance_id
            ),
            timeout=30,
        )
        return str(answer.context.workflow_instance_id)

    async def run(self, workflow_type: str, *, timeout: float = 60, namespace: str = "") -> float:
        """Starts a workflow and waits for its end; how long it took (s)."""
        began = time.monotonic()
        request = workflow_service_pb2.RunWorkflowRequest()
        request.start.namespace = namespace
        request.start.workflow_type = workflow_type
        while True:
            answer = await self.workflows.RunWorkflow(request, timeout=timeout)
            if answer.context.status in ENDED:
                return time.monotonic() - began
            request.start.workflow_instance_id = answer.context.workflow_instance_id


@asynccontextmanager
async def api(address: str) -> AsyncIterator[Api]:
    """A connection for one block."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        yield Api(channel)


async def timed(call: Awaitable[T]) -> tuple[T, float]:
    """What it answers, and how long that took (s)."""
    began = time.monotonic()
    answer = await call
    return answer, time.monotonic() - began


@asynccontextmanager
async def bystander(one: Api, workflow_instance_id: str) -> AsyncIterator[list[float]]:
    """Reads a workflow again and again while the block runs; how long each time took (s)."""
    took: list[float] = []
    request = workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=workflow_instance_id)

    async def look_on() -> None:
        while True:
            took.append((await timed(one.workflows.GetWorkflow(request, timeout=30)))[1])
            await asyncio.sleep(0.05)

    looking = asyncio.ensure_future(look_on())
    try:
        yield took
        if looking.done():
            await looking
    finally:
        looking.cancel()


async def all_pages(ask: Callable[[str], Awaitable[Any]]) -> tuple[list[Any], float, float]:
    """The answers of all pages of a list, the time for all of them and the longest (s)."""
    pages: list[Any] = []
    whole = longest = 0.0
    token = ""
    while not pages or token:
        page, took = await timed(ask(token))
        pages.append(page)
        whole, longest, token = whole + took, max(longest, took), page.next_page_token
    return pages, whole, longest


async def rate_of_normal_work(address: str, workflow_type: str, seconds: float) -> float:
    """Workflows of one task each that a closed loop of 64 starts and sees ended, a second."""
    ended = 0
    async with api(address) as one:

        async def loop(until: float) -> None:
            nonlocal ended
            while time.monotonic() < until:
                await one.run(workflow_type)
                ended += 1

        await one.run(workflow_type)
        await asyncio.gather(*(loop(time.monotonic() + seconds) for _ in range(64)))
    return ended / seconds
