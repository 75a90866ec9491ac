"""SystemService: the state of the installation, and the flow of its events."""

from __future__ import annotations

from importlib.metadata import version
from typing import TypeAlias

import grpc

from waystation.v1 import system_pb2, system_service_pb2, system_service_pb2_grpc
from waystation_api.pages import Room
from waystation_api.requests import check_namespace
from waystation_api.system.certificates import Certificates
from waystation_api.system.flow import FlowReports
from waystation_conversion import set_duration, set_timestamp
from waystation_core.ports.broker import DEFAULT_POOL, Broker
from waystation_core.ports.store import QueryStore

_pb = system_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"

_MOST = 1_000
"""Routers, and queues, that are listed."""

_QUEUES_BYTES = 1024 * 1024

SERVER_VERSION = version("waystation-api")


class SystemService(system_service_pb2_grpc.SystemServiceServicer):
    """For operators."""

    def __init__(
        self,
        queries: QueryStore,
        flow_reports: FlowReports,
        broker: Broker,
        certificates: Certificates = lambda: (),
    ) -> None:
        self._certificates = certificates
        self._queries = queries
        self._flow_reports = flow_reports
        self._broker = broker

    async def GetSystemStatus(
        self, request: _pb.GetSystemStatusRequest, context: Context
    ) -> _pb.GetSystemStatusResponse:
        facts = await self._queries.system(check_namespace(request.namespace))
        broker = self._broker.status()
        response = _pb.GetSystemStatusResponse(
            server_version=SERVER_VERSION,
            outbox_size=facts.outbox_size,
            deliveries=facts.deliveries,
            oldest_unsettled_event_id=facts.oldest_unsettled_event_id or "",
            oldest_unsettled_workflow_instance_id=facts.oldest_unsettled_instance_id or "",
            dead_letters=facts.dead_letters,
            workflows_by_status={
                status.name: number for status, number in facts.workflows_by_status.items()
            },
            idle_workflows=facts.idle_workflows,
            workflows_estimated=facts.workflows_estimated,
            handlers=facts.handlers,
            unreachable_handlers=facts.unreachable_handlers,
            broker_connected=broker.connected,
            broker_blocked=broker.blocked,
            certificates=self._certificates(),
        )
        set_duration(response.oldest_unsettled_event_age, facts.oldest_unsettled_age)
        response.routers_left_out = max(len(facts.routers) - _MOST, 0)
        for router in facts.routers[:_MOST]:
            message = response.routers.add(
                router_id=router.router_id,
                pool=router.pool,
                host=router.host,
                calls_in_flight=router.calls_in_flight,
                results_committed=router.results_committed,
                events_announced=router.events_announced,
                events_continued=router.events_continued,
            )
            set_timestamp(message.started_at, router.started_at)
            set_duration(message.lease_remaining, router.lease_remaining)
        room = Room(_QUEUES_BYTES)
        for pool in facts.pools[:_MOST]:
            queue = system_pb2.QueueStatus(
                name=f"waystation.router.{pool.name}",
                pool=pool.name,
                bindings=pool.bindings,
                routers=pool.routers,
            )
            if not pool.routers:
                set_timestamp(queue.no_router_since, pool.seen_at)
                set_timestamp(queue.lapses_at, pool.lapses_at)
            # Asking would keep the queue of a pool without routers from expiring.
            has_depth = pool.routers or pool.name == DEFAULT_POOL
            if has_depth and (depth := await self._broker.depth(pool.name)) is not None:
                queue.messages_ready = depth
            if not room.takes(queue):
                break
            response.queues.append(queue)
        response.queues_left_out = len(facts.pools) - len(response.queues)
        return response

    async def GetFlow(self, request: _pb.GetFlowRequest, context: Context) -> _pb.GetFlowResponse:
        return await self._flow_reports.get(request)
