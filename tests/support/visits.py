"""A client and a registry that ask an API for everything that changes something, in an order of their own,
and ask another API for the same again when it dies on the way."""

import asyncio
from typing import Any

import grpc

from localservers.processes import ChildProcess, ProcessFailed
from support.deaths import ENDS_WITHIN, TOKENS, Scene, unreachable
from support.system import wait_serving
from support.waiting import eventually
from waystation.v1 import (
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

STAYS = ("catch_ups_due.after", "caught_up.before", "caught_up.after")
"""Points that are reached a while after a registration."""


class Visit:
    """What one visitor asks for: the names are its own, the request ids the same each time."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.name = point.replace(".", "-").replace("_", "-")
        self.instance = f"tokens-{self.name}"
        self.visited = f"visited-{self.name}"

    async def act(self, scene: Scene, process: ChildProcess, address: str) -> None:
        """Asks the server that is to die, as far as it lives."""
        try:
            await asyncio.to_thread(wait_serving, process, address)
        except ProcessFailed:
            return
        await unreachable(self.ask(address))

    async def again(self, scene: Scene) -> str:
        """Asks another server for all of it, what was done already included; says what is wrong with
        what there is then."""
        try:
            return await self._again(scene)
        except (AssertionError, grpc.aio.AioRpcError) as wrong:
            return str(wrong)

    async def _again(self, scene: Scene) -> str:
        await self.ask(scene.parts.address)
        async with scene.parts.client() as client:
            if (started := await self._started(scene.parts.address)) != 1:
                return f"one start made {started} instances"
            # Its end would end what was published too; an answer may be quicker than that.
            await eventually(
                lambda: client.get(self.instance),
                until=lambda found: "extra" in found.data.get("tokens", ()),
                timeout=ENDS_WITHIN,
                what="what was published to be handled",
            )
            return await scene.lead_to_its_end(client, self.instance, [*TOKENS, "extra"])

    async def ask(self, address: str) -> None:
        """Asks for everything once."""
        async with grpc.aio.insecure_channel(address) as channel:
            workflows: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
            registry: Any = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
            letters: Any = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
            # The server chooses its id.
            visited = await self._start(workflows, "", self.visited)
            wait = workflow_service_pb2.WaitWorkflowRequest(workflow_instance_id=visited)
            wait.timeout.FromSeconds(2)
            await workflows.WaitWorkflow(wait, timeout=10)
            handler_id = await self._register(registry)
            await self._renew(registry, handler_id)
            await registry.ListHandlers(
                handler_registry_service_pb2.ListHandlersRequest(), timeout=10
            )
            await self._start(workflows, self.instance, "tokens")
            publish = workflow_service_pb2.PublishEventRequest(
                workflow_instance_id=self.instance, request_id=f"publish-{self.name}"
            )
            publish.event.event_type = "tokens.extra"
            await workflows.PublishEvent(publish, timeout=10)
            retry = dead_letter_service_pb2.RetryDeadLettersRequest(request_id=f"retry-{self.name}")
            retry.filter.workflow_instance_ids.append(self.instance)
            await letters.RetryDeadLetters(retry, timeout=10)
            if self.point in STAYS:
                return
            retire = handler_registry_service_pb2.RetireTaskRequest(task_id=f"visit-{self.name}")
            retire.dry_run = True
            await registry.RetireTask(retire, timeout=10)
            retire.dry_run = False
            retire.request_id = f"retire-{self.name}"
            await registry.RetireTask(retire, timeout=10)
            await registry.UnregisterHandler(
                handler_registry_service_pb2.UnregisterHandlerRequest(
                    handler_id=handler_id, request_id=f"unregister-{self.name}"
                ),
                timeout=10,
            )

    async def _started(self, address: str) -> int:
        async with grpc.aio.insecure_channel(address) as channel:
            workflows: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
            request = workflow_service_pb2.ListWorkflowsRequest()
            request.filter.workflow_types.append(self.visited)
            return len((await workflows.ListWorkflows(request, timeout=10)).workflows)

    async def _renew(self, registry: Any, handler_id: str) -> None:
        request = handler_registry_service_pb2.RenewHandlerRequest(handler_id=handler_id)
        try:
            await registry.RenewHandler(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            # The server that died came as far as taking the registration away.
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise

    async def _start(self, workflows: Any, workflow_instance_id: str, workflow_type: str) -> str:
        request = workflow_service_pb2.StartWorkflowRequest(
            workflow_type=workflow_type,
            workflow_instance_id=workflow_instance_id,
            request_id=f"start-{workflow_type}-{self.name}",
        )
        answer = await workflows.StartWorkflow(request, timeout=10)
        return str(answer.context.workflow_instance_id)

    async def _register(self, registry: Any) -> str:
        request = handler_registry_service_pb2.RegisterHandlerRequest(
            service_name=f"visitor-{self.name}",
            host="127.0.0.1",
            port=9,
            request_id=f"register-{self.name}",
        )
        request.lease.FromSeconds(3600)
        request.tasks.add(
            task_id=f"visit-{self.name}",
            event_types=["workflow.started"],
            workflow_types=[self.visited],
        )
        return str((await registry.RegisterHandler(request, timeout=10)).handler.handler_id)
