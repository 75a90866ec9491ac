"""`python -m scale.uninvited ADDRESS CA`: calls without a credential as fast as it can, until it is told to end;
then it prints how many a second were refused. Anything but a refusal ends it with an error."""

import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

import grpc
import uvloop

CONNECTIONS = 4
AT_ONCE = 32
METHOD = "/waystation.v1.WorkflowService/ListWorkflows"


async def _call(address: str, authorities: bytes) -> None:
    credentials = grpc.ssl_channel_credentials(authorities)
    channels = [
        grpc.aio.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])
        for _ in range(CONNECTIONS)
    ]
    refused = 0

    async def caller(channel: grpc.aio.Channel) -> None:
        nonlocal refused
        call = channel.unary_unary(METHOD)
        while True:
            try:
                await call(b"")
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                refused += 1
            else:
                raise RuntimeError("a call without a credential was answered")

    calling = asyncio.gather(*(caller(channel) for channel in channels for _ in range(AT_ONCE)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, calling.cancel)
    print("calling", flush=True)
    began = time.monotonic()
    with contextlib.suppress(asyncio.CancelledError):
        await calling
    print(refused / (time.monotonic() - began), flush=True)


if __name__ == "__main__":
    uvloop.run(_call(sys.argv[1], Path(sys.argv[2]).read_bytes()))
