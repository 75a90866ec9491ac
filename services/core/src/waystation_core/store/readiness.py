"""Waits for Postgres and its schema at the start of a process, and logs what it waits for."""

from __future__ import annotations

import asyncio
import contextlib

import psycopg
import structlog

from waystation_core.store.fitness import require_fit
from waystation_core.store.schema import WrongSchema, check_schema, current_release

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 0.5
LOG_AGAIN_SECONDS = 10.0


async def wait_for_store(
    url: str, stopping: asyncio.Event, *, connections: int, lasting: bool
) -> bool:
    """Returns True once the database has a schema that this release can work on, False if stopped before. It also waits for a
    database without a schema: servers may start in any order, and `waystation migrate` last. Raises
    WrongSchema for any other schema, UnfitDatabase as `require_fit` does."""
    logged, logged_at = "", 0.0
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        try:
            await require_fit(url, connections=connections, lasting=lasting)
            found = await check_schema(url)
            if found != current_release():
                log.info("schema_is_newer", found=found, own=current_release())
            return True
        except WrongSchema as wrong:
            if wrong.found is not None:
                raise
            waiting_for = str(wrong)
        except psycopg.OperationalError:
            waiting_for = (
                "Postgres cannot be reached. Start it, or correct WAYSTATION_DATABASE_URL."
            )
        except psycopg.Error as error:
            waiting_for = f"The schema of the database cannot be read: {_first_line(error)}"
        if waiting_for != logged or loop.time() - logged_at >= LOG_AGAIN_SECONDS:
            log.warning("waiting", reason=waiting_for)
            logged, logged_at = waiting_for, loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_SECONDS):
                await stopping.wait()
    return False


def _first_line(error: Exception) -> str:
    logged = str(error).strip().splitlines()
    return logged[0] if logged else type(error).__name__
