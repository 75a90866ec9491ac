"""The second form of the commit: lock one instance, read everything anew, decide, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from waystation_core.domain.commit import SETTLED, EventFacts, InstanceCommit
from waystation_core.domain.draft import Draft, Rules
from waystation_core.domain.model import Delivery, DeliveryState
from waystation_core.domain.results import (
    AttemptError,
    EventTouch,
    Verdict,
    apply_touch,
    take_turn,
)
from waystation_core.ports.store import EngineStore, Locked, RegistryMoved, WriteRefused
from waystation_router.ledger import Handling
from waystation_router.registry import RegistryCopy

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Decided:
    """What became of one event's touch."""

    handling: Handling
    verdicts: dict[str, Verdict]
    """Of results, by task_id."""
    rows: frozenset[str]
    """Tasks whose deliveries went off the fast way."""
    facts: EventFacts
    """Where the event stands after the commit."""


class LockedCommits:
    """Commits the handlings of one instance under its lock."""

    def __init__(
        self, store: EngineStore, registry: RegistryCopy, rules: Rules, router_id: str
    ) -> None:
        self._store = store
        self._registry = registry
        self._rules = rules
        self._router_id = router_id

    async def commit(
        self, key: int, handlings: Sequence[Handling]
    ) -> tuple[InstanceCommit, list[Decided]]:
        """What was written and what became of each event. Raises StoreUnavailable."""
        while True:
            try:
                return await self._once(key, handlings)
            except RegistryMoved:
                await self._registry.refresh()
            except WriteRefused as refused:
                # An answer that Postgres can't hold would be refused for ever: it fails its attempt.
                log.error("results_refused", error=str(refused.__cause__), instance_key=key)
                _fail_results(handlings)

    async def _once(
        self, key: int, handlings: Sequence[Handling]
    ) -> tuple[InstanceCommit, list[Decided]]:
        bases = [
            call.base_version
            for handling in handlings
            for call in handling.calls.values()
            if call.result is not None
        ]
        async with self._store.locked(
            key=key,
            event_ids=[handling.event_id for handling in handlings],
            since=min(bases, default=None),
        ) as locked:
            if locked.generation != self._registry.generation:
                await self._registry.refresh(at_least=locked.generation)
            draft = Draft(
                locked.instance,
                facts=locked.facts,
                rules=self._rules,
                now=locked.now,
                log=locked.log,
            )
            decided = [self._decide(draft, handling, locked) for handling in handlings]
            commit = draft.commit()
            await locked.write(commit)
        for one in decided:
            one.facts = draft.facts(one.handling.event_id)
        return commit, decided

    def _decide(self, draft: Draft, handling: Handling, locked: Locked) -> Decided:
        if locked.facts.get(handling.event_id, SETTLED).in_outbox:
            self._resolve_again(handling, locked)
        touch = touch_of(handling, self._router_id)
        if handling.wants_turn is not None:
            take_turn(draft, touch, handling.wants_turn, router_id=self._router_id)
            return Decided(handling, {}, frozenset(), SETTLED)
        verdicts = apply_touch(draft, touch, router_id=self._router_id)
        return Decided(handling, verdicts, written_rows(handling), SETTLED)

    def _resolve_again(self, handling: Handling, locked: Locked) -> None:
        """The tasks of an event are those of the generation its first commit carries."""
        if handling.generation == self._registry.generation:
            return
        handling.tasks = self._registry.resolve(
            handling.event.event_type, locked.instance.workflow_type
        )
        handling.generation = self._registry.generation


def touch_of(handling: Handling, router_id: str) -> EventTouch:
    """What is to be written of an event, as the domain takes it."""
    results, rows = {}, {}
    for task_id, call in handling.calls.items():
        if call.result is not None:
            results[task_id] = call.result
        elif call.row is not None:
            rows[task_id] = call.row
        elif handling.holds:
            rows[task_id] = Delivery(
                event_id=handling.event_id,
                task_id=task_id,
                state=DeliveryState.LEASED,
                attempts=call.attempt - 1,
                suspect=call.suspect,
                leased_by=router_id,
                edit=call.edit,
                payload=call.payload,
            )
    return EventTouch(handling.event, handling.tasks, results, rows)


def written_rows(handling: Handling) -> frozenset[str]:
    """Tasks of this event that have nothing more to do here once the commit is written."""
    return frozenset(
        task_id
        for task_id, call in handling.calls.items()
        if call.row is not None and call.result is None
    )


def _fail_results(handlings: Sequence[Handling]) -> None:
    for handling in handlings:
        for call in handling.calls.values():
            if call.result is not None:
                call.result = replace(
                    call.result,
                    outcome=AttemptError(
                        code="INTERNAL",
                        reason="INTERNAL",
                        message="the database refused the result; the router's log has the reason",
                    ),
                )
