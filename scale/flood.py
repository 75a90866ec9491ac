"""`python -m scale.flood ADDRESS TYPE CLIENTS`: a closed loop of so many clients, until it is told to end. It is a
process of its own: in one process with those who are timed, its own work would be in their times."""

import asyncio
import contextlib
import signal
import sys

import uvloop

from scale.clients import Api, api


async def _client(one: Api, workflow_type: str) -> None:
    while True:
        await one.run(workflow_type)


async def _flood(address: str, workflow_type: str, clients: int) -> None:
    async with api(address) as one:
        flooding = asyncio.gather(*(_client(one, workflow_type) for _ in range(clients)))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, flooding.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await flooding


if __name__ == "__main__":
    uvloop.run(_flood(sys.argv[1], sys.argv[2], int(sys.argv[3])))
