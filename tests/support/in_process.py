"""An API and a router in the test's own loop, on a database and a broker of the test's choice."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from waystation_api.app import ApiServer, Store
from waystation_api.settings import ApiSettings
from waystation_core.broker import open_broker
from waystation_core.broker.in_process import Hub, InProcessBroker
from waystation_core.ports.broker import Broker
from waystation_core.rpc.settings import read_settings
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.audit import PostgresAuditStore
from waystation_core.store.connections import open_connections
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.namespaces import PostgresNamespaceStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_router.app import Router
from waystation_router.settings import RouterSettings
from waystation_worker import Client


@dataclass(frozen=True)
class InProcess:
    """What runs; `client` talks to its API."""

    api: ApiServer
    router: Router
    client: Client


@contextlib.asynccontextmanager
async def in_process(
    database_url: str, broker_url: str = "memory://", **settings: str
) -> AsyncIterator[InProcess]:
    """Runs both until the block ends; `settings` are those of either, without their prefix."""
    environment = {
        "WAYSTATION_DATABASE_URL": database_url,
        "WAYSTATION_BROKER_URL": broker_url,
        "WAYSTATION_API_PORT": "0",
        "WAYSTATION_STOP_GRACE_SECONDS": "1",
        **{f"WAYSTATION_{name.upper()}": value for name, value in settings.items()},
    }
    hub = Hub()
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        brokers: list[Broker] = []
        for role in ("api", "router"):
            connections = open_connections(database_url, size=8, name=f"test-{role}")
            await connections.open()
            stack.push_async_callback(connections.close)
            in_memory = broker_url == "memory://"
            broker = InProcessBroker(hub) if in_memory else open_broker(broker_url, role=role)
            stack.push_async_callback(broker.close)
            brokers.append(broker)
            stores.append(
                Store(
                    PostgresEngineStore(connections.hot),
                    PostgresRegistryStore(connections.hot),
                    PostgresQueryStore(connections),
                    PostgresAuditStore(connections),
                    PostgresTokenStore(connections.hot),
                    PostgresNamespaceStore(connections.hot),
                )
            )
        api = ApiServer(read_settings(ApiSettings, environment), stores[0], brokers[0])
        router = Router(
            read_settings(RouterSettings, environment),
            store=stores[1].engine,
            registry_store=stores[1].registry,
            broker=brokers[1],
        )
        await api.start()
        stack.push_async_callback(api.stop)
        await router.start()
        stack.push_async_callback(router.stop)
        stack.push_async_callback(api.stop)
        await api.serve()
        await api.ready.wait()
        yield InProcess(api, router, await stack.enter_async_context(Client(api.address)))
