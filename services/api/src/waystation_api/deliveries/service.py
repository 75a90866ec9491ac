"""DeliveryCompletionService, for handlers and any other process that has a completion token."""

from __future__ import annotations

from typing import TypeAlias

import grpc

from waystation.v1 import delivery_completion_service_pb2, delivery_completion_service_pb2_grpc
from waystation_api.deliveries.completions import Completions
from waystation_api.workflows.changes import Change
from waystation_conversion import (
    failure_from_proto,
    result_from_proto,
    seconds_from_proto,
    set_timestamp,
)
from waystation_domain.errors import InvalidField
from waystation_domain.limits import MAX_PENDING_SECONDS

_pb = delivery_completion_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class DeliveryCompletionService(
    delivery_completion_service_pb2_grpc.DeliveryCompletionServiceServicer
):
    """The gRPC methods."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def CompleteDelivery(
        self, request: _pb.CompleteDeliveryRequest, context: Context
    ) -> _pb.CompleteDeliveryResponse:
        if not request.HasField("result"):
            raise InvalidField("result is missing; send the task's result.", field="result")
        reply = result_from_proto(request.result)
        await self._completions.end(
            Change.of("CompleteDelivery", request), request.completion_token, reply
        )
        return _pb.CompleteDeliveryResponse()

    async def FailDelivery(
        self, request: _pb.FailDeliveryRequest, context: Context
    ) -> _pb.FailDeliveryResponse:
        if not request.HasField("failure"):
            raise InvalidField(
                "failure is missing; send the reason of the failure.", field="failure"
            )
        error = failure_from_proto(request.failure)
        await self._completions.end(
            Change.of("FailDelivery", request), request.completion_token, error
        )
        return _pb.FailDeliveryResponse()

    async def ExtendDelivery(
        self, request: _pb.ExtendDeliveryRequest, context: Context
    ) -> _pb.ExtendDeliveryResponse:
        if not request.HasField("extension"):
            raise InvalidField(
                "extension is missing; send the extension from now.", field="extension"
            )
        seconds = seconds_from_proto(
            request.extension, "extension", most=MAX_PENDING_SECONDS, has_default=False
        )
        response = _pb.ExtendDeliveryResponse()
        deadline = await self._completions.extend(
            Change.of("ExtendDelivery", request), request.completion_token, seconds
        )
        set_timestamp(response.deadline, deadline)
        return response
