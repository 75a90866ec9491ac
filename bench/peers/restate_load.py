"""The load client of Restate: the same loops, over its HTTP ingress, in the peer's environment.

`python -m bench.peers.restate_load` with a JSON object on the command line; prints one JSON object.
"""

import contextlib
import json
import os
import sys
from typing import Any

import aiohttp
import uvloop

from bench.loops import run_loop


async def _main(options: dict[str, Any]) -> None:
    url = f"{options['ingress']}/claims/{options['handler']}"
    async with contextlib.AsyncExitStack() as stack:
        # Connections are a session's own. One has as many as it has calls at once: HTTP/1.1 has no streams.
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            )
            for _ in range(options["clients"])
        ]

        async def run_one(at: int, data: dict[str, Any]) -> None:
            async with sessions[at % len(sessions)].post(url, json=data) as response:
                answer = await response.json()
                if response.status != 200 or not ({"summary", "score"} & answer.keys()):
                    raise RuntimeError(f"{response.status}: {answer}")

        groups = {**options["groups"], "client": [os.getpid()]}
        print(json.dumps(await run_loop(run_one, {**options, "groups": groups})))


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
