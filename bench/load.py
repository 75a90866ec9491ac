"""The load client: a closed loop of `run` calls, as a process of its own.

`python -m bench.load` with a JSON object on the command line; prints one JSON object.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

import uvloop

from bench.closed_loop import ClosedLoop
from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from waystation_worker import Client
from waystation_worker.channels import open_channel
from waystation_worker.values import write_struct

RUN_SECONDS = 60.0


class SdkRuns:
    """By the SDK's client: over a stream, shared by the callers of one client."""

    def __init__(self, address: str, workflow_type: str, clients: int) -> None:
        self._clients = [Client(address) for _ in range(clients)]
        self._workflow_type = workflow_type

    async def run_one(self, at: int, data: dict[str, Any]) -> None:
        client = self._clients[at % len(self._clients)]
        workflow = await client.run(self._workflow_type, data, timeout=RUN_SECONDS)
        if workflow.status != "COMPLETED":
            raise RuntimeError(f"{workflow.id} is {workflow.status}: {workflow.failure}")

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))


class UnaryRuns:
    """By a call of its own for each workflow, as programs without the SDK make them."""

    def __init__(self, address: str, workflow_type: str, clients: int) -> None:
        self._channels = [open_channel(address) for _ in range(clients)]
        self._stubs = [WorkflowServiceStub(channel) for channel in self._channels]
        self._workflow_type = workflow_type

    async def run_one(self, at: int, data: dict[str, Any]) -> None:
        request = pb.RunWorkflowRequest(timeout=timedelta(seconds=RUN_SECONDS))
        request.start.workflow_type = self._workflow_type
        write_struct(data, request.start.data, "data")
        response = await self._stubs[at % len(self._stubs)].RunWorkflow(
            request, timeout=RUN_SECONDS
        )
        if response.outcome != workflow_pb2.WAIT_OUTCOME_DONE or response.context.HasField(
            "failure"
        ):
            raise RuntimeError(f"{response.context.workflow_instance_id} did not complete")

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))


async def _main(options: dict[str, Any]) -> None:
    kind = UnaryRuns if options.get("unary") else SdkRuns
    clients = min(options["clients"], options["concurrency"])
    runs = kind(options["address"], options["workflow_type"], clients)
    groups = {**options["groups"], "client": os.getpid()}
    loop = ClosedLoop(runs.run_one, options["concurrency"])
    print(json.dumps(await loop.run(options["warm_up"], options["seconds"], groups)))
    await runs.close()


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
