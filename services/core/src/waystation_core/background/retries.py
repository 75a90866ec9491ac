"""Retries after an outage: growing waits, and a readable log.

A retry loop logs when the outage begins and ends, and one line every so often in between, not one for each
try.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from waystation_domain.errors import StoreUnavailable

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 2.0
SAY_AGAIN_SECONDS = 10.0


def wait_before(
    attempt: int, *, first: float = FIRST_WAIT_SECONDS, longest: float = LONGEST_WAIT_SECONDS
) -> float:
    """Seconds to wait after this many failures in a row (from 1): doubled each time up to `longest`, minus up
    to a fifth at random, so that those who failed together do not return together."""
    steady = min(longest, first * 2.0 ** min(attempt - 1, 30))
    return steady * random.uniform(0.8, 1.0)  # noqa: S311  # not a secret


async def through_outages(work: Callable[[], Awaitable[T]], event: str) -> T:
    """Repeats the work until the database answers, and returns its result: for a step that a process cannot
    go on without."""
    retries, failures = Retries(event), 0
    while True:
        try:
            given = await work()
        except StoreUnavailable as error:
            failures += 1
            retries.failed(error)
            await asyncio.sleep(wait_before(failures))
        else:
            retries.over()
            return given


class Retries:
    """The log of one kind of work that is retried."""

    def __init__(self, event: str, **names: Any) -> None:
        self._log = structlog.get_logger(event).bind(**names)
        self._event = event
        self._began: float | None = None
        self._said_at = float("-inf")
        self._said = False
        self._failures = 0

    def failed(self, error: BaseException | None, **facts: Any) -> None:
        """Another try failed. `facts` are logged with the line, if there is one."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._failures, self._said = now, 0, False
        self._failures += 1
        if now - self._said_at < SAY_AGAIN_SECONDS:
            return
        self._said_at, self._said = now, True
        cause = error.__cause__ or error if error is not None else None
        self._log.warning(
            self._event,
            error=f"{type(cause).__name__}: {cause}"[:300].strip(),
            failures=self._failures,
            for_seconds=round(now - self._began, 1),
            **facts,
        )

    def over(self) -> None:
        """A try succeeded."""
        if self._began is None:
            return
        began, self._began = self._began, None
        if self._said:
            self._log.info(
                f"{self._event}_over",
                failures=self._failures,
                for_seconds=round(time.monotonic() - began, 1),
            )
