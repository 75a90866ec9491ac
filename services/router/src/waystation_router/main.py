"""`waystation-router`: the process around one router.

Starts in any order with Postgres, RabbitMQ and the schema, saying what it waits for (NOT_SERVING
meanwhile). Exit 0 after SIGTERM, 78 for bad settings, which a pool that can't be joined is too, 1 else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from functools import partial

import structlog

from waystation_core.broker import open_broker
from waystation_core.failpoints import Failpoints
from waystation_core.identity.configured_access import access_of
from waystation_core.metrics.port import serve_metrics
from waystation_core.metrics.servers import read_certificates, read_pools
from waystation_core.needed_servers import faults_of_needed_servers
from waystation_core.rpc import process
from waystation_core.rpc.server import RpcServer
from waystation_core.rpc.settings import BadSettings, variable
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.connections import open_pool
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.fitness import UnfitDatabase
from waystation_core.store.readiness import wait_for_store
from waystation_core.store.registry import PostgresRegistryStore
from waystation_core.store.schema import WrongSchema
from waystation_core.tracing.exporter import TraceExport
from waystation_domain.pools import PoolRefused
from waystation_router.app import Router
from waystation_router.attempt_spans import attempt_spans
from waystation_router.settings import RouterSettings

log = structlog.get_logger(__name__)

READY_EVERY_SECONDS = 0.5

_parts = partial(faults_of_needed_servers, role="router")


async def serve(settings: RouterSettings) -> None:
    """Runs a router until `stopping` is set. Raises BadSettings for unusable settings, and for a pool that it
    cannot join."""
    try:
        await _serve(settings)
    except PoolRefused as refused:
        raise BadSettings([str(refused)]) from None


async def _serve(settings: RouterSettings) -> None:
    stopping = process.stop_signals(settings.stop_grace_seconds)
    traces = TraceExport.of(os.environ, "waystation-router")
    url = settings.database_url.get_secret_value()
    pool = open_pool(url, size=settings.router_database_connections, name="waystation-router")
    server = RpcServer(
        [],
        host=settings.router_host,
        port=settings.router_port,
        insecure=settings.insecure,
        tls=settings.server_tls,
        callers_known=settings.callers_known,
        access=access_of(settings, PostgresTokenStore(pool)),
        host_setting="WAYSTATION_ROUTER_HOST",
        port_setting="WAYSTATION_ROUTER_PORT",
    )
    await server.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 1.0)
        if traces is not None:
            stack.callback(traces.close)
        log.info("listening", address=server.address)
        await process.require_fit(_parts(dict(settings)), stopping)
        if not await wait_for_store(
            url,
            stopping,
            connections=settings.router_database_connections,
            lasting=not settings.unsafe_database,
        ):
            return
        await pool.open()
        stack.push_async_callback(pool.close)
        failpoints = Failpoints.of(os.environ)
        broker = failpoints.broker(
            open_broker(
                settings.broker_url.get_secret_value(), role="router", ca=settings.broker_ca
            )
        )
        stack.push_async_callback(broker.close)
        router = Router(
            settings,
            store=failpoints.engine_store(PostgresEngineStore(pool)),
            registry_store=failpoints.registry_store(PostgresRegistryStore(pool)),
            broker=broker,
            failpoints=failpoints.plan,
            spans=attempt_spans(traces),
        )
        read_pools(router.meters, [pool])
        read_certificates(router.meters, server.credentials)
        stack.callback(serve_metrics(settings, router.meters))
        await router.start()
        stack.push_async_callback(router.stop)
        stack.push_async_callback(server.set_serving, False)
        process.spare_collections()
        await _report_health(server, router, stopping)


async def _report_health(server: RpcServer, router: Router, stopping: asyncio.Event) -> None:
    """Keeps the health service up to date until the router stops. Raises PoolRefused."""
    serving = False
    while not stopping.is_set():
        if router.refused is not None:
            raise router.refused
        if router.ready != serving:
            serving = router.ready
            if serving:
                log.info("ready")
            else:
                log.warning("not_serving", why=router.trouble)
            await server.set_serving(serving)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_EVERY_SECONDS):
                await stopping.wait()


def main() -> int:
    """Runs until SIGTERM or SIGINT. Exit code 0 after that, 78 for bad settings, 1 otherwise."""
    return process.run(
        "waystation-router",
        RouterSettings,
        serve,
        parts=_parts,
        refusals=(WrongSchema,),
        faults=(UnfitDatabase,),
        given=_given(),
    )


def _given() -> dict[str, str]:
    """The settings of the command line."""
    parser = argparse.ArgumentParser(
        prog="waystation-router",
        description="Takes events from RabbitMQ, calls their tasks and commits the results. "
        "Settings are environment variables; these options override them.",
    )
    pool, bindings = variable("router_pool"), variable("router_bindings")
    parser.add_argument("--pool", metavar="NAME", help=f"the router's pool ({pool})")
    parser.add_argument(
        "--bind",
        metavar="PATTERN",
        action="append",
        help="event types that the pool takes from the default one, a topic pattern like "
        f"'fraud.#'; may be repeated ({bindings}, separated by commas)",
    )
    options = parser.parse_args()
    given = {}
    if options.pool is not None:
        given[pool] = options.pool
    if options.bind is not None:
        given[bindings] = ",".join(options.bind)
    return given
