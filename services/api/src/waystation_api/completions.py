"""TaskCompletionService: not built yet, and refused by name."""

from __future__ import annotations

from typing import TypeAlias

import grpc

from waystation.v1 import task_completion_service_pb2, task_completion_service_pb2_grpc
from waystation_core.domain.errors import NotYetAvailable

_pb = task_completion_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class TaskCompletionService(task_completion_service_pb2_grpc.TaskCompletionServiceServicer):
    """For whoever ends a pending delivery."""

    async def CompleteTask(
        self, request: _pb.CompleteTaskRequest, context: Context
    ) -> _pb.CompleteTaskResponse:
        raise NotYetAvailable("CompleteTask")

    async def FailTask(
        self, request: _pb.FailTaskRequest, context: Context
    ) -> _pb.FailTaskResponse:
        raise NotYetAvailable("FailTask")

    async def ExtendTask(
        self, request: _pb.ExtendTaskRequest, context: Context
    ) -> _pb.ExtendTaskResponse:
        raise NotYetAvailable("ExtendTask")
