"""`waystation-api`: the API server as a process of its own."""

from __future__ import annotations

import contextlib
import os
from functools import partial

from waystation_api.app import ApiServer, Store
from waystation_api.settings import ApiSettings
from waystation_core.broker import open_broker
from waystation_core.failpoints import Failpoints
from waystation_core.metrics.port import serve_metrics
from waystation_core.metrics.servers import read_pools
from waystation_core.needed_servers import faults_of_needed_servers
from waystation_core.rpc import process
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.audit import PostgresAuditStore
from waystation_core.store.connections import open_connections
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.fitness import UnfitDatabase
from waystation_core.store.namespaces import PostgresNamespaceStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.readiness import wait_for_store
from waystation_core.store.registry import PostgresRegistryStore
from waystation_core.store.schema import WrongSchema

_parts = partial(faults_of_needed_servers, role="api")


def main() -> int:
    """Runs until SIGTERM or SIGINT. Exit code 0 after that, 78 for bad settings, 1 otherwise."""
    return process.run(
        "waystation-api",
        ApiSettings,
        _serve,
        parts=_parts,
        refusals=(WrongSchema,),
        faults=(UnfitDatabase,),
    )


async def _serve(settings: ApiSettings) -> None:
    stopping = process.stop_signals(settings.stop_grace_seconds)
    url = settings.database_url.get_secret_value()
    connections = open_connections(
        url, size=settings.api_database_connections, name="waystation-api"
    )
    failpoints = Failpoints.of(os.environ)
    broker = failpoints.broker(
        open_broker(settings.broker_url.get_secret_value(), role="api", ca=settings.broker_ca)
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(connections.close)
        stack.push_async_callback(broker.close)
        store = Store(
            failpoints.engine_store(PostgresEngineStore(connections.hot)),
            failpoints.registry_store(PostgresRegistryStore(connections.hot)),
            PostgresQueryStore(connections),
            PostgresAuditStore(connections),
            PostgresTokenStore(connections.hot),
            PostgresNamespaceStore(connections.hot),
        )
        server = ApiServer(settings, store, broker, failpoints.interceptors())
        read_pools(server.meters, [connections.hot, connections.questions])
        stack.callback(serve_metrics(settings, server.meters))
        await server.start()
        stack.push_async_callback(server.stop)
        await process.require_fit(_parts(dict(settings)), stopping)
        if await wait_for_store(
            url,
            stopping,
            connections=settings.api_database_connections,
            lasting=not settings.unsafe_database,
        ):
            await connections.open()
            await server.serve()
            process.spare_collections()
            await stopping.wait()
