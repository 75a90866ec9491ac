"""Results of one instance, decided under its lock from its current state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from waystation_core.decisions import Decision, Decisions
from waystation_core.ports.store import Locked, RegistryMoved, WriteRefused
from waystation_core.registries import Registries
from waystation_domain.commit import SETTLED, InstanceCommit
from waystation_domain.draft import Draft
from waystation_domain.outcomes import AttemptError
from waystation_domain.results import EventTouch, apply_touch, take_turn
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import Handling
from waystation_router.portions import Touched, touch_of, written_rows

log = structlog.get_logger(__name__)


class LockedCommits:
    """Commits the results of one instance under its lock."""

    def __init__(self, decisions: Decisions, registries: Registries, router_id: str) -> None:
        self._decisions = decisions
        self._registries = registries
        self._router_id = router_id

    async def commit(
        self, key: int, handlings: Sequence[Handling]
    ) -> tuple[InstanceCommit, list[Touched]]:
        """What was written, and the outcome for each event. Raises StoreUnavailable, and RegistryMoved if
        that kept happening.

        It decides about the results known when it begins. One that arrives while it waits for the lock is
        left for the next commit: the writes that are read under the lock may not go back to that result's
        version.
        """
        found = [Found(handling, self._router_id) for handling in handlings]
        while True:
            try:
                return await self._commit(key, found)
            except WriteRefused as refused:
                # An answer that Postgres cannot hold would be refused for ever: it fails its attempt.
                log.error("results_refused", error=str(refused.__cause__), instance_key=key)
                _fail_results(found)
                found = [Found(handling, self._router_id) for handling in handlings]

    async def _commit(
        self, key: int, found: Sequence[Found]
    ) -> tuple[InstanceCommit, list[Touched]]:
        async def decide(decision: Decision) -> list[Touched]:
            draft = decision.draft()
            touched = [self._decide(draft, one, decision.locked) for one in found]
            for one in touched:
                one.facts = draft.facts(one.handling.event_id)
            return touched

        bases = [result.base_version for one in found for result in one.touch.results.values()]
        done = await self._decisions.under_lock(
            decide,
            key=key,
            event_ids=[one.handling.event_id for one in found],
            since=min(bases, default=None),
            announces=False,
        )
        assert done.commit is not None, "there is a draft each time"
        return done.commit, done.answer

    def _decide(self, draft: Draft, found: Found, locked: Locked) -> Touched:
        handling, touch = found.handling, found.touch
        if locked.facts.get(handling.event_id, SETTLED).in_outbox:
            self._resolve_again(handling, locked)
            touch = replace(touch, tasks=handling.tasks)
        if handling.wants_turn is not None:
            return self._take_turn(draft, handling, handling.wants_turn, touch)
        verdicts = apply_touch(draft, touch, router_id=self._router_id)
        return Touched(handling, verdicts, found.taken_off, SETTLED)

    def _take_turn(
        self, draft: Draft, handling: Handling, task: TaskSpec, touch: EventTouch
    ) -> Touched:
        call = handling.calls.get(task.task_id)
        has_turn = take_turn(
            draft,
            touch,
            task,
            router_id=self._router_id,
            conflicts=call.conflicts if call is not None else 0,
        )
        return Touched(handling, {}, frozenset(), SETTLED, asked=task, has_turn=has_turn)

    def _resolve_again(self, handling: Handling, locked: Locked) -> None:
        """The tasks of an event are those of the generation of its first commit."""
        instance = locked.instance
        registry = self._registries.of(instance.namespace)
        if locked.generation != registry.generation:
            raise RegistryMoved(instance.namespace)
        if handling.generation == registry.generation:
            return
        handling.tasks = registry.resolve(handling.event.event_type, instance.workflow_type)
        handling.generation = registry.generation


class Found:
    """What there is to commit of one event at this point."""

    __slots__ = ("handling", "taken_off", "touch")

    def __init__(self, handling: Handling, router_id: str) -> None:
        self.handling = handling
        self.touch = touch_of(handling, router_id)
        self.taken_off = written_rows(handling)
        """Tasks whose deliveries get rows."""


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
                        message="the database refused the result; see the router's log",
                    ),
                )
