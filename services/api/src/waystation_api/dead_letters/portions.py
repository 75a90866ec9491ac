"""Dead letters of several instances at once: read by a few statements, decided, written by one. The remaining
ones are done under the lock of their instance (`bulk`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from waystation_core.decisions import Decisions
from waystation_core.ports.store import (
    AuditedCall,
    DeadLetterFilter,
    InstanceDeadLetters,
    QueryStore,
    Tally,
)
from waystation_domain import dead_letters
from waystation_domain.draft import Draft
from waystation_domain.model import Delivery, Event

log = structlog.get_logger(__name__)

_LETTERS_OF_EACH = 10
"""An instance with more gets a transaction of its own."""

Act = Callable[
    [Draft, Sequence[dead_letters.OpenDeadLetter], Sequence[tuple[Delivery, Event]]],
    int,
]
"""Resolves dead letters of one instance; returns how many. It also gets the HELD deliveries."""


@dataclass(frozen=True, slots=True)
class DeadLetterAction:
    """What to do with which dead letters, and for which request."""

    rpc: str
    request_id: str
    filter: DeadLetterFilter
    act: Act
    namespace: str
    by: AuditedCall | None = None
    """The call that asks for it."""


class DeadLetterPortions:
    """Resolves dead letters of several instances in one transaction."""

    def __init__(self, queries: QueryStore, decisions: Decisions) -> None:
        self._queries = queries
        self._decisions = decisions

    async def resolve(self, action: DeadLetterAction, keys: Sequence[int]) -> Sequence[int]:
        """Returns the remaining instances. If anything fails, these are all of them: done one by one, the
        faulty one shows."""

        def decide(one: InstanceDeadLetters, draft: Draft) -> int:
            return action.act(draft, one.dead_letters, one.held)

        tally = Tally(action.rpc, action.request_id, {}, namespace=action.namespace)
        try:
            found = await self._queries.open_dead_letters(
                keys, action.filter, limit=_LETTERS_OF_EACH, namespace=action.namespace
            )
            unmoved = await self._decisions.where_unmoved(
                found.of, decide, tally=tally, by=action.by
            )
        except Exception:
            log.warning("letters_taken_apart", instances=len(keys), exc_info=True)
            return keys
        return sorted({*found.remaining, *unmoved.remaining})
