"""Plays the router for tests of the other parts: applies outcomes that the test dictates."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_core.ids import new_id
from waystation_core.ports.broker import Broker
from waystation_core.ports.store import EngineStore, QueryStore
from waystation_core.providers import PROVIDERS
from waystation_core.relay.relay import Relay
from waystation_domain import timers
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import Delivery, Event, NewEvent, Timer, TimerKind
from waystation_domain.operations import Operation
from waystation_domain.outcomes import AttemptError, CallResult, Outcome, Reply, Verdict
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.task_spec import TaskSpec


def task(task_id: str = "claim_validator", **more: object) -> TaskSpec:
    """A task of the service `claims`."""
    return TaskSpec(task_id, "claims", ("*",), ("*",), **more)  # type: ignore[arg-type]


def reply(*events: str, change: Sequence[Operation] = (), **more: object) -> Reply:
    """An answer that raises these event types."""
    return Reply(
        events=tuple(NewEvent(event, {"from": event}) for event in events),
        change=tuple(change),
        **more,  # type: ignore[arg-type]
    )


def failure(reason: str = "NO_LUCK", *, permanent: bool = False) -> AttemptError:
    return AttemptError("TASK_FAILURE", reason, "it did not work", permanent=permanent)


class ScriptedEngine:
    """Commits what tasks are said to have answered, under the instance's lock."""

    def __init__(self, store: EngineStore, queries: QueryStore, broker: Broker) -> None:
        self._store = store
        self._queries = queries
        self.relay = Relay(store, broker)

    async def pending(self, workflow_instance_id: str, event_type: str) -> Event:
        """The one event of this type that is not settled."""
        found = await self._queries.instances([workflow_instance_id])
        key = found[workflow_instance_id].key
        events = [
            stored.event
            for stored in await self._queries.events(key, limit=1000)
            if stored.event.event_type == event_type and stored.state == "PENDING"
        ]
        assert len(events) == 1, events
        return events[0]

    async def fire(self, workflow_instance_id: str, kind: TimerKind) -> None:
        """Has the time come of a timer that is about the instance itself."""
        async with self._store.locked(workflow_instance_id=workflow_instance_id) as locked:
            draft = Draft(
                locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now
            )
            timers.fire(draft, Timer(kind), timers.FiringFacts())
            await locked.write(draft.commit())

    async def handle(
        self,
        workflow_instance_id: str,
        event_type: str,
        outcome: Outcome | None,
        *,
        by: TaskSpec | None = None,
        attempt: int = 1,
        base_version: int | None = None,
        edit: int = 0,
        tasks: Sequence[TaskSpec] | None = None,
        rows: Sequence[Delivery] = (),
        router_id: str | None = None,
    ) -> Verdict | None:
        """The outcome of one attempt, computed from `base_version` (or the version of now); None as
        outcome: nobody handles it (or only `rows`)."""
        event = await self.pending(workflow_instance_id, event_type)
        by = by or task()
        results = {}
        resolved = list(tasks or ())
        if outcome is not None:
            resolved = resolved or [by]
        async with self._store.locked(
            workflow_instance_id=workflow_instance_id, event_ids=[event.event_id]
        ) as locked:
            if outcome is not None:
                results[by.task_id] = CallResult(
                    by,
                    attempt,
                    locked.instance.version if base_version is None else base_version,
                    outcome,
                    edit=edit,
                    duration_us=1500,
                    service_version="1",
                    endpoint="127.0.0.1:7500",
                )
            draft = Draft(
                locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now
            )
            verdicts = apply_touch(
                draft,
                EventTouch(event, resolved, results, {row.task_id: row for row in rows}),
                router_id=router_id or new_id(),
            )
            commit = draft.commit()
            await locked.write(commit)
        self.relay.committed([commit])
        return verdicts.get(by.task_id)
