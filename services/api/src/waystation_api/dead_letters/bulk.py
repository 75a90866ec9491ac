"""Dead letters in bulk: portions of instances, each in a transaction of its own.

There is no single transaction for all of them: several instances are resolved together (`portions`), and the
remaining ones one by one, each under its own lock. Every such transaction also adds its count to the row of
the request. So the same request continues an interrupted call where it stopped, and the answer has the total
of both. Dead letters that appeared after the first call are left out: a delivery that was retried and failed
again is not retried again by a repeated request.

An instance whose dead letters cannot be resolved is set aside; the call fails for it when all others are
done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from waystation_api.dead_letters.portions import Act, DeadLetterAction, DeadLetterPortions
from waystation_api.workflows.changes import Change, Changes, Decide, draft_of_dead_letters
from waystation_core.background import step
from waystation_core.decisions import Decision
from waystation_core.ports.store import AuditedCall, DeadLetterFilter, EngineStore, QueryStore
from waystation_domain import dead_letters
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import JsonObject

log = structlog.get_logger(__name__)

_INSTANCES_AT_ONCE = 100
"""Instances in one portion: some tens of milliseconds of this process's time, in pieces."""

_PORTIONS_AT_ONCE = 2
"""Of all calls together: one is decided while another one is written. Others need connections too."""

_LETTERS_AT_ONCE = 100
"""Dead letters of one instance resolved in one transaction, under its lock."""

_TRIES = 3
"""Tries for one instance: a router may hold its lock for long."""


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A bulk request."""

    rpc: str
    request_id: str
    digest: bytes
    """Digest of its contents: the same id with another one is another request."""
    filter: DeadLetterFilter
    namespace: str
    by: AuditedCall | None = None
    """The call that asks for it."""


class BulkDeadLetters:
    """Retries and discards all open dead letters of a request."""

    def __init__(
        self,
        store: EngineStore,
        queries: QueryStore,
        changes: Changes,
        portions: DeadLetterPortions,
    ) -> None:
        self._store = store
        self._queries = queries
        self._changes = changes
        self._portions = portions
        self._places = asyncio.Semaphore(_PORTIONS_AT_ONCE)

    async def retry(self, request: BulkRequest) -> int:
        """Returns how many are retried; those of COMPLETED and CANCELLED instances stay."""
        return await self._all(request, dead_letters.retry_dead_letters)

    async def discard(self, request: BulkRequest) -> int:
        """Returns how many were discarded."""
        return await self._all(request, dead_letters.discard_dead_letters)

    async def _all(self, request: BulkRequest, act: Act) -> int:
        rpc, request_id, namespace = request.rpc, request.request_id, request.namespace
        begun = await self._store.begin_request(
            rpc, request_id, request.digest, namespace=namespace, by=request.by
        )
        if begun.done:
            return begun.count
        before = request.filter.created_before
        filter = replace(
            request.filter,
            created_before=begun.began_at if before is None else min(before, begun.began_at),
        )
        await self._walk(DeadLetterAction(rpc, request_id, filter, act, namespace, request.by))
        return await self._store.end_request(rpc, request_id, namespace=namespace)

    async def _walk(self, action: DeadLetterAction) -> None:
        """Processes all instances, a few portions at a time."""
        walk = _Walk(self._queries, action)
        workers = [step(self._work(walk)) for _ in range(_PORTIONS_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if walk.failure is not None:
            raise walk.failure

    async def _work(self, walk: _Walk) -> None:
        while keys := await walk.portion():
            async with self._places:
                remaining = await self._portions.resolve(walk.action, keys)
            for key in remaining:
                await self._alone_or_aside(walk, key)

    async def _alone_or_aside(self, walk: _Walk, key: int) -> None:
        try:
            await self._of_instance(walk.action, key)
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                # If the database is away for everybody, it is not this instance's fault.
                await self._store.probe()
            log.exception("letters_set_aside", instance_key=key)
            walk.failure = walk.failure or error

    async def _of_instance(self, action: DeadLetterAction, key: int) -> None:
        """Resolves the dead letters of one instance under its lock, some at a time."""
        # The request is recorded as a whole, not for each instance.
        of_instance = Change(key=key, namespace=action.namespace, by=action.by)
        last = None
        while True:
            decide = self._decide_on_dead_letters(action, after=last)
            last = (await self._insist(of_instance, decide))["last"]
            if last is None:
                return

    @staticmethod
    def _decide_on_dead_letters(action: DeadLetterAction, *, after: str | None) -> Decide:
        """Resolves some of an instance's dead letters; `last` is the last one if there may be more."""

        async def decide(decision: Decision) -> JsonObject:
            locked = decision.locked
            dead_letters = await locked.dead_letters(
                action.filter, after=after, limit=_LETTERS_AT_ONCE
            )
            if not dead_letters:
                return {"last": None}
            draft, held = await draft_of_dead_letters(decision, dead_letters)
            count = action.act(draft, dead_letters, held)
            if count:
                await locked.count(action.rpc, action.request_id, count)
            more = len(dead_letters) == _LETTERS_AT_ONCE
            return {"last": dead_letters[-1].dead_letter_id if more else None}

        return decide

    async def _insist(self, change: Change, decide: Decide) -> JsonObject:
        for remaining in reversed(range(_TRIES)):
            try:
                _, answer = await self._changes.carry_out(change, decide)
            except StoreUnavailable:
                if not remaining:
                    raise
            else:
                return answer
        raise AssertionError("the last try returns or raises")


@dataclass(slots=True)
class _Walk:
    """The instances of a call, in portions, for several workers at once."""

    queries: QueryStore
    action: DeadLetterAction
    failure: Exception | None = None
    """Why the first of those that were set aside failed."""
    _found: Sequence[int] = ()
    _after: int | None = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def portion(self) -> Sequence[int]:
        """The next instances; empty if there are no more."""
        async with self._turn:
            while not self._found and self._after is not None:
                await self._look()
            portion = self._found[:_INSTANCES_AT_ONCE]
            self._found = self._found[_INSTANCES_AT_ONCE:]
            return portion

    async def _look(self) -> None:
        filter, namespace = self.action.filter, self.action.namespace
        found = await self.queries.dead_letter_instances(
            filter, after=self._after or 0, namespace=namespace
        )
        self._found, self._after = found.keys, found.after
