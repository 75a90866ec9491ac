"""What changes an instance under its lock: input, publish, cancel, retry and discard.

One shape for all: lock, look whether the request was made before, decide by the domain, write,
remember the answer in the same transaction. Announcing follows the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from waystation_api.instance_lines import InstanceLines
from waystation_api.requests import check_namespace, check_request_id, digest_of
from waystation_api.tasks import TaskDirectory
from waystation_core.means import MEANS
from waystation_core.ports.store import (
    DeadLetterFact,
    EngineStore,
    Locked,
    QueryStore,
    RegistryMoved,
    WriteRefused,
)
from waystation_core.relay.announcing import Relay
from waystation_domain import actions
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import DEFAULT_NAMESPACE, Instance, JsonObject, NewEvent

_TRIES = 5
"""A registration between decision and write, or a twin of the request that came first: decide again."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change to one instance, and what makes it recognisable when it is asked for again."""

    rpc: str
    workflow_instance_id: str | None = None
    key: int | None = None
    """Instead of the id."""
    request_id: str | None = None
    digest: bytes = b""
    expected_version: int | None = None
    namespace: str = DEFAULT_NAMESPACE

    @classmethod
    def of(cls, rpc: str, request: Message, **more: Any) -> Change:
        """What all requests for changes have in common. It empties fields of the request."""
        fields: Any = request
        namespace = check_namespace(fields.namespace)
        request_id = check_request_id(fields.request_id)
        return cls(
            rpc=rpc,
            request_id=request_id,
            digest=digest_of(request) if request_id is not None else b"",
            namespace=namespace,
            **more,
        )


Decide = Callable[[Locked, "Drafting"], Awaitable[JsonObject]]
"""Makes the moves, on a draft where there are any; answers with what the RPC answers, in a form
that can be kept."""


class Drafting:
    """Makes the draft once everything that it must know has been read."""

    def __init__(self, locked: Locked, rules: Rules) -> None:
        self._locked = locked
        self._rules = rules
        self.made: Draft | None = None

    def draft(self, facts: Mapping[str, EventFacts] | None = None) -> Draft:
        self.made = Draft(
            self._locked.instance,
            facts=facts or {},
            rules=self._rules,
            now=self._locked.now,
        )
        return self.made


class Changing:
    """Carries changes out."""

    def __init__(
        self,
        store: EngineStore,
        queries: QueryStore,
        relay: Relay,
        tasks: TaskDirectory,
        *,
        max_events: int,
        lines: InstanceLines,
    ) -> None:
        self._store = store
        self._queries = queries
        self._relay = relay
        self._tasks = tasks
        self._max_events = max_events
        self._lines = lines

    async def provide_input(
        self, change: Change, wait_id: str, answer: JsonObject, answered_by: str
    ) -> tuple[Instance, JsonObject]:
        """Answers a wait. Raises WorkflowNotWaiting, WaitIdRequired, WorkflowEnded, PathTypeMismatch."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            event = actions.provide_input(drafting.draft(), wait_id, answer, answered_by)
            return {"event_id": event.event_id}

        return await self.carry_out(change, decide)

    async def publish(self, change: Change, new: NewEvent) -> tuple[Instance, JsonObject]:
        """Raises an event. Raises WorkflowEnded."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            return {"event_id": actions.publish(drafting.draft(), new).event_id}

        return await self.carry_out(change, decide)

    async def cancel(self, change: Change, reason: str) -> Instance:
        """Cancels an open instance. Raises WorkflowEnded."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            actions.cancel(drafting.draft(), reason)
            return {}

        instance, _ = await self.carry_out(change, decide)
        return instance

    async def retry(
        self, change: Change, dead_letter_id: str, payload: JsonObject | None
    ) -> tuple[Instance, DeadLetterFact]:
        """Tries a dead letter again. Raises DeadLetterNotFound, DeadLetterResolved, WorkflowEnded."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            letter = await locked.dead_letter(dead_letter_id)
            held = await locked.held()
            facts = await locked.facts_of(
                [letter.event.event_id, *(event.event_id for _, event in held)]
            )
            draft = drafting.draft(facts)
            actions.retry_dead_letter(draft, letter, payload, held)
            return {}

        return await self._of_letter(change, dead_letter_id, decide)

    async def discard(self, change: Change, dead_letter_id: str) -> tuple[Instance, DeadLetterFact]:
        """Gives a dead letter up. Raises DeadLetterNotFound, DeadLetterResolved."""

        async def decide(locked: Locked, drafting: Drafting) -> JsonObject:
            letter = await locked.dead_letter(dead_letter_id)
            held = await locked.held()
            facts = await locked.facts_of(
                [letter.event.event_id, *(event.event_id for _, event in held)]
            )
            actions.discard_dead_letter(drafting.draft(facts), letter, held)
            return {}

        return await self._of_letter(change, dead_letter_id, decide)

    async def _of_letter(
        self, change: Change, dead_letter_id: str, decide: Decide
    ) -> tuple[Instance, DeadLetterFact]:
        """Carries it out in the letter's instance; answers with both as they are afterwards."""
        namespace = change.namespace
        letter = await self._queries.dead_letter(dead_letter_id, namespace=namespace)
        named = replace(change, workflow_instance_id=letter.workflow_instance_id)
        instance, _ = await self.carry_out(named, decide)
        # What is resolved stays so: it is read as this request, or the one that it repeats, left it.
        return instance, await self._queries.dead_letter(dead_letter_id, namespace=namespace)

    async def carry_out(self, change: Change, decide: Decide) -> tuple[Instance, JsonObject]:
        """Decides under the lock and writes; again where something came between. Answers with the
        instance after it, and with what `decide` answered."""
        for left in reversed(range(_TRIES)):
            try:
                async with self._lines.turn(
                    (change.namespace, change.workflow_instance_id or change.key)
                ):
                    instance, answer, commit = await self._once(change, decide)
            except (RegistryMoved, WriteRefused):
                if not left:
                    raise
                await self._tasks.refresh()
                continue
            if commit is not None and not commit.is_empty:
                self._relay.committed([commit])
            return instance, answer
        raise AssertionError("the last try returns or raises")

    async def _once(
        self, change: Change, decide: Decide
    ) -> tuple[Instance, JsonObject, InstanceCommit | None]:
        async with self._store.locked(
            key=change.key,
            workflow_instance_id=change.workflow_instance_id,
            namespace=change.namespace,
        ) as locked:
            if change.request_id is not None:
                before = await locked.repeated(change.rpc, change.request_id, change.digest)
                if before is not None:
                    return locked.instance, before, None
            actions.expect_version(locked.instance, change.expected_version)
            drafting = Drafting(locked, self._rules(locked))
            answer = await decide(locked, drafting)
            if drafting.made is None:
                return locked.instance, answer, None
            commit = drafting.made.commit()
            await locked.write(commit)
            if change.request_id is not None:
                await locked.remember(change.rpc, change.request_id, change.digest, answer)
            instance = commit.after
            if not commit.is_empty:
                instance = replace(instance, updated_at=locked.now)
            return instance, answer, commit

    def _rules(self, locked: Locked) -> Rules:
        """Tasks are resolved here only while the copy is that of the registry as it is now; else
        what is raised is announced, and a router resolves it."""
        if locked.generation != self._tasks.generation:
            return Rules(MEANS, max_events=self._max_events)
        return Rules(MEANS, resolve=self._tasks.resolve, max_events=self._max_events)
