"""Results of one instance, decided under its lock by what is there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from waystation_core.decisions import Decision, Decisions
from waystation_core.ports.store import Locked, RegistryMoved, WriteRefused
from waystation_core.registry_copy import RegistryCopy
from waystation_domain.commit import SETTLED, EventFacts, InstanceCommit
from waystation_domain.draft import Draft
from waystation_domain.model import Delivery, DeliveryState
from waystation_domain.outcomes import AttemptError, Verdict
from waystation_domain.results import EventTouch, apply_touch, take_turn
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import Handling

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
    asked: TaskSpec | None = None
    """The task for which it asked for the instance's turn; then the commit was about nothing else."""
    has_turn: bool = True
    """Whether it may be called now: no other delivery has the turn it asked for."""

    @property
    def must_wait(self) -> bool:
        """Whether another delivery has the instance's turn."""
        return not self.has_turn or Verdict.WAIT in self.verdicts.values()


class LockedCommits:
    """Commits the handlings of one instance under its lock."""

    def __init__(self, decisions: Decisions, registry: RegistryCopy, router_id: str) -> None:
        self._decisions = decisions
        self._registry = registry
        self._router_id = router_id

    async def commit(
        self, key: int, handlings: Sequence[Handling]
    ) -> tuple[InstanceCommit, list[Decided]]:
        """What was written and what became of each event. Raises StoreUnavailable, and RegistryMoved
        where that kept happening.

        It decides about what is there now. A result that comes while it waits for the lock is left
        for the next commit: the writes read under the lock go back to what is known now, and may
        not reach back to what that result was computed from.
        """
        found = [Found(handling, self._router_id) for handling in handlings]
        while True:
            try:
                return await self._commit(key, found)
            except WriteRefused as refused:
                # An answer that Postgres can't hold would be refused for ever: it fails its attempt.
                log.error("results_refused", error=str(refused.__cause__), instance_key=key)
                _fail_results(found)
                found = [Found(handling, self._router_id) for handling in handlings]

    async def _commit(
        self, key: int, found: Sequence[Found]
    ) -> tuple[InstanceCommit, list[Decided]]:
        async def decide(decision: Decision) -> list[Decided]:
            draft = decision.draft()
            decided = [self._decide(draft, one, decision.locked) for one in found]
            for one in decided:
                one.facts = draft.facts(one.handling.event_id)
            return decided

        bases = [result.base_version for one in found for result in one.touch.results.values()]
        done = await self._decisions.under_lock(
            decide,
            key=key,
            event_ids=[one.handling.event_id for one in found],
            since=min(bases, default=None),
        )
        assert done.commit is not None, "there is a draft each time"
        return done.commit, done.answer

    def _decide(self, draft: Draft, found: Found, locked: Locked) -> Decided:
        handling, touch = found.handling, found.touch
        if locked.facts.get(handling.event_id, SETTLED).in_outbox:
            self._resolve_again(handling, locked)
            touch = replace(touch, tasks=handling.tasks)
        if handling.wants_turn is not None:
            return self._take_turn(draft, handling, handling.wants_turn, touch)
        verdicts = apply_touch(draft, touch, router_id=self._router_id)
        return Decided(handling, verdicts, found.taken_off, SETTLED)

    def _take_turn(
        self, draft: Draft, handling: Handling, task: TaskSpec, touch: EventTouch
    ) -> Decided:
        call = handling.calls.get(task.task_id)
        has_turn = take_turn(
            draft,
            touch,
            task,
            router_id=self._router_id,
            conflicts=call.conflicts if call is not None else 0,
        )
        return Decided(handling, {}, frozenset(), SETTLED, asked=task, has_turn=has_turn)

    def _resolve_again(self, handling: Handling, locked: Locked) -> None:
        """The tasks of an event are those of the generation its first commit carries."""
        if locked.generation != self._registry.generation:
            raise RegistryMoved
        if handling.generation == self._registry.generation:
            return
        handling.tasks = self._registry.resolve(
            handling.event.event_type, locked.instance.workflow_type
        )
        handling.generation = self._registry.generation


class Found:
    """What there is to commit of one event at this moment."""

    __slots__ = ("handling", "taken_off", "touch")

    def __init__(self, handling: Handling, router_id: str) -> None:
        self.handling = handling
        self.touch = touch_of(handling, router_id)
        self.taken_off = written_rows(handling)
        """Tasks whose deliveries go off the fast way."""


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
    return EventTouch(handling.event, handling.tasks, results, rows, lease=handling.holds)


def written_rows(handling: Handling) -> frozenset[str]:
    """Tasks of this event that have nothing more to do here once the commit is written."""
    return frozenset(
        task_id
        for task_id, call in handling.calls.items()
        if call.row is not None and call.result is None
    )


def _fail_results(found: Sequence[Found]) -> None:
    for one in found:
        for task_id in one.touch.results:
            call = one.handling.calls[task_id]
            if call.result is not None:
                call.result = replace(
                    call.result,
                    outcome=AttemptError(
                        code="INTERNAL",
                        reason="INTERNAL",
                        message="the database refused the result; the router's log has the reason",
                    ),
                )
