"""The engine that a test moves: workflows of several tasks in memory, and the clock they share."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from waystation_worker.errors import WorkflowAlreadyExists
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing import asking
from waystation_worker.testing.answers import Raised
from waystation_worker.testing.calling import START_OF_TIME, as_json, takes
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import STARTED
from waystation_worker.testing.run import WorkflowRun
from waystation_worker.timing import Span, span
from waystation_worker.values import Model, copied


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
        workflow_timeout: Span | None = None,
    ) -> WorkflowRun:
        """A new workflow that has raised `workflow.started`; no task is called yet.

        `payload` is that event's, default the data. It fails when it is open still after
        `workflow_timeout`. Raises WorkflowAlreadyExists for an id in use.
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
            deadline=None
            if workflow_timeout is None
            else self.now + span(workflow_timeout, "workflow_timeout"),
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

    async def advance(self, by: Span) -> None:
        """Moves the clock, and calls what comes due on the way at its own time."""
        end = self.now + span(by, "by", timedelta.max)
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
