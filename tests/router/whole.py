"""A whole router in the test's own process: a real store with scripted faults, the broker in one process,
and endpoints whose calls the test answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from store.instances import Engine, a_start
from support.scripted_store import Script
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.broker.in_process import Hub, InProcessBroker
from waystation_core.ports.broker import AnnouncedEvent, Announcement
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import Answered, Failed
from waystation_core.store.registry import PostgresRegistryStore
from waystation_domain.model import Event, JsonObject
from waystation_domain.outcomes import AttemptError
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskKey, TaskSpec
from waystation_router import app
from waystation_router.app import Router
from waystation_router.endpoints import CallCut, CallOutcome
from waystation_router.endpoints.outcomes import Cancelled
from waystation_router.settings import RouterSettings

SERVICE = "claims"
BUSY = AttemptError("UNAVAILABLE", "BUSY", "later")


def task(task_id: str = "score", *event_types: str, attempts: int = 5, **more: Any) -> TaskSpec:
    """One whose attempts follow each other at once."""
    retry = RetryPolicy(max_attempts=attempts, initial_backoff=0.0, jitter=0.0)
    return TaskSpec(
        task_id, SERVICE, event_types or ("workflow.started",), ("claim",), retry=retry, **more
    )


@dataclass(eq=False)
class Made:
    """A call that the router made."""

    request: pb.HandleEventRequest
    alone: bool
    endpoint: Registration
    outcome: asyncio.Future[CallOutcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def place(self) -> tuple[str, str]:
        return self.request.event.event_id, self.request.task_id

    @property
    def attempt(self) -> int:
        return self.request.attempt

    def answer(self, response: pb.HandleEventResponse | None = None) -> None:
        self.end(Answered(response or pb.HandleEventResponse(result={}), self.endpoint, 0.1))

    def fail(self, error: AttemptError = BUSY) -> None:
        self.end(Failed(error, self.endpoint, 0.1))

    def cut(self) -> None:
        self.end(CallCut("the connection was lost", self.endpoint, 0.1))

    def cancel(self) -> None:
        """By the router."""
        self.end(Cancelled())

    def end(self, outcome: CallOutcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Endpoints:
    """In place of `EndpointDirectory`: calls last until the test ends them, or `on_call` does."""

    def __init__(self) -> None:
        self.calls: list[Made] = []
        self.changed: Callable[[], None] = lambda: None
        """Tells the router that other endpoints can be called now."""
        self.on_call: Callable[[Made], None] = lambda made: None
        self._handlers: Sequence[Registration] = ()
        self._alone = asyncio.Lock()

    def of(self, *_: Any, on_change: Callable[[], None], **__: Any) -> Endpoints:
        """These ones, for the router that is told of changes this way."""
        self.changed = on_change
        return self

    def update(self, handlers: Sequence[Registration]) -> None:
        self._handlers = handlers

    def live_tasks(self) -> frozenset[TaskKey]:
        return frozenset(task.key for handler in self._handlers for task in handler.tasks)

    def states(self) -> list[tuple[str, str, str]]:
        return []

    def report(self) -> dict[str, JsonObject]:
        return {}

    def call(
        self, service: str, request: pb.HandleEventRequest, timeout: float, *, alone: bool = False
    ) -> Made:
        made = Made(request, alone, self._handlers[0])
        self.calls.append(made)
        self.on_call(made)
        return made

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._alone:
            yield

    async def close(self, grace: float = 0.0) -> None:
        for made in self.calls:
            made.cancel()

    async def made(self, number: int, *, timeout: float = 20) -> list[Made]:
        """All calls, once there are so many."""

        async def calls() -> list[Made]:
            return self.calls

        return await eventually(
            calls, until=lambda made: len(made) >= number, timeout=timeout, what="calls"
        )


class WholeRouter:
    """The router with what stands around it."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        monkeypatch: pytest.MonkeyPatch,
        hub: Hub | None = None,
        **more: Any,
    ) -> None:
        """Routers with the same `hub` have the same broker; `more` are settings."""
        self.engine = engine
        self.script = Script()
        self.store = self.script.wrap(engine.store)
        self.registry = PostgresRegistryStore(engine.pool)
        self.endpoints = Endpoints()
        self.hub = hub or Hub()
        self.broker = InProcessBroker(self.hub)
        monkeypatch.setattr(app, "EndpointDirectory", self.endpoints.of)
        settings = RouterSettings(
            database_url=url,  # type: ignore[arg-type]
            broker_url="memory://",  # type: ignore[arg-type]
            router_lease_seconds=5.0,
            **{"stop_grace_seconds": 0.0, **more},
        )
        self.router = Router(
            settings,
            store=self.store,
            registry_store=self.script.wrap(self.registry),
            broker=self.broker,
        )
        self._started = False

    async def register(self, *tasks: TaskSpec) -> None:
        await self.registry.register(Registration("", SERVICE, "1", "127.0.0.1", 7500, True, tasks))

    async def start(self) -> None:
        """All of it, with its loops."""
        await self.router.start()
        self._started = True

    async def stop(self) -> None:
        self.script.heal()
        if self._started:
            await self.router.stop()

    async def begin(self, number: int = 1) -> list[Event]:
        """Starts workflows and announces their first events."""
        starts = [a_start() for _ in range(number)]
        await self.engine.store.start(starts)
        for start in starts:
            announced = AnnouncedEvent(
                start.event.event_id,
                start.instance.workflow_instance_id,
                start.instance.workflow_type,
                1,
            )
            await self.broker.announce([Announcement(start.event.event_type, 100, (announced,))])
        return [start.event for start in starts]

    async def open_events(self) -> int:
        """Events that are not settled."""
        (row,) = await self.engine.rows(
            "SELECT count(*) FROM (SELECT event_id FROM outbox UNION SELECT event_id FROM deliveries) o"
        )
        return int(row[0])

    async def all_settled(self, *, timeout: float = 20) -> None:
        await eventually(
            self.open_events, until=lambda n: n == 0, timeout=timeout, what="all to be settled"
        )

    async def leased(self, *, in_hand: bool = False) -> list[tuple[Any, ...]]:
        """Deliveries leased to this router, by the database; `in_hand`: only those that it told to have."""
        return await self.engine.rows(
            "SELECT event_id::text, task_id FROM deliveries d JOIN routers r ON r.router_id = leased_by "
            "WHERE state = 2 AND leased_by = %s AND (since < in_hand_before OR NOT %s)",
            self.router.router_id,
            in_hand,
        )
