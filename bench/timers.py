"""How late delayed events are on an idle system, from the time they were due to the commit of their
task's result, both by the database's clock.

Usage: python -m bench.timers [workflows]. They come one after the other.
"""

import asyncio
import random
import statistics
import sys
import tempfile
from pathlib import Path

from bench.handlers import REMINDER, REMINDER_DUE
from bench.system import System
from waystation_worker import Client


async def lateness(address: str, number: int) -> list[float]:
    """Seconds, one for each workflow."""
    delays = random.Random(1)
    late = []
    async with Client(address) as client:
        for _ in range(number):
            done = await client.run(REMINDER, {"delay": delays.uniform(0.05, 0.5)}, timeout=30)
            (due,) = [
                event.deliver_at
                async for event in client.events(done.id)
                if event.event_type == REMINDER_DUE
            ]
            (entry,) = [entry async for entry in client.history(done.id, task_ids=["reminded"])]
            assert due is not None
            late.append(entry.message.processed_at.ToNanoseconds() / 1e9 - due.timestamp())
    return late


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        found = asyncio.run(lateness(system.address, count))
    print(
        f"{count} timers: least {min(found) * 1e3:.0f} ms, "
        f"median {statistics.median(found) * 1e3:.0f} ms, most {max(found) * 1e3:.0f} ms late"
    )
