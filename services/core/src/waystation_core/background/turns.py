"""Work that is done from time to time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from waystation_core.background.retries import Retries
from waystation_domain.errors import StoreUnavailable

log = structlog.get_logger(__name__)


def turns(
    name: str, seconds: float, turn: Callable[[], Awaitable[None]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    """A loop that takes a turn every so often, for `run_loop`; neither an outage nor a fault of one turn ends it."""
    retries = Retries("background_work_postponed", work=name)

    async def work() -> None:
        while True:
            try:
                await turn()
                retries.over()
            except StoreUnavailable as error:
                retries.failed(error)
            except Exception:
                log.exception("background_work_failed", work=name)
            await asyncio.sleep(seconds)

    return work
