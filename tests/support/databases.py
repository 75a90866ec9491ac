"""Databases with the current schema, for `PostgresServer.fresh_database`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from waystation_core.store.migration import migrate


def migrated(dsn: str) -> None:
    """Brings an empty database to the current schema."""
    # In a thread, because the test's own event loop may already be set in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate(dsn))).result()
