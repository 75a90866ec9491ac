"""WatchWorkflow: the history of an instance as a stream.

A stream ends OK once every entry was sent and only an operator can add more: the instance has ended, and what
is not settled, if anything, waits for an operator. So the entry that ended the instance is always sent. After
any other end of a stream the caller must watch again, from the sequence number after the last entry that it
got; nothing of a watch is stored here.

Notices report waits, idleness and ends at once. They do not report every step, which would cost each commit
of each workflow a message; a watch reads steps periodically, more often the more there are, and watches that
read at the same time share one query. A slow reader delays only itself: at most one portion is read ahead for
it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TypeAlias

import grpc

from waystation.v1 import workflow_service_pb2
from waystation_api.batches import Batcher
from waystation_api.requests import Place, by_namespace, check_instance
from waystation_api.workflows.waiters import Waiters
from waystation_conversion import entry_to_proto
from waystation_core.ports.broker import Notice
from waystation_core.ports.store import HistoryTail, QueryStore
from waystation_domain.errors import InvalidField, StoreUnavailable, WorkflowNotFound

_pb = workflow_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"

HEARTBEAT_SECONDS = 15.0

_FIRST_LOOK_SECONDS = 0.1
_LAST_LOOK_SECONDS = 1.0
"""Seconds between two reads: right after an entry, and when nothing has happened for long."""

_PORTION = 100
_READ_BATCH = 50
_READERS = 2

_Behind: TypeAlias = tuple[str, tuple[str, int]]
"""A namespace, and an instance in it with the last entry that was written."""


class Watches:
    """All watches of this process."""

    def __init__(self, queries: QueryStore, waiters: Waiters) -> None:
        self._queries = queries
        self.waiters = waiters
        self.tail: Batcher[_Behind, HistoryTail | None] = Batcher(
            self._read, limit=_READ_BATCH, workers=_READERS
        )

    async def watch(self, request: _pb.WatchWorkflowRequest, context: Context) -> None:
        """Writes the stream. Raises WorkflowNotFound, InvalidField; StoreUnavailable when the
        instance could never be read or the server stops."""
        place = check_instance(request)
        if request.from_sequence < 0:
            raise InvalidField(
                "from_sequence must be 1 or more, or 0 for the start.", field="from_sequence"
            )
        watch = _Watch(self, place, max(request.from_sequence, 1) - 1)
        self.waiters.add(place, watch)
        try:
            await watch.write_to(context)
        finally:
            self.waiters.discard(place, watch)

    async def _read(self, wanted: Sequence[_Behind]) -> list[HistoryTail | None]:
        # Many may watch one instance from the same entry.
        found = {
            namespace: await self._queries.tails(behind, limit=_PORTION, namespace=namespace)
            for namespace, behind in by_namespace(wanted).items()
        }
        return [found[namespace].get(behind) for namespace, behind in wanted]


class _Watch:
    """One stream. Implements `waiters.Listener`."""

    def __init__(self, watches: Watches, place: Place, seen: int) -> None:
        self._watches = watches
        self._namespace, self._id = place
        self._seen = seen
        """The last sequence number that was written, or that the caller has."""
        self._woken = asyncio.Event()
        self._last: HistoryTail | None = None

    def hear(self, notice: Notice) -> None:
        if notice.version > self._seen:
            self.wake()

    def wake(self) -> None:
        self._woken.set()

    async def write_to(self, context: Context) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time() + HEARTBEAT_SECONDS
        pause = _FIRST_LOOK_SECONDS
        while not self._watches.waiters.closing:
            self._woken.clear()
            tail = await self._look()
            if tail is not None and tail.entries:
                for stored in tail.entries:
                    response = _pb.WatchWorkflowResponse()
                    entry_to_proto(stored, response.history_entry)
                    response.status = response.history_entry.status
                    # Waits while the reader is slow.
                    await context.write(response)
                    self._seen = stored.entry.sequence
                heartbeat_at = loop.time() + HEARTBEAT_SECONDS
                pause = _FIRST_LOOK_SECONDS
            if tail is not None and tail.version > self._seen:
                continue
            if tail is not None and tail.is_settled:
                return
            if loop.time() >= heartbeat_at:
                await context.write(self._heartbeat())
                heartbeat_at = loop.time() + HEARTBEAT_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, max(heartbeat_at - loop.time(), 0.0))):
                    await self._woken.wait()
            pause = min(pause * 2, _LAST_LOOK_SECONDS)
        raise StoreUnavailable(
            f"The server is stopping; watch again with from_sequence {self._seen + 1}."
        )

    async def _look(self) -> HistoryTail | None:
        """The new entries; None while the store, which has answered before, cannot be reached."""
        try:
            tail = await self._watches.tail((self._namespace, (self._id, self._seen)))
        except StoreUnavailable:
            if self._last is None:
                raise
            return None
        if tail is None:
            raise WorkflowNotFound.of(self._id)
        self._last = tail
        return tail

    def _heartbeat(self) -> _pb.WatchWorkflowResponse:
        response = _pb.WatchWorkflowResponse()
        assert self._last is not None
        response.heartbeat.version = self._last.version
        response.status = int(self._last.status)  # type: ignore[assignment]
        return response
