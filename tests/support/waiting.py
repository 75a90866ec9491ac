"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T]],
    *,
    until: Callable[[T], bool] = bool,
    timeout: float = 30,
    what: str = "the condition",
) -> T:
    """The first answer of `look` that `until` accepts; asked again every 20 ms.

    Raises AssertionError with the last answer after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = await look()
        if until(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; the last answer: {answer!r}")
        await asyncio.sleep(0.02)
