"""What the engine says about itself in the end, through the public API only, into the run's folder."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from chaos.folder import Lines, RunFolder
from waystation.v1 import (
    dead_letter_pb2,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)
from waystation_worker.channels import open_channel

_PAGE = 1000
_AT_ONCE = 8
_CALL_SECONDS = 60.0
_PAUSE_SECONDS = 0.3


class Facts:
    """Reads an engine. `address` is that of an API; nothing is changed."""

    def __init__(self, address: str) -> None:
        self._channel = open_channel(address)
        self._workflows = workflow_service_pb2_grpc.WorkflowServiceStub(self._channel)
        self._letters = dead_letter_service_pb2_grpc.DeadLetterServiceStub(self._channel)
        self._system = system_service_pb2_grpc.SystemServiceStub(self._channel)
        self._registry = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(self._channel)

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def status(self) -> dict[str, Any]:
        """GetSystemStatus."""
        request = system_service_pb2.GetSystemStatusRequest()
        return plain(await self._ask(self._system.GetSystemStatus, request))

    async def write(self, folder: RunFolder) -> None:
        """Every instance with its history, events, dead letters and, where it is open, what it waits
        for; then the system's state and its handlers."""
        lines = Lines(folder.instances)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(instance: str, dead_letters: list[dict[str, Any]]) -> None:
            async with limit:
                lines.write(
                    instance=instance, **await self.instance(instance), dead_letters=dead_letters
                )

        dead_letters: dict[str, list[dict[str, Any]]] = {}
        request = dead_letter_service_pb2.ListDeadLettersRequest(page_size=_PAGE)
        request.filter.states.extend(
            (
                dead_letter_pb2.DEAD_LETTER_STATE_OPEN,
                dead_letter_pb2.DEAD_LETTER_STATE_RETRIED,
                dead_letter_pb2.DEAD_LETTER_STATE_DISCARDED,
            )
        )
        async for dead_letter in self._pages(
            self._letters.ListDeadLetters, request, "dead_letters"
        ):
            dead_letters.setdefault(dead_letter["workflow_instance_id"], []).append(dead_letter)
        listed = [
            workflow["workflow_instance_id"]
            async for workflow in self._pages(
                self._workflows.ListWorkflows,
                workflow_service_pb2.ListWorkflowsRequest(page_size=_PAGE),
                "workflows",
            )
        ]
        await asyncio.gather(*(one(each, dead_letters.pop(each, [])) for each in listed))
        lines.close()
        handlers = await self._ask(
            self._registry.ListHandlers,
            handler_registry_service_pb2.ListHandlersRequest(page_size=_PAGE, with_tasks=True),
        )
        facts = {
            "status": await self.status(),
            "handlers": plain(handlers).get("handlers", []),
            "listed": len(listed),
            "listed_twice": len(listed) - len(set(listed)),
            "dead_letters_of_no_instance": dead_letters,
        }
        folder.state.write_text(json.dumps(facts, indent=1))

    async def instance(self, instance: str) -> dict[str, Any]:
        """One instance: its context, its history, its events, and why it is open."""
        request = workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=instance)
        answer = await self._ask(self._workflows.GetWorkflow, request)
        context = plain(answer.context)
        history = workflow_service_pb2.ListHistoryRequest(
            workflow_instance_id=instance, page_size=_PAGE
        )
        # What was added since the context was read would not fit to it.
        history.filter.to_sequence = answer.context.version
        events = workflow_service_pb2.ListEventsRequest(
            workflow_instance_id=instance, page_size=_PAGE
        )
        facts = {
            "context": context,
            "history": [
                entry
                async for entry in self._pages(self._workflows.ListHistory, history, "entries")
            ],
            "events": [
                event async for event in self._pages(self._workflows.ListEvents, events, "events")
            ],
        }
        if not context.get("completed_at"):
            facts["explained"] = await self.explain(instance)
        return facts

    async def explain(self, instance: str) -> dict[str, Any]:
        """ExplainWorkflow."""
        request = workflow_service_pb2.ExplainWorkflowRequest(workflow_instance_id=instance)
        answer = plain(await self._ask(self._workflows.ExplainWorkflow, request))
        answer.pop("context", None)
        return answer

    async def _ask(self, method: Any, request: Any) -> Any:
        """The answer; asked again while the API cannot be reached, for a minute."""
        end = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                return await method(request, timeout=_CALL_SECONDS, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _pages(self, method: Any, request: Any, field: str) -> AsyncIterator[dict[str, Any]]:
        while True:
            answer = await self._ask(method, request)
            for item in getattr(answer, field):
                yield plain(item)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


def plain(message: Message) -> dict[str, Any]:
    """The message as JSON, by its field names."""
    fields: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return fields
