"""The memory of processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def watched(processes: Mapping[str, int]) -> AsyncIterator[dict[str, list[float]]]:
    """Resident megabytes of each of these processes, looked at twice a second while the block runs."""
    seen: dict[str, list[float]] = {name: [] for name in processes}

    async def look() -> None:
        while True:
            for name, pid in processes.items():
                seen[name].append(resident(pid))
            await asyncio.sleep(0.5)

    looking = asyncio.ensure_future(look())
    try:
        yield seen
        if looking.done():
            await looking
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


def resident(pid: int) -> float:
    """Megabytes of memory that the process has now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
