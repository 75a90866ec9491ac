"""Dead letters by filter: instance after instance, each under its own lock.

There is no one transaction for all of them: each instance's letters are resolved in transactions
of their own, which also count them in the row of the request. So a call that broke off is taken up
by the same request where it stopped, and both together answer with what was done in all. What
became a dead letter after the first call is not meant: a delivery that was tried again and failed
again is not tried a third time by a repeated request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from waystation_api.changing import Change, Changing, Decide, Drafting
from waystation_core.domain import actions
from waystation_core.domain.draft import Draft
from waystation_core.domain.errors import StoreUnavailable
from waystation_core.domain.model import Delivery, Event, JsonObject
from waystation_core.ports.store import DeadLetterFilter, EngineStore, Locked, QueryStore

_INSTANCES_AT_ONCE = 500
_LETTERS_AT_ONCE = 100
"""Resolved in one transaction."""

_TRIES = 3
"""For one instance: a router may hold its lock for long."""

Act = Callable[
    [Draft, Sequence[actions.OpenDeadLetter], Sequence[tuple[Delivery, Event]]],
    int,
]


class BulkLetters:
    """Retries and discards all open dead letters that a filter means."""

    def __init__(self, store: EngineStore, queries: QueryStore, changing: Changing) -> None:
        self._store = store
        self._queries = queries
        self._changing = changing

    async def retry(self, change: Change, filter: DeadLetterFilter) -> int:
        """How many are tried again; those of COMPLETED and CANCELLED instances stay."""
        return await self._all(change, filter, actions.retry_dead_letters)

    async def discard(self, change: Change, filter: DeadLetterFilter) -> int:
        """How many were given up."""
        return await self._all(change, filter, actions.discard_dead_letters)

    async def _all(self, change: Change, filter: DeadLetterFilter, act: Act) -> int:
        request = await self._store.begin_request(
            change.rpc, change.request_id, change.digest, namespace=change.namespace
        )
        if request.done:
            return request.count
        before = filter.created_before
        filter = replace(
            filter,
            created_before=request.began_at if before is None else min(before, request.began_at),
        )
        count = last = 0
        while keys := await self._queries.dead_letter_instances(
            filter, after=last, limit=_INSTANCES_AT_ONCE, namespace=change.namespace
        ):
            for key in keys:
                count += await self._of_instance(change, key, filter, act)
            last = keys[-1]
        if change.request_id is None:
            return count
        return await self._store.end_request(
            change.rpc, change.request_id, namespace=change.namespace
        )

    async def _of_instance(
        self, change: Change, key: int, filter: DeadLetterFilter, act: Act
    ) -> int:
        # The request is remembered as a whole, not for each instance.
        of_instance = replace(change, key=key, request_id=None)
        count, last = 0, None
        while True:
            decide = self._portion(change, filter, act, after=last)
            answer = await self._insist(of_instance, decide)
            count += int(answer["count"])
            last = answer["last"]
            if last is None:
                return count

    @staticmethod
    def _portion(
        change: Change, filter: DeadLetterFilter, act: Act, *, after: str | None
    ) -> Decide:
        """Resolves some of an instance's letters; `last` is the last one where there may be more."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            letters = await locked.dead_letters(filter, after=after, limit=_LETTERS_AT_ONCE)
            if not letters:
                return {"count": 0, "last": None}
            held = await locked.held()
            facts = await locked.facts_of(
                [
                    *(letter.event.event_id for letter in letters),
                    *(event.event_id for _, event in held),
                ]
            )
            count = act(drafting.draft(facts), letters, held)
            if count and change.request_id is not None:
                await locked.count(change.rpc, change.request_id, count)
            more = len(letters) == _LETTERS_AT_ONCE
            return {"count": count, "last": letters[-1].dead_letter_id if more else None}

        return decide

    async def _insist(self, change: Change, decide: Decide) -> JsonObject:
        for left in reversed(range(_TRIES)):
            try:
                _, answer = await self._changing.carry_out(change, decide)
            except StoreUnavailable:
                if not left:
                    raise
            else:
                return answer
        raise AssertionError("the last try returns or raises")
