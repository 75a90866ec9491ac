"""A history as it is committed, read over as many streams as necessary."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.history_pb2 import HistoryEntry
from waystation_worker.connection import Connection
from waystation_worker.errors import Unavailable, from_rpc_error
from waystation_worker.messages import message_of
from waystation_worker.retry_window import RetryWindow

# The server sends a heartbeat every 15 s.
_SILENCE_SECONDS = 45.0


async def watch(
    connection: Connection, workflow_instance_id: str, from_sequence: int
) -> AsyncGenerator[HistoryEntry, None]:
    """The history of one instance, see `Client.watch`."""

    def open_stream(sequence: int) -> Any:
        return connection.workflows.WatchWorkflow(
            message_of(
                pb.WatchWorkflowRequest,
                namespace=connection.namespace,
                workflow_instance_id=workflow_instance_id,
                from_sequence=sequence,
            )
        )

    entries = follow(open_stream, from_sequence, RetryWindow(connection.retry_for))
    try:
        async with contextlib.aclosing(entries):
            async for entry in entries:
                yield entry
    except grpc.aio.AioRpcError as error:
        raise await connection.explained(from_rpc_error(error)) from error
    except Unavailable as error:
        raise await connection.explained(error) from None


async def follow(
    open_stream: Callable[[int], Any], from_sequence: int, window: RetryWindow
) -> AsyncGenerator[HistoryEntry, None]:
    """Every entry from `from_sequence` on, each once and in order; `open_stream` gets the sequence
    number to continue from. Raises grpc.aio.AioRpcError, Unavailable."""
    next_sequence = from_sequence
    while True:
        call = open_stream(next_sequence)
        received = False
        pause = 0.0
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    return
                received = True
                if response.HasField("history_entry"):
                    next_sequence = response.history_entry.sequence + 1
                    yield response.history_entry
                # Only here: the caller may have taken long to handle the entry.
                window.renew()
        except TimeoutError:
            if not received:
                raise Unavailable("nothing was received", code="DEADLINE_EXCEEDED") from None
            window.renew()
        except grpc.aio.AioRpcError as error:
            again = window.pause_after(error.code())
            if again is None:
                raise
            pause = again
        finally:
            call.cancel()
        await asyncio.sleep(pause)
