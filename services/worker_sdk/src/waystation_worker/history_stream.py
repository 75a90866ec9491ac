"""A history as it comes, over as many streams as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc

from waystation.v1.history_pb2 import HistoryEntry
from waystation_worker.errors import Unavailable
from waystation_worker.patience import Patience

# A stream says something every 15 s.
_SILENCE_SECONDS = 45.0


async def follow(
    open_stream: Callable[[int], Any], from_sequence: int, patience: Patience
) -> AsyncGenerator[HistoryEntry, None]:
    """Every entry from `from_sequence` on, each once and in order; `open_stream` gets the sequence
    number from which it is to go on. Raises grpc.aio.AioRpcError, Unavailable."""
    following = from_sequence
    while True:
        call = open_stream(following)
        heard = False
        pause = 0.0
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    return
                heard = True
                if response.HasField("history_entry"):
                    following = response.history_entry.sequence + 1
                    yield response.history_entry
                # After the caller's own work, which may take its time.
                patience.renew()
        except TimeoutError:
            if not heard:
                raise Unavailable("it says nothing", code="DEADLINE_EXCEEDED") from None
            patience.renew()
        except grpc.aio.AioRpcError as error:
            again = patience.pause_after(error.code())
            if again is None:
                raise
            pause = again
        finally:
            call.cancel()
        await asyncio.sleep(pause)
