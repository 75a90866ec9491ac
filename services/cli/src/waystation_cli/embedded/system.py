"""API and router in one process: the composition root of `waystation dev`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
import uvloop
from rich.console import Console

from waystation_api.app import ApiServer, Store
from waystation_api.settings import ApiSettings
from waystation_cli.embedded.dev_log import DevLog
from waystation_cli.embedded.postgres import EmbeddedPostgres
from waystation_core.broker.in_process import Hub, InProcessBroker
from waystation_core.failpoints import Failpoints
from waystation_core.metrics.meters import Meters
from waystation_core.metrics.port import serve_metrics
from waystation_core.metrics.servers import read_pools
from waystation_core.ports.broker import DEFAULT_POOL
from waystation_core.rpc import logs, process
from waystation_core.rpc.settings import BadSettings, Settings, read_settings
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.audit import PostgresAuditStore
from waystation_core.store.connections import open_connections, open_pool
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.migration import migrate
from waystation_core.store.namespaces import PostgresNamespaceStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_core.tracing.exporter import TraceExport
from waystation_router.app import Router
from waystation_router.attempt_spans import AttemptSpans, attempt_spans
from waystation_router.settings import RouterSettings

log = structlog.get_logger(__name__)

SettingsType = TypeVar("SettingsType", bound=Settings)

_LOOK_AT_POSTGRES_SECONDS = 0.5


class PostgresEnded(Exception):
    """The embedded Postgres ended though nobody asked it to; the message says where to look."""


def run_system(
    environment: Mapping[str, str], postgres: EmbeddedPostgres, on_ready: Callable[[str], None]
) -> None:
    """Runs the engine until SIGTERM or SIGINT, then lets calls in flight finish. A second signal
    ends the process at once.

    `environment` holds `WAYSTATION_*` settings; where the database and the broker are is not read
    from it. `on_ready` gets the API's address. Raises BadSettings, PortTaken, PostgresEnded, Died.
    """
    own = {
        **environment,
        "WAYSTATION_DATABASE_URL": postgres.url,
        "WAYSTATION_BROKER_URL": "memory://",
    }
    faults: list[str] = []
    api_settings = _read(ApiSettings, own, faults)
    # The router in here listens nowhere.
    router_settings = _read(RouterSettings, {**own, "WAYSTATION_ROUTER_HOST": "127.0.0.1"}, faults)
    if own.get("WAYSTATION_ROUTER_POOL", DEFAULT_POOL) != DEFAULT_POOL:
        # Its one router must take every event.
        faults.append(
            "WAYSTATION_ROUTER_POOL: `waystation dev` has only the pool `default`. Unset it and "
            "WAYSTATION_ROUTER_BINDINGS."
        )
    traces = None
    try:
        traces = TraceExport.of(environment, "waystation-dev")
    except BadSettings as error:
        faults.extend(error.faults)
    if faults or api_settings is None or router_settings is None:
        # Both read some of the same; each fault is told once.
        raise BadSettings(list(dict.fromkeys(faults)))
    observer = _configured_log(api_settings)
    failpoints = Failpoints.of(environment)
    uvloop.run(
        process.until_death(
            _serve(api_settings, router_settings, postgres, on_ready, failpoints, observer, traces)
        )
    )


def _configured_log(settings: Settings) -> DevLog | None:
    """Sets up the log, and returns who tells people what happens: nobody where machines read it, or where only
    warnings are asked for."""
    if settings.log_format == "json":
        logs.configure(settings.log_format, settings.log_level, process="dev")
        return None
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    told = DevLog(console, all_of_engine=settings.log_level == "debug")
    logs.configure("console", settings.log_level, rendering=told.line_of_engine)
    return told if settings.log_level in ("debug", "info") else None


def _read(
    kind: type[SettingsType], environment: Mapping[str, str], faults: list[str]
) -> SettingsType | None:
    try:
        return read_settings(kind, environment)
    except BadSettings as error:
        faults.extend(error.faults)
        return None


async def _serve(
    api_settings: ApiSettings,
    router_settings: RouterSettings,
    postgres: EmbeddedPostgres,
    on_ready: Callable[[str], None],
    failpoints: Failpoints,
    observer: DevLog | None,
    traces: TraceExport | None,
) -> None:
    stopping = process.stop_signals(api_settings.stop_grace_seconds)
    migrated = await migrate(postgres.url)
    if migrated.before != migrated.after:
        log.info("schema_migrated", version=migrated.after)
    async with contextlib.AsyncExitStack() as stack:
        # A pool and a broker each, as two processes would have: neither starves the other.
        hub = Hub()
        meters = Meters()
        if traces is not None:
            stack.callback(traces.close)
        stack.callback(serve_metrics(api_settings, meters))
        router = await _router(
            stack,
            router_settings,
            postgres.url,
            hub,
            failpoints,
            observer,
            meters,
            attempt_spans(traces),
        )
        api = await _api(stack, api_settings, postgres.url, hub, failpoints, observer, meters)
        await api.start()
        stack.push_async_callback(api.stop)
        await router.start()
        stack.push_async_callback(router.stop)
        # Once more, as it is to stop first: what it has answered, the router still handles.
        stack.push_async_callback(api.stop)
        await api.serve()
        await api.ready.wait()
        process.spare_collections()
        on_ready(api.address)
        await _until_stopped(stopping, postgres)


async def _router(
    stack: contextlib.AsyncExitStack,
    settings: RouterSettings,
    url: str,
    hub: Hub,
    failpoints: Failpoints,
    observer: DevLog | None,
    meters: Meters,
    spans: AttemptSpans,
) -> Router:
    pool = open_pool(url, size=settings.router_database_connections, name="waystation-router")
    await pool.open()
    read_pools(meters, [pool])
    stack.push_async_callback(pool.close)
    broker = failpoints.broker(InProcessBroker(hub))
    stack.push_async_callback(broker.close)
    return Router(
        settings,
        store=failpoints.engine_store(PostgresEngineStore(pool)),
        registry_store=failpoints.registry_store(PostgresRegistryStore(pool)),
        broker=broker,
        failpoints=failpoints.plan,
        observer=observer,
        meters=meters,
        spans=spans,
    )


async def _api(
    stack: contextlib.AsyncExitStack,
    settings: ApiSettings,
    url: str,
    hub: Hub,
    failpoints: Failpoints,
    observer: DevLog | None,
    meters: Meters,
) -> ApiServer:
    connections = open_connections(
        url, size=settings.api_database_connections, name="waystation-api"
    )
    await connections.open()
    read_pools(meters, [connections.hot, connections.questions])
    stack.push_async_callback(connections.close)
    broker = failpoints.broker(InProcessBroker(hub))
    stack.push_async_callback(broker.close)
    store = Store(
        failpoints.engine_store(PostgresEngineStore(connections.hot)),
        failpoints.registry_store(PostgresRegistryStore(connections.hot)),
        PostgresQueryStore(connections),
        PostgresAuditStore(connections),
        PostgresTokenStore(connections.hot),
        PostgresNamespaceStore(connections.hot),
    )
    return ApiServer(settings, store, broker, failpoints.interceptors(), observer, meters)


async def _until_stopped(stopping: asyncio.Event, postgres: EmbeddedPostgres) -> None:
    while not stopping.is_set():
        if not postgres.running:
            raise PostgresEnded(
                f"The embedded Postgres ended; see {postgres.log}. No confirmed call is "
                "lost: start `waystation dev` again."
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AT_POSTGRES_SECONDS):
                await stopping.wait()
