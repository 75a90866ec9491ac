"""A process that is told to stop ends, whatever it waits for."""

import subprocess
import sys

WAITS_FOR_EVER = """
import asyncio, os, signal
from waystation_core.rpc import process
process.STOP_SECONDS = 0.2

async def serve():
    stopping = process.stop_signals(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    await stopping.wait()
    await asyncio.Event().wait()

asyncio.run(serve())
"""


def test_what_does_not_end_in_time_is_left_where_it_is() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_EVER], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0
    assert "stopped_by_deadline" in ended.stdout + ended.stderr
