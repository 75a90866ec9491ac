"""Waiting for an instance: subscribe first, then read, then wait, and read again periodically.

Notices are best effort, so each waiter reads again every two seconds; waiters that wake together share one
query.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from waystation.v1 import workflow_pb2
from waystation_api.batches import Batcher
from waystation_api.requests import Place, by_namespace
from waystation_conversion import context_to_proto
from waystation_core.outcome_seal import OutcomeSeal
from waystation_core.ports.broker import Broker, Notice
from waystation_core.ports.store import QueryStore
from waystation_domain.errors import StoreUnavailable, WorkflowNotFound
from waystation_domain.lifecycle import ends_a_wait
from waystation_domain.model import Instance, Status

Outcome = workflow_pb2.WaitOutcome

DEFAULT_SECONDS = 30.0
MAX_SECONDS = 600.0
MARGIN_SECONDS = 0.2
"""Seconds before the caller's deadline, so that the answer still arrives."""

READ_AGAIN_SECONDS = 2.0

_READ_BATCH = 500
_READERS = 2


def outcome_of(instance: Instance) -> workflow_pb2.WaitOutcome | None:
    """Whether and how a wait for this instance has ended."""
    if not ends_a_wait(instance.status, idle=instance.idle is not None):
        return None
    if not instance.status.is_open:
        return workflow_pb2.WAIT_OUTCOME_DONE
    if instance.status is Status.WAITING_FOR_INPUT:
        return workflow_pb2.WAIT_OUTCOME_WAITING_FOR_INPUT
    return workflow_pb2.WAIT_OUTCOME_IDLE


class InstanceReader:
    """Reads instances by id; concurrent reads are one query."""

    def __init__(self, store: QueryStore) -> None:
        self._store = store
        self._batch: Batcher[Place, Instance | None] = Batcher(
            self._carry_out, limit=_READ_BATCH, workers=_READERS
        )

    async def read(self, place: Place) -> Instance:
        """The instance as it is now. Raises WorkflowNotFound."""
        instance = await self._batch(place)
        if instance is None:
            raise WorkflowNotFound.of(place[1])
        return instance

    async def _carry_out(self, places: Sequence[Place]) -> list[Instance | None]:
        found = {
            namespace: await self._store.instances(ids, namespace=namespace)
            for namespace, ids in by_namespace(places).items()
        }
        return [found[namespace].get(instance_id) for namespace, instance_id in places]


class Listener(Protocol):
    """Gets notified of an instance's commits."""

    def hear(self, notice: Notice) -> None:
        """A commit left the instance in a state that may end a wait: not ACTIVE, or idle."""
        ...

    def wake(self) -> None:
        """Read again: notices may have been missed, or the server stops."""
        ...


class Waiter:
    """One call that waits. A context manager: inside it no notice is missed."""

    def __init__(self, waiters: Waiters, place: Place) -> None:
        self._waiters = waiters
        self._place = place
        self._woken = asyncio.Event()
        self._seen = 0
        self._outcome: Notice | None = None

    def __enter__(self) -> Self:
        self._waiters.add(self._place, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waiters.discard(self._place, self)

    def hear(self, notice: Notice) -> None:
        """A commit changed the instance."""
        if notice.version > self._seen and ends_a_wait(notice.status, idle=notice.idle):
            # Those of two routers may come in another order.
            if notice.outcome and (self._outcome is None or notice.version > self._outcome.version):
                self._outcome = notice
            self.wake()

    def wake(self) -> None:
        self._woken.set()

    async def wait(
        self,
        seconds: float,
        known: Instance | None = None,
        *,
        into: workflow_pb2.WorkflowContext,
    ) -> workflow_pb2.WaitOutcome:
        """How the wait ended; `into` is filled with the instance at that time. `known` saves the first read
        of a new instance. Raises WorkflowNotFound; StoreUnavailable if the instance could never be read."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        instance = known
        while True:
            if known is None:
                self._woken.clear()
                if self._takes_outcome(into):
                    return workflow_pb2.WAIT_OUTCOME_DONE
                try:
                    instance = await self._waiters.reader.read(self._place)
                except StoreUnavailable:
                    if instance is None and (loop.time() >= deadline or self._waiters.closing):
                        raise
            known = None
            if instance is not None:
                self._seen = instance.version
                outcome = outcome_of(instance)
                if outcome is None and (loop.time() >= deadline or self._waiters.closing):
                    outcome = workflow_pb2.WAIT_OUTCOME_TIMED_OUT
                if outcome is not None:
                    context_to_proto(instance, into=into)
                    return outcome
            await self._until_woken(min(READ_AGAIN_SECONDS, max(deadline - loop.time(), 0.0)))

    def _takes_outcome(self, into: workflow_pb2.WorkflowContext) -> bool:
        """Whether a notice has the instance at its end, later than what was read of it. Then it need not be
        read again."""
        notice, self._outcome = self._outcome, None
        if notice is None or not 0 < self._seen < notice.version:
            return False
        context = self._waiters.opened(notice)
        if context is None:
            return False
        into.CopyFrom(context)
        return True

    async def _until_woken(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()


class Waiters:
    """All calls of this process that wait or watch."""

    def __init__(
        self,
        reader: InstanceReader,
        broker: Broker,
        seal: Callable[[str], OutcomeSeal | None] = lambda namespace: None,
    ) -> None:
        """`seal` returns what opens outcomes in notices of a namespace, once it is known."""
        self.reader = reader
        self._seal = seal
        self.closing = False
        self._by_place: dict[Place, set[Listener]] = {}
        broker.subscribe_notices(self._on_notices, self._wake_all)

    def opened(self, notice: Notice) -> workflow_pb2.WorkflowContext | None:
        """The instance in a notice; None if no server of this installation sealed it."""
        seal = self._seal(notice.namespace)
        context = seal.opened(notice.outcome) if seal is not None else None
        if context is None:
            return None
        sealed = (context.namespace, context.workflow_instance_id, context.version)
        named = (notice.namespace, notice.workflow_instance_id, notice.version)
        return context if sealed == named else None

    def waiter(self, place: Place) -> Waiter:
        return Waiter(self, place)

    def add(self, place: Place, waiter: Listener) -> None:
        self._by_place.setdefault(place, set()).add(waiter)

    def discard(self, place: Place, waiter: Listener) -> None:
        waiters = self._by_place.get(place)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._by_place[place]

    def close(self) -> None:
        """Answers every wait now, as timed out: callers ask another server."""
        self.closing = True
        self._wake_all()

    def _on_notices(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            place = notice.namespace, notice.workflow_instance_id
            for waiter in self._by_place.get(place, ()):
                waiter.hear(notice)

    def _wake_all(self) -> None:
        for waiters in self._by_place.values():
            for waiter in waiters:
                waiter.wake()
