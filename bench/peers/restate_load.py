"""The load client of Restate: the same closed loop, over its HTTP ingress, in the peer's environment.

`python -m bench.peers.restate_load` with a JSON object on the command line; prints one JSON object.
"""

import json
import os
import sys
from typing import Any

import aiohttp
import uvloop

from bench.closed_loop import ClosedLoop


async def _main(options: dict[str, Any]) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        url = f"{options['ingress']}/claims/{options['handler']}"

        async def run_one(at: int, data: dict[str, Any]) -> None:
            async with session.post(url, json=data) as response:
                answer = await response.json()
                if response.status != 200 or not ({"summary", "score"} & answer.keys()):
                    raise RuntimeError(f"{response.status}: {answer}")

        groups = {**options["groups"], "client": os.getpid()}
        loop = ClosedLoop(run_one, options["concurrency"])
        print(json.dumps(await loop.run(options["warm_up"], options["seconds"], groups)))


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
