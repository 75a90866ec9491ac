"""An API server over real Postgres and the in-process broker, called through a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import pytest
from support.databases import as_app
from support.running_api import Api
from support.scripted_engine import ScriptedEngine
from support.scripted_store import Script

from waystation.v1 import (
    audit_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    delivery_completion_service_pb2_grpc,
    handler_registry_service_pb2_grpc,
    namespace_service_pb2_grpc,
    system_service_pb2_grpc,
    token_service_pb2_grpc,
    workflow_service_pb2_grpc,
)
from waystation_api.app import ApiServer, Store
from waystation_api.settings import ApiSettings
from waystation_core.broker import open_broker
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.settings import read_settings
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.audit import PostgresAuditStore
from waystation_core.store.connections import open_connections
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.namespaces import PostgresNamespaceStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore

Serve = Callable[..., Any]


@pytest.fixture
async def serve(database_url: str) -> AsyncIterator[Serve]:
    """Starts a server, with settings of the test's own."""
    closers: list[Callable[[], Any]] = []

    async def start(
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (), **settings: str
    ) -> Api:
        url = settings.get("WAYSTATION_DATABASE_URL", as_app(database_url))
        connections = open_connections(url, size=8, name="test")
        await connections.open()
        closers.append(connections.close)
        broker = open_broker("memory://", role="api")
        closers.append(broker.close)
        environment = {
            "WAYSTATION_DATABASE_URL": url,
            "WAYSTATION_BROKER_URL": "memory://",
            "WAYSTATION_API_PORT": "0",
            "WAYSTATION_STOP_GRACE_SECONDS": "1",
            **settings,
        }
        script = Script()
        store = Store(
            script.wrap(PostgresEngineStore(connections.hot)),
            script.wrap(PostgresRegistryStore(connections.hot)),
            script.wrap(PostgresQueryStore(connections)),
            script.wrap(PostgresAuditStore(connections)),
            script.wrap(PostgresTokenStore(connections.hot)),
            script.wrap(PostgresNamespaceStore(connections.hot)),
        )
        server = ApiServer(read_settings(ApiSettings, environment), store, broker, interceptors)
        await server.start()
        closers.append(server.stop)
        await server.serve()
        await server.ready.wait()
        channel = open_channel(server.address)
        closers.append(channel.close)
        return Api(
            server=server,
            store=store,
            script=script,
            engine=ScriptedEngine(store.engine, store.queries, broker),
            channel=channel,
            workflows=workflow_service_pb2_grpc.WorkflowServiceStub(channel),
            handlers=handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel),
            dead_letters=dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel),
            completions=delivery_completion_service_pb2_grpc.DeliveryCompletionServiceStub(channel),
            system=system_service_pb2_grpc.SystemServiceStub(channel),
            audit=audit_service_pb2_grpc.AuditServiceStub(channel),
            tokens=token_service_pb2_grpc.TokenServiceStub(channel),
            namespaces=namespace_service_pb2_grpc.NamespaceServiceStub(channel),
            pool=connections.hot,
        )

    yield start
    for close in reversed(closers):
        await close()


@pytest.fixture
async def api(serve: Serve) -> Api:
    started: Api = await serve()
    return started
