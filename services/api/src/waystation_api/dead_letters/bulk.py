"""Dead letters in bulk: portion after portion of instances, each in a transaction of its own.

There is no one transaction for all of them: several instances go together (`letter_portions`), and
what is left of them one by one, each under its own lock. Every such transaction also counts what it did
in the row of the request. So a call that broke off is taken up by the same request where it stopped, and
both together answer with what was done in all. What became a dead letter after the first call is not
meant: a delivery that was tried again and failed again is not tried a third time by a repeated request.

An instance whose letters can't be resolved is set aside; the call fails for it when all others are done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from waystation_api.dead_letters.portions import Act, Asked, DeadLetterPortions
from waystation_api.workflows.changes import Change, Changes, Decide, draft_of_dead_letters
from waystation_core.background import step
from waystation_core.decisions import Decision
from waystation_core.ports.store import DeadLetterFilter, EngineStore, QueryStore
from waystation_domain import dead_letters
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import JsonObject

log = structlog.get_logger(__name__)

_INSTANCES_AT_ONCE = 100
"""In one portion: some tens of milliseconds of this process's time, in pieces."""

_PORTIONS_AT_ONCE = 2
"""Of all calls together: one is decided while another one is written. Others need connections too."""

_LETTERS_AT_ONCE = 100
"""Of an instance that is done alone, resolved in one transaction."""

_TRIES = 3
"""For one instance: a router may hold its lock for long."""


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A request about many, as it came."""

    rpc: str
    request_id: str
    digest: bytes
    """Of all that it asks for: the same id with another one is another request."""
    filter: DeadLetterFilter
    namespace: str


class BulkDeadLetters:
    """Retries and discards all open dead letters that a request means."""

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
        """How many are tried again; those of COMPLETED and CANCELLED instances stay."""
        return await self._all(request, dead_letters.retry_dead_letters)

    async def discard(self, request: BulkRequest) -> int:
        """How many were given up."""
        return await self._all(request, dead_letters.discard_dead_letters)

    async def _all(self, request: BulkRequest, act: Act) -> int:
        rpc, request_id, namespace = request.rpc, request.request_id, request.namespace
        begun = await self._store.begin_request(
            rpc, request_id, request.digest, namespace=namespace
        )
        if begun.done:
            return begun.count
        before = request.filter.created_before
        filter = replace(
            request.filter,
            created_before=begun.began_at if before is None else min(before, begun.began_at),
        )
        await self._walk(Asked(rpc, request_id, filter, act, namespace))
        return await self._store.end_request(rpc, request_id, namespace=namespace)

    async def _walk(self, asked: Asked) -> None:
        """Goes through all of it, with a few portions under way at a time."""
        walk = _Walk(self._queries, asked)
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
                remaining = await self._portions.resolve(walk.asked, keys)
            for key in remaining:
                await self._alone_or_aside(walk, key)

    async def _alone_or_aside(self, walk: _Walk, key: int) -> None:
        try:
            await self._of_instance(walk.asked, key)
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                # Where the database serves nobody, it is not this instance that is the matter.
                await self._store.probe()
            log.exception("letters_set_aside", instance_key=key)
            walk.failure = walk.failure or error

    async def _of_instance(self, asked: Asked, key: int) -> None:
        """Under its lock, so many letters at a time."""
        # The request is remembered as a whole, not for each instance.
        of_instance = Change(key=key, namespace=asked.namespace)
        last = None
        while True:
            decide = self._decide_on_dead_letters(asked, after=last)
            last = (await self._insist(of_instance, decide))["last"]
            if last is None:
                return

    @staticmethod
    def _decide_on_dead_letters(asked: Asked, *, after: str | None) -> Decide:
        """Resolves some of an instance's letters; `last` is the last one where there may be more."""

        async def decide(decision: Decision) -> JsonObject:
            locked = decision.locked
            dead_letters = await locked.dead_letters(
                asked.filter, after=after, limit=_LETTERS_AT_ONCE
            )
            if not dead_letters:
                return {"last": None}
            draft, held = await draft_of_dead_letters(decision, dead_letters)
            count = asked.act(draft, dead_letters, held)
            if count:
                await locked.count(asked.rpc, asked.request_id, count)
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
    """The instances that a call is about, in portions, for several workers at once."""

    queries: QueryStore
    asked: Asked
    failure: Exception | None = None
    """Why the first of those that were set aside could not be done."""
    _found: Sequence[int] = ()
    _after: int | None = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def portion(self) -> Sequence[int]:
        """The next ones; empty when there are no more."""
        async with self._turn:
            while not self._found and self._after is not None:
                await self._look()
            portion = self._found[:_INSTANCES_AT_ONCE]
            self._found = self._found[_INSTANCES_AT_ONCE:]
            return portion

    async def _look(self) -> None:
        filter, namespace = self.asked.filter, self.asked.namespace
        found = await self.queries.dead_letter_instances(
            filter, after=self._after or 0, namespace=namespace
        )
        self._found, self._after = found.keys, found.after
