"""Workflows of several tasks in memory: the engine that a test moves, and one run of a workflow."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from waystation_worker.errors import WorkflowAlreadyExists
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing import asking, committing
from waystation_worker.testing.answers import Raised, TaskResult
from waystation_worker.testing.calling import START_OF_TIME, Snapshot, as_json, call, takes
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import STARTED, DeadLetter, Delivery, Entry
from waystation_worker.testing.telling import entry_message, timeline
from waystation_worker.values import Json, Model, copied
from waystation_worker.workflows import EventEntry, Failure, Wait


class Stuck(AssertionError):
    """The workflow does not come where the test wants it; the message says what it waits for."""


class TestEngine:
    """Runs workflows through the tasks of the given services, without a server or a network.

    Delivers as a busy cluster may: several deliveries are called on one copy of the data, in an
    order that `seed` decides, and commit in another; what conflicts is called again. With
    `duplicates` (the default) each attempt is called twice, as after a crash or a message that
    came twice, and takes effect once: so tasks are called more often than they commit.

    Time stands still but for `advance`. What is awaited calls tasks; nothing else does.
    """

    __test__ = False  # pytest would take it for a class of tests

    def __init__(
        self,
        *services: HandlerService,
        seed: int = 0,
        duplicates: bool = True,
        max_events: int = 10_000,
        start_time: datetime = START_OF_TIME,
    ) -> None:
        self.seed = seed
        self.duplicates = duplicates
        self.now = start_time
        self.runs: list[WorkflowRun] = []
        self.random = random.Random(seed)  # noqa: S311 - order, no secret
        self._services = services
        self._max_events = max_events
        hosts: dict[str, str] = {}
        for service in services:
            for task_id in service.tasks:
                if task_id in hosts:
                    raise ValueError(
                        f"task {task_id!r} belongs to one service, not to {hosts[task_id]} "
                        f"and {service.name}"
                    )
                hosts[task_id] = service.name

    def start(
        self,
        workflow_type: str,
        data: Mapping[str, Any] | Model | None = None,
        *,
        payload: Mapping[str, Any] | Model | None = None,
        workflow_instance_id: str | None = None,
        correlation_id: str | None = None,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WorkflowRun:
        """A new workflow that has raised `workflow.started`; no task is called yet.

        `payload` is that event's, default the data. Raises WorkflowAlreadyExists for an id in use.
        """
        name = workflow_instance_id or f"{workflow_type}-{len(self.runs) + 1}"
        if any(run.id == name for run in self.runs):
            raise WorkflowAlreadyExists(f"{name} is there already", code="ALREADY_EXISTS")
        first = as_json(data or {}, "data")
        instance = Instance(
            name,
            workflow_type,
            first,
            correlation_id=correlation_id,
            find_tasks=self._find_tasks,
            clock=lambda: self.now,
            max_events=self._max_events,
        )
        given = copied(first) if payload is None else as_json(payload, "payload")
        asking.start(instance, Raised(STARTED, given, priority, dict(metadata or {})))
        run = WorkflowRun(self, instance)
        self.runs.append(run)
        return run

    async def until_quiet(self) -> None:
        """Calls tasks until nothing is due in any workflow."""
        for run in self.runs:
            await run.until_quiet()

    async def advance(self, seconds: float) -> None:
        """Moves the clock, and calls what comes due on the way at its own time."""
        end = self.now + timedelta(seconds=seconds)
        await self.until_quiet()
        while (due := min((run.next_due for run in self.runs if run.next_due), default=end)) < end:
            self.now = due
            await self.until_quiet()
        self.now = end
        await self.until_quiet()

    def _find_tasks(
        self, event_type: str, workflow_type: str
    ) -> Sequence[tuple[HandlerService, HostedTask]]:
        return [
            (service, task)
            for service in self._services
            for task in service.tasks.values()
            if takes(task.spec.event_types, event_type)
            and ("*" in task.spec.workflow_types or workflow_type in task.spec.workflow_types)
        ]


class WorkflowRun:
    """One workflow in a TestEngine. What it shows are copies."""

    def __init__(self, engine: TestEngine, instance: Instance) -> None:
        self._engine = engine
        self._instance = instance

    # --- what it shows ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its workflow_instance_id."""
        return self._instance.id

    @property
    def status(self) -> str:
        """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED or CANCELLED."""
        return self._instance.status

    @property
    def version(self) -> int:
        """How many entries its history has."""
        return self._instance.version

    @property
    def data(self) -> dict[str, Json]:
        """The workflow's data."""
        data: dict[str, Json] = copied(self._instance.data)
        return data

    @property
    def output(self) -> dict[str, Json] | None:
        """What `complete` gave."""
        output: dict[str, Json] | None = copied(self._instance.output)
        return output

    @property
    def failure(self) -> Failure | None:
        """Why it is FAILED or CANCELLED."""
        return self._instance.failure

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The questions that are open."""
        return self._instance.waits

    @property
    def events(self) -> list[EventEntry]:
        """Every event, in the order in which they were raised, those of the system included."""
        return [
            EventEntry(
                event_id=emitted.event.event_id,
                event_type=emitted.event.event_type,
                state=emitted.state,
                payload=copied(emitted.event.payload),
                raised_by=emitted.event.raised_by,
                causation_id=emitted.event.causation_id or None,
                priority=100 if emitted.event.priority is None else emitted.event.priority,
                created_at=emitted.event.created_at,
            )
            for emitted in self._instance.emitted.values()
        ]

    @property
    def raised(self) -> list[str]:
        """The types of all events."""
        return [event.event_type for event in self.events]

    @property
    def history(self) -> list[Entry]:
        """What was committed, in order."""
        return list(self._instance.history)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The open ones."""
        return [letter for letter in self._instance.dead_letters if letter.state == "OPEN"]

    @property
    def idle(self) -> str | None:
        """Why nothing will ever move it; None while something may."""
        return self._instance.idle

    @property
    def conflicts(self) -> int:
        """How many answers were thrown away because others had changed what they were made from."""
        return self._instance.conflicts

    @property
    def next_due(self) -> datetime | None:
        """When the next attempt is due that is not due yet."""
        waiting = [one.due for one in self._deliverable() if one.due > self._engine.now]
        return min(waiting, default=None)

    def timeline(self) -> str:
        """What happened and what it waits for now, in lines for a person."""
        return timeline(self._instance, self._engine.now, self._engine.seed)

    def __repr__(self) -> str:
        instance = self._instance
        stands = instance.failure or instance.idle or instance.output or ""
        return f"<WorkflowRun {instance.id} {instance.status} {stands}>".replace(" >", ">")

    # --- what clients and operators do -----------------------------------------------------------

    def provide_input(self, answer: Mapping[str, Any] | Model, wait_id: str | None = None) -> None:
        """Answers a question; `wait_id` may be left out where one is open.

        Raises WorkflowNotWaiting, WaitIdRequired and WorkflowEnded as `Client` does.
        """
        asking.provide_input(self._instance, as_json(answer, "input"), wait_id)

    def publish(
        self,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Raises an event from outside. Raises WorkflowEnded, and InvalidRequest for the names
        that belong to the system."""
        given = as_json(payload or {}, "payload")
        asking.publish(self._instance, Raised(event_type, given, priority, dict(metadata or {})))

    def cancel(self, reason: str = "") -> None:
        """Ends it as CANCELLED. Raises WorkflowEnded when it is COMPLETED or FAILED."""
        asking.cancel(self._instance, reason)

    def retry(self, letter: DeadLetter, payload: Mapping[str, Any] | Model | None = None) -> None:
        """Tries a dead letter again from attempt 1, with an edited payload where one is given."""
        asking.retry(
            self._instance, letter, None if payload is None else as_json(payload, "payload")
        )

    def discard(self, letter: DeadLetter) -> None:
        """Gives a dead letter up."""
        asking.discard(self._instance, letter)

    # --- moving it -------------------------------------------------------------------------------

    async def until_quiet(self) -> None:
        """Calls tasks until nothing is due now."""
        while await self._round():
            pass

    async def until(self, reached: Callable[[WorkflowRun], object]) -> None:
        """Calls tasks, a few at a time, until the condition holds. Raises Stuck when nothing is due
        and it does not."""
        __tracebackhide__ = True
        while not reached(self):
            if not await self._round():
                raise Stuck(f"it never came to that\n{self.timeline()}")

    async def until_ended(self) -> None:
        """Calls tasks until nothing is due. Raises Stuck unless the workflow has ended then."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self._instance.is_open:
            raise Stuck(f"it has not ended\n{self.timeline()}")

    async def until_waiting(self) -> Wait:
        """Calls tasks until nothing is due; gives the open question, the first of several. Raises
        Stuck unless there is one."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self.status != "WAITING_FOR_INPUT":
            raise Stuck(f"it asks for nothing\n{self.timeline()}")
        return self.waits[0]

    async def _round(self) -> bool:
        """Calls some of what is due, on one copy of the data, and commits the answers. Says whether
        anything was due."""
        now, order, instance = self._engine.now, self._engine.random, self._instance
        for emitted in instance.pending():
            committing.settle_undeliverable(instance, emitted)
        due = [delivery for delivery in self._deliverable() if delivery.due <= now]
        if not due:
            return False
        order.shuffle(due)
        answers: list[tuple[Delivery, int, int, int, TaskResult]] = []
        for delivery in due[: order.randint(1, len(due))]:
            attempt = delivery.attempts + 1
            mine = (delivery, attempt, delivery.edit, instance.version)
            answer = await self._call(delivery, attempt)
            if not self._engine.duplicates or delivery.doubled == attempt:
                answers.append((*mine, answer))
                continue
            delivery.doubled = attempt
            if order.random() < 0.5:
                answers.append((*mine, answer))
                answers.append((*mine, await self._call(delivery, attempt)))
            # Else whoever called it died before the commit: it is called again later.
        order.shuffle(answers)
        for delivery, attempt, edit, base, answer in answers:
            committing.commit(instance, delivery, answer, attempt=attempt, edit=edit, base=base)
        return True

    def _deliverable(self) -> list[Delivery]:
        return [
            delivery
            for emitted in self._instance.pending()
            if self._instance.treatment(emitted.event) == "DELIVER"
            for delivery in emitted.deliveries
            if delivery.state == "OPEN"
        ]

    async def _call(self, delivery: Delivery, attempt: int) -> TaskResult:
        instance, event = self._instance, delivery.event
        if delivery.payload is not None:
            event = replace(event, payload=delivery.payload)
        with_history = delivery.task.spec.with_history
        return await call(
            delivery.service,
            delivery.task,
            event,
            Snapshot(
                instance.id,
                instance.type,
                instance.status,
                instance.version,
                instance.data,
                tuple(map(entry_message, instance.history)) if with_history else (),
            ),
            attempt=attempt,
            key=delivery.key,
        )
