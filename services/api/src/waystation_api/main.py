"""`waystation-api`: the API server as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys

import uvloop

from waystation_api.app import Store, build
from waystation_api.settings import ApiSettings
from waystation_core.broker import open_broker
from waystation_core.domain.errors import WaystationError
from waystation_core.rpc import logs
from waystation_core.rpc.server import PortTaken
from waystation_core.rpc.settings import EXIT_BAD_SETTINGS, BadSettings, read_settings
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.pool import open_pool
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore
from waystation_core.store.schema import WrongSchema
from waystation_core.store.waiting import wait_for_store


def main() -> int:
    """Runs until SIGTERM or SIGINT. Exit code 0 after that, 78 for bad settings, 1 else."""
    try:
        settings = read_settings(ApiSettings)
        logs.configure(settings.log_format, settings.log_level, process="waystation-api")
        uvloop.run(_serve(settings))
    except BadSettings as bad:
        print(f"waystation-api can't start:\n{bad}", file=sys.stderr)  # noqa: T201 - before any log
        return EXIT_BAD_SETTINGS
    except (PortTaken, WrongSchema, WaystationError) as problem:
        print(f"waystation-api can't start: {problem}", file=sys.stderr)  # noqa: T201 - before any log
        return 1
    return 0


async def _serve(settings: ApiSettings) -> None:
    stopping = _stop_signals()
    url = settings.database_url.get_secret_value()
    pool = open_pool(url, size=settings.api_database_connections, name="waystation-api")
    broker = open_broker(settings.broker_url.get_secret_value(), role="api")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        stack.push_async_callback(broker.close)
        store = Store(
            PostgresEngineStore(pool), PostgresRegistryStore(pool), PostgresQueryStore(pool)
        )
        server = build(settings, store, broker)
        await server.start()
        stack.push_async_callback(server.stop)
        if await wait_for_store(url, stopping):
            await pool.open()
            await server.serve()
            _spare_collections()
            await stopping.wait()


def _spare_collections() -> None:
    """What is loaded by now stays: the collector need not look at it again and again, and what
    requests leave behind is mostly freed without it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _stop_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping
