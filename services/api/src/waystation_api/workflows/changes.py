"""Changes of an instance by clients and operators: input, publish, cancel, retry and discard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from waystation_api.audit.audited_call import audited_call
from waystation_api.requests import check_namespace, check_request_id, digest_of
from waystation_api.workflows.instance_queues import InstanceQueues
from waystation_core.decisions import Decision, Decisions, Request
from waystation_core.ports.store import AuditedCall, DeadLetterFact, QueryStore
from waystation_domain import actions, dead_letters
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.draft import Draft
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Delivery,
    Event,
    Instance,
    JsonObject,
    NewEvent,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one instance, with what identifies a repeated request for it."""

    workflow_instance_id: str | None = None
    key: int | None = None
    """Instead of the id."""
    request: Request | None = None
    """None: it came without a request_id."""
    expected_version: int | None = None
    namespace: str = DEFAULT_NAMESPACE
    by: AuditedCall | None = None
    """The call that asks for it."""

    @classmethod
    def of(cls, rpc: str, request: Message, **more: Any) -> Change:
        """What all requests for changes have in common. It empties fields of the request."""
        fields: Any = request
        namespace = check_namespace(fields.namespace)
        request_id = check_request_id(fields.request_id)
        return cls(
            request=Request(rpc, request_id, digest_of(request))
            if request_id is not None
            else None,
            namespace=namespace,
            by=audited_call(),
            **more,
        )


Decide = Callable[[Decision], Awaitable[JsonObject]]
"""Changes the draft, if there is one; returns the RPC's answer as JSON, which can be stored."""


class Changes:
    """Carries changes out."""

    def __init__(self, queries: QueryStore, decisions: Decisions, lines: InstanceQueues) -> None:
        self._queries = queries
        self._decisions = decisions
        self._lines = lines

    async def provide_input(
        self, change: Change, wait_id: str, answer: JsonObject, answered_by: str
    ) -> tuple[Instance, JsonObject]:
        """Answers a wait. Raises WorkflowNotWaiting, WaitIdRequired, WorkflowEnded, PathTypeMismatch."""

        async def decide(decision: Decision) -> JsonObject:
            event = actions.provide_input(decision.draft(), wait_id, answer, answered_by)
            return {"event_id": event.event_id}

        return await self.carry_out(change, decide)

    async def publish(self, change: Change, new: NewEvent) -> tuple[Instance, JsonObject]:
        """Raises an event. Raises WorkflowEnded."""

        async def decide(decision: Decision) -> JsonObject:
            return {"event_id": actions.publish(decision.draft(), new).event_id}

        return await self.carry_out(change, decide)

    async def cancel(self, change: Change, reason: str) -> Instance:
        """Cancels an open instance. Raises WorkflowEnded."""

        async def decide(decision: Decision) -> JsonObject:
            actions.cancel(decision.draft(), reason)
            return {}

        instance, _ = await self.carry_out(change, decide)
        return instance

    async def retry(
        self, change: Change, dead_letter_id: str, payload: JsonObject | None
    ) -> tuple[Instance, DeadLetterFact]:
        """Retries a dead letter. Raises DeadLetterNotFound, DeadLetterResolved, WorkflowEnded."""

        async def decide(decision: Decision) -> JsonObject:
            dead_letter = await decision.locked.dead_letter(dead_letter_id)
            draft, held = await draft_of_dead_letters(decision, [dead_letter])
            dead_letters.retry_dead_letter(draft, dead_letter, payload, held)
            return {}

        return await self._of_letter(change, dead_letter_id, decide)

    async def discard(self, change: Change, dead_letter_id: str) -> tuple[Instance, DeadLetterFact]:
        """Discards a dead letter. Raises DeadLetterNotFound, DeadLetterResolved."""

        async def decide(decision: Decision) -> JsonObject:
            dead_letter = await decision.locked.dead_letter(dead_letter_id)
            draft, held = await draft_of_dead_letters(decision, [dead_letter])
            dead_letters.discard_dead_letter(draft, dead_letter, held)
            return {}

        return await self._of_letter(change, dead_letter_id, decide)

    async def _of_letter(
        self, change: Change, dead_letter_id: str, decide: Decide
    ) -> tuple[Instance, DeadLetterFact]:
        """Carries it out in the dead letter's instance; returns both as they are afterwards."""
        namespace = change.namespace
        dead_letter = await self._queries.dead_letter(dead_letter_id, namespace=namespace)
        named = replace(change, workflow_instance_id=dead_letter.workflow_instance_id)
        if change.by is not None:
            change.by.about(
                workflow_instance_id=dead_letter.workflow_instance_id, task_id=dead_letter.task_id
            )
        instance, _ = await self.carry_out(named, decide)
        # A resolved dead letter does not change: it is read as this request, or the one that it repeats, left
        # it.
        return instance, await self._queries.dead_letter(dead_letter_id, namespace=namespace)

    async def carry_out(self, change: Change, decide: Decide) -> tuple[Instance, JsonObject]:
        """The instance afterwards, and what `decide` returned, now or when the request was new."""

        async def decide_unless_moved(decision: Decision) -> JsonObject:
            actions.expect_version(decision.locked.instance, change.expected_version)
            return await decide(decision)

        async with self._lines.turn((change.namespace, change.workflow_instance_id or change.key)):
            decided = await self._decisions.under_lock(
                decide_unless_moved,
                key=change.key,
                workflow_instance_id=change.workflow_instance_id,
                namespace=change.namespace,
                request=change.request,
                by=change.by,
            )
        return decided.instance, decided.answer


async def draft_of_dead_letters(
    decision: Decision, dead_letters: Sequence[OpenDeadLetter]
) -> tuple[Draft, Sequence[tuple[Delivery, Event]]]:
    """A draft to resolve these dead letters on, and the HELD deliveries that may continue with them."""
    held = await decision.locked.held()
    events = [*(dead_letter.event for dead_letter in dead_letters), *(event for _, event in held)]
    facts = await decision.locked.facts_of([event.event_id for event in events])
    return decision.draft(facts), held
