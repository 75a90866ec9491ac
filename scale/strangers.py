"""The case of strangers at the door: connections that say nothing, and calls without a credential, as many as fit
into the machine. Those who have a key go on."""

import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench.handlers import CLAIM_3
from bench.system import ROOT, Secured, load_client, run_load
from localservers.processes import ChildProcess
from scale.report import Row
from scale.system import System

CALLERS = 8
TURNS = 3
SECONDS = 6.0
UNINVITED_PROCESSES = 2
AT_MOST_BESIDE_SILENCE = 1.5
AT_MOST_BESIDE_CALLS_SECONDS = 1.0
"""The callers of the flood are on the same two cores: what they take there, nobody can give back."""


async def strangers(system: System, number: int, normal: float) -> list[Row]:
    """Beside so many silent connections, and beside processes that call as fast as they can. The system is one of
    its own, secured as on a network."""
    seconds = SECONDS if number >= 1_000 else 1.0
    alone, silent, called, refused = [], [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="waystation-strangers-") as folder,
        Secured(Path(folder)) as secured,
    ):
        for _ in range(TURNS):
            alone.append(await _median(secured, seconds))
            async with _silence(secured.address, number):
                silent.append(await _median(secured, seconds))
            processes = [_uninvited(secured, at) for at in range(UNINVITED_PROCESSES)]
            called.append(await _median(secured, seconds))
            for process in processes:
                await asyncio.to_thread(process.stop, 30)
                refused.append(float(process.output().split()[-1]))
    rate = UNINVITED_PROCESSES * statistics.median(refused)
    print(
        "strangers: p50 of claims (ms) alone, beside silence, beside calls: "
        + ", ".join(
            f"{one * 1e3:.1f}/{two * 1e3:.1f}/{three * 1e3:.1f}"
            for one, two, three in zip(alone, silent, called, strict=True)
        ),
        flush=True,
    )
    beside = statistics.median(silent) / statistics.median(alone)
    return [
        Row(
            "strangers",
            f"p50 of claims beside {number:,} silent connections, to p50 alone",
            beside,
            "<=",
            AT_MOST_BESIDE_SILENCE,
            "times",
        ),
        Row(
            "strangers",
            f"p50 of claims beside {rate:,.0f} calls a second without a key",
            statistics.median(called),
            "<=",
            AT_MOST_BESIDE_CALLS_SECONDS,
        ),
        Row("strangers", "calls without a key, each refused", rate, ">=", 1.0, "a second"),
    ]


async def _median(secured: Secured, seconds: float) -> float:
    """Seconds that a claim takes; every one of them completes, or it raises RuntimeError."""
    options: dict[str, Any] = {
        "address": secured.address,
        "workflow_type": CLAIM_3,
        "concurrency": CALLERS,
        "clients": 1,
        "warm_up": 1.0,
        "seconds": seconds,
        "groups": {},
    }
    found = await asyncio.to_thread(run_load, options, load_client(), secured.client_environment)
    return statistics.median(found["latencies"])


@contextlib.asynccontextmanager
async def _silence(address: str, number: int) -> AsyncIterator[None]:
    """So many connections that send nothing."""
    host, _, port = address.rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(number)]
    try:
        yield
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(
            *(writer.wait_closed() for _, writer in opened), return_exceptions=True
        )


def _uninvited(secured: Secured, at: int) -> ChildProcess:
    """A process that calls without a key; at its end it prints how many calls a second were refused."""
    process = ChildProcess(
        [
            *(sys.executable, "-m", "scale.uninvited", secured.address),
            secured.client_environment["WAYSTATION_TLS_CA"],
        ],
        name=f"uninvited-{at}",
        log=secured.folder / f"uninvited-{at}.log",
        cwd=ROOT,
    )
    process.wait_for_output("calling")
    return process
