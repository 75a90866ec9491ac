"""The engine in one process, under the test's hand: real routers and the API's real logic over the real
store, with a broker, handler services and a clock that do what the test says."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import structlog
from google.protobuf.json_format import ParseDict
from model import clock
from model.checking import Story, Witness, check
from model.database import Database, Serial
from model.handlers import Answer, Endpoints, Ledger
from model.wire import Wire, WireBroker
from support.registries import UNLIMITED
from support.scripted_store import Script, held

from waystation.v1 import (
    dead_letter_service_pb2,
    delivery_completion_service_pb2,
    workflow_service_pb2,
)
from waystation_api.dead_letters.service import DeadLetterService
from waystation_api.deliveries.completions import Completions
from waystation_api.deliveries.service import DeliveryCompletionService
from waystation_api.handlers.catch_ups import catch_up
from waystation_api.workflows.backlog import Backlog
from waystation_api.workflows.calls import WorkflowCalls
from waystation_api.workflows.changes import Changes
from waystation_api.workflows.instance_queues import InstanceQueues
from waystation_api.workflows.service import WorkflowService
from waystation_api.workflows.starts import Starter
from waystation_api.workflows.waiters import InstanceReader
from waystation_core.background import Contact
from waystation_core.decisions import Decisions
from waystation_core.ports.store import Registration
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_core.rpc.settings import read_settings
from waystation_domain.errors import StoreUnavailable, WaystationError
from waystation_domain.model import OnFailure
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec
from waystation_router import app
from waystation_router.app import Router
from waystation_router.settings import RouterSettings

HOP = 100.0
"""Seconds in which every loop turns once. Far above what a run really takes, far below the lease."""
LEASE = 300.0


def _task(task_id: str, *event_types: str, service: str = "early", **more: Any) -> TaskSpec:
    retry = RetryPolicy(max_attempts=3, initial_backoff=150.0, max_backoff=150.0, jitter=0.0)
    return TaskSpec(task_id, service, event_types, ("flow",), timeout=450.0, retry=retry, **more)


EARLY = (
    _task("begin", "workflow.started"),
    _task("work", "work"),
    _task("twin", "work", on_failure=OnFailure.CONTINUE),
    _task("join", "joined"),
    _task("heard", "user.input.*"),
    _task("after", "workflow.failed", "workflow.cancelled"),
)
LATE = (_task("late", "extra", service="late", on_failure=OnFailure.CONTINUE),)
CONTINUES = frozenset(t.task_id for t in (*EARLY, *LATE) if t.on_failure is OnFailure.CONTINUE)


@dataclass(eq=False)
class Running:
    """A router process."""

    router: Router
    stores: tuple[Serial, ...]
    script: Script
    port: WireBroker
    frozen: bool = False


@dataclass(eq=False)
class Asked:
    """A request of a client, with a request_id, that is made again until it has an answer."""

    make: Callable[[], Awaitable[Any]]
    task: asyncio.Task[Any] | None = None
    answer: Any = None
    refused: str = ""

    @property
    def over(self) -> bool:
        return self.answer is not None or bool(self.refused)


@dataclass(eq=False)
class System:
    """Everything. All that it does is done when a method returns, but for what waits."""

    database: Database
    wire: Wire = field(default_factory=Wire)
    ledger: Ledger = field(default_factory=Ledger)
    routers: list[Running] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    """What the engine's log calls an error."""

    def __post_init__(self) -> None:
        self.loop = clock.SteppedLoop()
        self._numbers = itertools.count(1)
        self._made = itertools.count()
        self._undo: list[Callable[[], Any]] = [clock.under_clock(self.loop.time)]
        self._told: dict[int, list[Any]] = {}
        before = structlog.get_config()
        structlog.configure(processors=[self._log])
        self._undo.append(lambda: structlog.configure(**before))
        self._endpoints_for: Running | None = None
        self.replace(app, "EndpointDirectory", self._endpoints)
        # The same life has the same waits.
        self.providers = replace(PROVIDERS, chance=random.Random(0).random)
        self.replace(app, "PROVIDERS", self.providers)
        self.witness = Witness(self.ledger.answers, CONTINUES)
        self.script = Script()
        self.handlers: dict[str, str] = {}
        self._api = self._build_api()
        self.register(EARLY)

    def replace(self, module: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(module, name, value)
        patch.start()
        self._undo.append(patch.stop)

    def _log(self, logger: Any, method: str, event: dict[str, Any]) -> Any:
        if method in ("error", "exception", "critical"):
            self.errors.append(
                {
                    **event,
                    "trace": structlog.processors.format_exc_info(None, "", dict(event)).get(
                        "exception"
                    ),
                }
            )
        raise structlog.DropEvent

    def number(self) -> int:
        return next(self._numbers)

    # --- running ---------------------------------------------------------------------------

    def run(self, work: Awaitable[Any]) -> Any:
        """Carries out what nothing can hold up."""
        task = self._ensure(work)
        self.loop.settle()
        assert task.done(), "it should have been able to finish"
        return task.result()

    def _ensure(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        async def whole() -> Any:
            return await work

        return self.loop.create_task(whole())

    def advance(self, seconds: float = HOP) -> None:
        """Lets time pass, the database's and everybody's."""
        self.database.age(seconds)
        self.loop.advance(seconds)

    # --- the API ---------------------------------------------------------------------------

    def _build_api(self) -> SimpleNamespace:
        engine, registry, queries = (self.script.wrap(face) for face in self.database.faces())
        relay = Relay(engine, cast(Any, self.wire.port()))
        copy = Registries(registry, look_every=HOP)
        backlog = Backlog(engine, 1_000_000)
        decisions = Decisions(engine, relay, copy, self.providers, max_events=10_000)
        changes = Changes(queries, decisions, InstanceQueues(4))

        async def make() -> SimpleNamespace:
            await copy.refresh()
            unused: Any = None
            return SimpleNamespace(
                engine=engine,
                registry=registry,
                queries=queries,
                relay=relay,
                copy=copy,
                decisions=decisions,
                workflows=WorkflowService(
                    calls=WorkflowCalls(
                        Starter(engine, relay, backlog, Contact(engine.probe), UNLIMITED),
                        unused,
                        copy,
                    ),
                    streams=unused,
                    reader=InstanceReader(queries),
                    reads=unused,
                    watches=unused,
                    changes=changes,
                    replays=unused,
                    forks=unused,
                    registries=copy,
                    backlog=backlog,
                    queries=queries,
                    broker=cast(Any, self.wire.port()),
                ),
                letters=DeadLetterService(queries, changes, unused),
                completions=DeliveryCompletionService(Completions(queries, changes, copy)),
            )

        return cast(SimpleNamespace, self.run(make()))

    def ask(self, service: str, method: str, request: Any) -> Asked:
        """Asks as a client does, that goes away when there is no answer, and may ask again."""

        async def make() -> Any:
            again = type(request)()
            again.CopyFrom(request)
            return await getattr(getattr(self._api, service), method)(again, None)

        asked = Asked(make)
        self.asked.append(asked)
        self.again(asked)
        return asked

    def again(self, asked: Asked) -> None:
        if asked.over or (asked.task is not None and not asked.task.done()):
            return
        asked.task = self._ensure(asked.make())
        asked.task.add_done_callback(lambda task: self._answered(asked, task))
        self.loop.settle()

    @staticmethod
    def _answered(asked: Asked, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreUnavailable):
            return
        if isinstance(error, WaystationError):
            asked.refused = error.reason
        elif not task.cancelled():
            asked.answer = task.result()

    def start(self, name: str, request_id: str, *, count: int = 0) -> Asked:
        request = {
            "workflow_type": "flow",
            "workflow_instance_id": name,
            "data": {"count": count},
            "request_id": request_id,
        }
        return self.ask(
            "workflows",
            "StartWorkflow",
            ParseDict(request, workflow_service_pb2.StartWorkflowRequest()),
        )

    def publish(self, name: str, event_type: str) -> Asked:
        new: dict[str, Any] = {
            "event_type": event_type.removeprefix("later:"),
            "payload": {"by": f"p{self.number()}"},
        }
        if event_type.startswith("later:"):
            new["delay"] = "250s"
        request = {
            "workflow_instance_id": name,
            "event": new,
            "request_id": f"publish-{self.number()}",
        }
        return self.ask(
            "workflows",
            "PublishEvent",
            ParseDict(request, workflow_service_pb2.PublishEventRequest()),
        )

    def cancel(self, name: str) -> Asked:
        request = {"workflow_instance_id": name, "request_id": f"cancel-{self.number()}"}
        return self.ask(
            "workflows",
            "CancelWorkflow",
            ParseDict(request, workflow_service_pb2.CancelWorkflowRequest()),
        )

    def provide_input(self, name: str, wait_id: str) -> Asked:
        request = {
            "workflow_instance_id": name,
            "wait_id": wait_id,
            "input": {f"input-{wait_id}": True},
            "request_id": f"input-{self.number()}",
        }
        return self.ask(
            "workflows",
            "ProvideInput",
            ParseDict(request, workflow_service_pb2.ProvideInputRequest()),
        )

    def letter(self, dead_letter_id: str, *, retry: bool) -> Asked:
        fields = {"dead_letter_id": dead_letter_id, "request_id": f"letter-{self.number()}"}
        pb = dead_letter_service_pb2
        if retry:
            return self.ask("letters", "RetryDeadLetter", pb.RetryDeadLetterRequest(**fields))
        return self.ask("letters", "DiscardDeadLetter", pb.DiscardDeadLetterRequest(**fields))

    def complete(self, token: str, answer: Answer | None) -> Asked:
        """Ends a pending delivery with this answer, or as failed."""
        pb = delivery_completion_service_pb2
        fields: dict[str, Any] = {"completion_token": token, "request_id": f"end-{self.number()}"}
        if answer is None:
            failure = {"reason": "NO_LUCK", "message": "no"}
            return self.ask(
                "completions",
                "FailDelivery",
                ParseDict({**fields, "failure": failure}, pb.FailDeliveryRequest()),
            )
        of = self.ledger.attempts[token]
        self.ledger.answers[answer.token] = (of, answer)
        request = pb.CompleteDeliveryRequest(**fields, result=answer.response({}).result)
        return self.ask("completions", "CompleteDelivery", request)

    def explain(self, name: str) -> Any:
        request = workflow_service_pb2.ExplainWorkflowRequest(workflow_instance_id=name)
        return self.run(self._api.workflows.ExplainWorkflow(request, None))

    def register(self, tasks: tuple[TaskSpec, ...]) -> None:
        """As RegisterHandler does; what its checks of addresses are about does not exist here."""
        service = tasks[0].service_name
        wanted = Registration("", service, "1", "127.0.0.1", len(service), True, tasks)

        async def do() -> None:
            stored, new = await self._api.registry.register(wanted)
            self.handlers[service] = stored.handler_id
            await self._api.copy.refresh()
            for task in tasks:
                if task.task_id in new:
                    await catch_up(task, self._api.registry, self._api.decisions)

        try:
            self.run(do())
        except StoreUnavailable:
            # Its client repeats the call. What is left of the catch-up comes with the second look.
            self.run(do())

    def unregister(self, service: str) -> None:
        self.run(self._api.registry.unregister(self.handlers.pop(service)))

    def look_again(self) -> None:
        """The second look of catch-up."""

        async def do() -> None:
            for task in await self._api.registry.catch_ups_due():
                await catch_up(task, self._api.registry, self._api.decisions)
                await self._api.registry.caught_up(task.task_id, namespace=task.namespace)

        self.run(do())

    # --- routers ---------------------------------------------------------------------------

    def _endpoints(
        self, allowlist: object, *, on_change: Callable[[], None], **_: object
    ) -> Endpoints:
        # The router that is being made, by a name that is known before it is.
        self._making = object()
        return Endpoints(self.ledger, self._making, on_change)

    def start_router(self) -> Running:
        settings = read_settings(
            RouterSettings,
            {
                "WAYSTATION_DATABASE_URL": "postgresql://127.0.0.1:1/none",
                "WAYSTATION_BROKER_URL": "memory://",
                "WAYSTATION_ROUTER_LEASE_SECONDS": str(LEASE),
                # Both ways: with it on, hardly anything that routers raise goes over the broker.
                "WAYSTATION_ROUTER_CONTINUES_LOCALLY": str(next(self._made) % 2 == 0),
            },
        )
        script = Script()
        faces = self.database.faces()
        port = self.wire.port()

        async def make() -> Router:
            router = Router(
                settings,
                store=script.wrap(cast(Any, faces[0])),
                registry_store=script.wrap(cast(Any, faces[1])),
                broker=cast(Any, port),
            )
            await router.start()
            return router

        running = Running(self.run(make()), faces, script, port)
        running.making = self._making  # type: ignore[attr-defined]
        self.routers.append(running)
        return running

    def crash(self, running: Running) -> None:
        """The process is gone, between two of its steps, and everything that it had in memory."""
        self.routers.remove(running)
        for store in running.stores:
            store.alive = False
        self.wire.cut(running.port)
        gone = running.making  # type: ignore[attr-defined]
        self.ledger.calls = [one for one in self.ledger.calls if one.router is not gone]
        running.script.heal()
        self.loop.settle()

    def freeze(self, running: Running) -> None:
        """None of its statements reaches the database until it is thawed."""
        running.frozen = True
        running.script.on("*", held())

    def heal(self, running: Running) -> None:
        running.frozen = False
        running.script.heal()
        self.loop.settle()

    # --- looking ---------------------------------------------------------------------------

    def check(self) -> list[Story]:
        """What must be true now, of every instance."""
        assert not self.errors, self.errors[0].get("trace") or self.errors[0]
        assert not self.loop.faults, self.loop.faults
        stories = self.database.stories()
        for story in stories:
            check(story, self.witness)
            told = self._told.get(story.head.key, [])
            assert story.entries[: len(told)] == told, "S8: history was rewritten"
            self._told[story.head.key] = story.entries
        self._check_answers(stories)
        return stories

    def _check_answers(self, stories: list[Story]) -> None:
        """S1: what was acknowledged is there, once; what was not is there once at most."""
        actions = [entry for story in stories for entry in story.entries if entry.action]
        published = [e.event_id for e in actions if e.action in ("publish", "input")]
        for asked in self.asked:
            event_id = getattr(asked.answer, "event_id", "")
            if event_id:
                assert published.count(event_id) == 1, "S1: an acknowledged event"
        for story in stories:
            marks = [
                story.events[e.event_id].payload["by"]
                for e in story.entries
                if e.action == "publish"
            ]
            assert len(marks) == len(set(marks)), "S1: published twice"

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()
        for undo in reversed(self._undo):
            undo()
