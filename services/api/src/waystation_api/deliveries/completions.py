"""CompleteDelivery, FailDelivery and ExtendDelivery.

A handler may pass its work on and answer `pending` while the work is finished already: then the completion
can arrive before that answer is committed. It waits here a little, and is refused as UNAVAILABLE, which
clients retry, if that is not enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from waystation_api.workflows.changes import Change, Changes
from waystation_core.decisions import Decision
from waystation_core.identity.principal import caller
from waystation_core.ports.store import QueryStore
from waystation_core.registries import Registries
from waystation_domain import completions
from waystation_domain.completion_tokens import Attempt
from waystation_domain.completions import AttemptState
from waystation_domain.draft import Draft
from waystation_domain.errors import DeliveryNotFound, DeliveryNotPending, InvalidField
from waystation_domain.model import Delivery, Event, JsonObject
from waystation_domain.outcomes import AttemptError, Reply
from waystation_domain.task_spec import TaskSpec

PATIENCE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.05

Act = Callable[[Draft, Event, TaskSpec, Delivery], bool]
"""Changes the draft; False if that is not possible now."""


class _NotNow(Exception):
    """Nothing was written: try again."""


class Completions:
    """Completes, fails and extends pending deliveries by the tokens of their attempts."""

    def __init__(self, queries: QueryStore, changes: Changes, registries: Registries) -> None:
        self._queries = queries
        self._changes = changes
        self._registries = registries

    async def end(self, change: Change, token: str, outcome: Reply | AttemptError) -> None:
        """Completes a pending delivery, or fails its attempt. Raises InvalidField, DeliveryNotFound,
        DeliveryNotPending, WorkflowEnded, and the error of a broken rule."""

        def act(draft: Draft, event: Event, task: TaskSpec, row: Delivery) -> bool:
            return completions.complete(draft, event, task, row, outcome)

        # A result counts whenever it arrives; a failure only for its own attempt.
        fenced = isinstance(outcome, AttemptError)
        await self._carry_out(change, token, act, fenced=fenced)

    async def extend(self, change: Change, token: str, seconds: float) -> datetime:
        """Extends a pending delivery from now; returns its new deadline."""

        def act(draft: Draft, event: Event, task: TaskSpec, row: Delivery) -> bool:
            completions.extend(draft, row, seconds)
            return True

        answer = await self._carry_out(change, token, act, fenced=True, lasts=seconds)
        return datetime.fromisoformat(answer["deadline"])

    async def _carry_out(
        self, change: Change, token: str, act: Act, *, fenced: bool, lasts: float = 0.0
    ) -> JsonObject:
        registry = self._registries.of(change.namespace)
        attempt = registry.tokens.read(token)
        if attempt is None:
            raise InvalidField(
                "completion_token is not from this installation and namespace; send the token of the "
                "HandleEventRequest unchanged.",
                field="completion_token",
            )
        event_id = attempt.event_id
        # Where callers are known, the token alone is not enough. For a service that the caller may not act for, the
        # answer is that for a delivery that does not exist.
        principal = caller()
        known = registry.task(attempt.task_id)
        if known is not None and not principal.may_act_for(known.service_name, change.namespace):
            raise _unknown(attempt)
        instance = await self._queries.instance_of_event(event_id, namespace=change.namespace)
        if instance is None:
            raise _unknown(attempt)

        async def decide(decision: Decision) -> JsonObject:
            locked = decision.locked
            facts = await locked.facts_of([event_id])
            where, row = completions.attempt_state(facts[event_id], attempt, fenced=fenced)
            if where is AttemptState.IN_CALL:
                raise _NotNow
            task = registry.task(row.task_id) if row is not None else None
            if where is AttemptState.OVER or row is None or task is None:
                raise _unknown(attempt)
            if not principal.may_act_for(task.service_name, change.namespace):
                raise _unknown(attempt)
            event = await locked.event(event_id)
            assert event is not None, "its instance was found by it"
            if not act(decision.draft(facts), event, task, row):
                raise _NotNow
            return {"deadline": (locked.now + timedelta(seconds=lasts)).isoformat()}

        change = replace(change, key=instance)
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                _, answer = await self._changes.carry_out(change, decide)
            except _NotNow:
                if loop.time() >= until:
                    raise DeliveryNotPending(
                        f"The delivery of event {attempt.event_id} to {attempt.task_id} is in call and has "
                        "not answered `pending` yet; retry the request in a moment.",
                        event_id=attempt.event_id,
                        task_id=attempt.task_id,
                    ) from None
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            else:
                return answer


def _unknown(attempt: Attempt) -> DeliveryNotFound:
    return DeliveryNotFound(
        f"No delivery of event {attempt.event_id} to {attempt.task_id} is pending: it has its outcome, or "
        f"attempt {attempt.attempt} is over. ListHistory shows what happened.",
        event_id=attempt.event_id,
        task_id=attempt.task_id,
        attempt=str(attempt.attempt),
    )
