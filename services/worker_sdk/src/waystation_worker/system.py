"""The state of a whole installation, as a client sees it."""

from __future__ import annotations

from datetime import datetime

from waystation.v1 import system_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of
from waystation_worker.times import moment

_FLOW_SECONDS = 30.0
"""The server takes up to 8 s for its sample."""


class System:
    """`client.system`: what is running, and how events flow."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def status(self) -> pb.GetSystemStatusResponse:
        """Routers, queues, handlers, and how much is open: the message of the contract."""
        request = message_of(pb.GetSystemStatusRequest, namespace=self._connection.namespace)
        response: pb.GetSystemStatusResponse = await self._connection.call(
            self._connection.system.GetSystemStatus, request
        )
        return response

    async def flow(
        self,
        workflow_type: str = "",
        *,
        created_after: datetime | None = None,
        max_instances: int = 0,
    ) -> pb.GetFlowResponse:
        """How events flow through tasks, as declared and as seen, with what is wrong (`findings`):
        the message of the contract. It samples the newest `max_instances` (0: 1,000) instances
        that were started after `created_after` (None: 24 hours ago)."""
        request = message_of(
            pb.GetFlowRequest,
            namespace=self._connection.namespace,
            workflow_type=workflow_type,
            max_instances=max_instances,
        )
        if created_after is not None:
            request.created_after.FromDatetime(moment(created_after, "created_after"))
        response: pb.GetFlowResponse = await self._connection.call(
            self._connection.system.GetFlow, request, _FLOW_SECONDS
        )
        return response
