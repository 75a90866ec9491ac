"""Dead letters of several instances at once: read by a few statements, decided, written by one.

It is the first form of the commit rule: nothing is locked while it is decided, and an instance is
written only where nothing has moved it since. What can't be done in this form is left, and is done
under the lock of its instance (`bulk`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from waystation_api.tasks import TaskDirectory
from waystation_core.means import MEANS
from waystation_core.ports.store import (
    DeadLetterFilter,
    EngineStore,
    LettersOf,
    OpenLetters,
    QueryStore,
    Tally,
)
from waystation_core.relay.announcing import Relay
from waystation_domain import actions
from waystation_domain.commit import InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import Delivery, Event

log = structlog.get_logger(__name__)

_LETTERS_OF_EACH = 10
"""An instance with more than that is worth a transaction of its own."""

Act = Callable[
    [Draft, Sequence[actions.OpenDeadLetter], Sequence[tuple[Delivery, Event]]],
    int,
]
"""Resolves letters of one instance; answers how many. Its HELD deliveries come with them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done with which dead letters, and for which request."""

    rpc: str
    request_id: str
    filter: DeadLetterFilter
    act: Act
    namespace: str


class LetterPortions:
    """Resolves letters of several instances in one transaction."""

    def __init__(
        self,
        store: EngineStore,
        queries: QueryStore,
        relay: Relay,
        tasks: TaskDirectory,
        *,
        max_events: int,
    ) -> None:
        self._store = store
        self._queries = queries
        self._relay = relay
        self._tasks = tasks
        self._rules = Rules(MEANS, resolve=tasks.resolve, max_events=max_events)

    async def resolve(self, asked: Asked, keys: Sequence[int]) -> Sequence[int]:
        """The instances that are left. All of them are where anything fails: which of them is the
        matter shows when each is done alone."""
        try:
            found = await self._queries.open_letters(
                keys, asked.filter, limit=_LETTERS_OF_EACH, namespace=asked.namespace
            )
            return await self._decide_and_write(asked, found)
        except Exception:
            log.warning("letters_taken_apart", instances=len(keys), exc_info=True)
            return keys

    async def _decide_and_write(self, asked: Asked, found: OpenLetters) -> Sequence[int]:
        left = set(found.left)
        counts: dict[int, int] = {}
        commits: list[InstanceCommit] = []
        # Known before it is decided: what a newer copy of the registry says is not written, then.
        generation = self._tasks.generation
        for one in found.of:
            key = one.instance.key
            try:
                counts[key], commit = self._decide(asked, one)
            except Exception:
                # Its own fault, and told when it is done alone; the others go on.
                left.add(key)
                continue
            if not commit.is_empty:
                commits.append(commit)
            await asyncio.sleep(0)
        if commits:
            written = await self._store.commit(
                commits,
                generation=generation,
                tally=Tally(asked.rpc, asked.request_id, counts, namespace=asked.namespace),
            )
            done = [commit for commit in commits if commit.before.key in written.keys]
            self._relay.committed(done)
            left.update(commit.before.key for commit in commits if commit not in done)
        return sorted(left)

    def _decide(self, asked: Asked, one: LettersOf) -> tuple[int, InstanceCommit]:
        draft = Draft(one.instance, facts=one.facts, rules=self._rules, now=one.now)
        count = asked.act(draft, one.letters, one.held)
        return count, draft.commit()
