"""Instances in a real database, moved the way API and routers move them, and looked at whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from waystation_api.workflows.past import entries_of
from waystation_core.ids import new_id
from waystation_core.ports.store import Locked
from waystation_core.providers import PROVIDERS
from waystation_core.store.connections import Connections
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_domain import actions
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import Delivery, Event, Instance, JsonObject, NewEvent, OnFailure
from waystation_domain.operations import apply, from_json
from waystation_domain.outcomes import CallResult, Outcome, Verdict
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec

ROUTER = new_id()
TABLES = (
    "workflow_instances",
    "history",
    "events",
    "outbox",
    "deliveries",
    "dead_letters",
    "timers",
)


def task(
    task_id: str, *, on_failure: OnFailure = OnFailure.FAIL_WORKFLOW, attempts: int = 3
) -> TaskSpec:
    return TaskSpec(
        task_id,
        "service",
        ("*",),
        ("*",),
        on_failure=on_failure,
        retry=RetryPolicy(max_attempts=attempts, initial_backoff=0.0),
    )


def a_start(
    workflow_instance_id: str | None = None,
    data: JsonObject | None = None,
    *,
    request_id: str | None = None,
    digest: bytes = b"content",
    priority: int | None = None,
    deadline: float | None = None,
) -> actions.Start:
    return actions.start(
        providers=PROVIDERS,
        workflow_instance_id=workflow_instance_id or new_id(),
        workflow_type="claim",
        data={} if data is None else data,
        payload=None,
        correlation_id="correlation",
        priority=priority,
        metadata={"traceparent": "00-1"},
        digest=digest,
        request_id=request_id,
        namespace="default",
        deadline=deadline,
    )


class Engine:
    """An engine store with the moves that tests make."""

    def __init__(self, connections: Connections) -> None:
        self.pool = connections.hot
        self.questions = connections.questions
        self.store = PostgresEngineStore(connections.hot)
        self.queries = PostgresQueryStore(connections)

    async def started(self, data: JsonObject | None = None) -> tuple[Instance, Event]:
        start = a_start(data=data)
        (answer,) = await self.store.start([start])
        assert answer.created
        return answer.instance, start.event

    async def generation(self) -> int:
        return int((await self.rows("SELECT generation FROM registry"))[0][0])

    async def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the engine's tables: two looks are equal when nothing was written."""
        return {
            table: await self.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES
        }

    async def instance(self, key: int) -> Instance:
        ids = await self.rows(
            "SELECT workflow_instance_id FROM workflow_instances WHERE key = %s", key
        )
        (instance,) = (await self.queries.instances([ids[0][0]])).values()
        return instance

    # --- the first form --------------------------------------------------------------------

    async def decide(
        self, event_id: str, by: TaskSpec, outcome: Outcome, *, attempt: int = 1
    ) -> InstanceCommit:
        """Loads an event and decides on one result, as a router does before the fast commit."""
        loaded = await self.store.load([event_id])
        event, key = loaded.events[event_id]
        instance = loaded.instances[key]
        draft = Draft(instance, facts=loaded.facts, rules=Rules(PROVIDERS), now=datetime.now(UTC))
        result = CallResult(by, attempt, instance.version, outcome, duration_us=1500)
        apply_touch(draft, EventTouch(event, (by,), {by.task_id: result}), router_id=ROUTER)
        return draft.commit()

    async def write(self, *commits: InstanceCommit, generation: int | None = None) -> set[int]:
        """Commits as one statement; the keys that were written."""
        if generation is None:
            generation = await self.generation()
        return set((await self.store.commit(commits, generations={"default": generation})).keys)

    async def handle(
        self, event: Event | str, by: TaskSpec, outcome: Outcome, *, attempt: int = 1
    ) -> InstanceCommit:
        event_id = event if isinstance(event, str) else event.event_id
        commit = await self.decide(event_id, by, outcome, attempt=attempt)
        assert await self.write(commit) == {commit.before.key}
        await self.check_copy(commit)
        return commit

    # --- the second form -------------------------------------------------------------------

    @staticmethod
    def draft(locked: Locked, facts: Mapping[str, EventFacts] | None = None) -> Draft:
        return Draft(
            locked.instance,
            facts=locked.facts if facts is None else facts,
            rules=Rules(PROVIDERS),
            now=locked.now,
            log=locked.log,
        )

    @asynccontextmanager
    async def drafting(
        self, key: int, *event_ids: str, since: int | None = None
    ) -> AsyncIterator[tuple[Locked, Draft]]:
        """A draft of the locked instance, written when the block ends."""
        async with self.store.locked(key=key, event_ids=event_ids, since=since) as locked:
            draft = self.draft(locked)
            yield locked, draft
            await locked.write(draft.commit())

    async def handle_locked(
        self, key: int, event: Event, by: TaskSpec, outcome: Outcome, *, base: int, attempt: int = 1
    ) -> Verdict:
        result = CallResult(by, attempt, base, outcome)
        async with self.drafting(key, event.event_id, since=base) as (_, draft):
            touch = EventTouch(event, (by,), {by.task_id: result})
            return apply_touch(draft, touch, router_id=ROUTER)[by.task_id]

    async def touch_rows(self, key: int, event: Event, *rows: Delivery) -> None:
        """The first touch of an event that gives its deliveries these rows."""
        async with self.drafting(key, event.event_id) as (_, draft):
            touch = EventTouch(
                event,
                tuple(task(row.task_id) for row in rows),
                {},
                {row.task_id: row for row in rows},
            )
            apply_touch(draft, touch, router_id=ROUTER)

    async def publish(self, key: int, event_type: str = "news") -> Event:
        async with self.drafting(key) as (_, draft):
            return actions.publish(draft, NewEvent(event_type, {}))

    # --- checking --------------------------------------------------------------------------

    async def check_copy(self, commit: InstanceCommit) -> None:
        """What is stored is what was decided, and the copy has the times of the database."""
        assert await self.instance(commit.after.key) == commit.after

    async def check(self, keys: Sequence[int]) -> None:
        """What is true of every instance at any time, from the rows alone."""
        for key in keys:
            instance = await self.instance(key)
            entries = [one.entry async for one in entries_of(self.queries, key, instance.version)]
            assert [one.sequence for one in entries] == list(range(1, instance.version + 1))
            data: JsonObject = {}
            for entry in entries:
                data = apply(data, [from_json(operation) for operation in entry.change or ()])
            assert data == instance.data
            (counted,) = await self.rows(
                "SELECT count(*) FROM (SELECT event_id FROM outbox WHERE instance_key = %s "
                "UNION SELECT event_id FROM deliveries WHERE instance_key = %s) o",
                key,
                key,
            )
            assert instance.unsettled == counted[0]
            (events,) = await self.rows("SELECT count(*) FROM events WHERE instance_key = %s", key)
            assert instance.event_count == events[0]
