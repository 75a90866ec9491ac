"""A pool per test, and processes that end with it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_router.endpoints import EndpointDirectory

Process = asyncio.subprocess.Process


@pytest.fixture
async def pool() -> AsyncIterator[EndpointDirectory]:
    pool = EndpointDirectory(Allowlist.parse(DEFAULT_ALLOWLIST))
    yield pool
    await pool.close()


@pytest.fixture
async def handler_process() -> AsyncIterator[Callable[[], Awaitable[tuple[Process, int]]]]:
    """Starts a handler service in a process of its own; gives it and its port."""
    started: list[Process] = []

    async def start() -> tuple[Process, int]:
        program = Path(__file__).with_name("handlers.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            stdout=asyncio.subprocess.PIPE,
            # What it shares with the tests.
            env={**os.environ, "PYTHONPATH": str(program.parents[1])},
        )
        started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(30):
            return process, int(await process.stdout.readline())

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
