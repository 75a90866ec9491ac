"""The load client, as a process of its own: a closed or an open loop of `run` calls.

`python -m bench.load` with a JSON object on the command line; prints one JSON object.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

import uvloop

from bench.loops import run_loop
from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from waystation_worker import Client
from waystation_worker.channels import CHANNEL_OPTIONS, open_channel
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
    # Clients of one process would share a connection; those of many processes, for which these stand, do not.
    CHANNEL_OPTIONS.append(("grpc.use_local_subchannel_pool", 1))
    kind = UnaryRuns if options.get("unary") else SdkRuns
    runs = kind(options["address"], options["workflow_type"], options["clients"])
    own = os.getpid()
    with_client = {"groups": {**options["groups"], "client": [own]}}
    if "sampled" in options:
        with_client["sampled"] = [*options["sampled"], own]
    print(json.dumps(await run_loop(runs.run_one, {**options, **with_client})))
    await runs.close()


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
