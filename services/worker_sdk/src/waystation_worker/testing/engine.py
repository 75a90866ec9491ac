"""The in-memory engine of tests: workflows of several tasks, and their clock."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from waystation_conversion import task_spec_from_proto
from waystation_conversion.sizes import json_size
from waystation_domain import actions
from waystation_domain.draft import Rules
from waystation_domain.limits import MAX_EVENTS_PER_INSTANCE
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.providers import Providers
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable
from waystation_worker.errors import WorkflowAlreadyExists
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.calls import START_OF_TIME, as_json, number
from waystation_worker.testing.memory import Memory
from waystation_worker.testing.refusals import refusing
from waystation_worker.testing.router import Router
from waystation_worker.testing.run import WorkflowRun
from waystation_worker.times import MILLISECOND, Span, seconds_of, span
from waystation_worker.values import Model, copied


class TestEngine:
    """Runs workflows through the tasks of the given services, without a server or a network.

    It behaves like a busy cluster: several deliveries are called with the same copy of the data, in
    an order that depends on `seed`, and commit in another order; conflicting results are dropped
    and the task is called again. With `duplicates` (the default) each attempt is called twice, as
    after a crash or a duplicate message, and takes effect once.

    The clock moves only with `advance`. Only awaited methods call tasks.
    """

    __test__ = False  # pytest would take it for a class of tests

    def __init__(
        self,
        *services: HandlerService,
        seed: int = 0,
        duplicates: bool = True,
        max_events: int = MAX_EVENTS_PER_INSTANCE,
        start_time: datetime = START_OF_TIME,
    ) -> None:
        self.seed = seed
        self.duplicates = duplicates
        self.now = start_time
        self.runs: list[WorkflowRun] = []
        self.random = random.Random(seed)  # noqa: S311 - order, no secret
        self._max_events = max_events
        self._hosts: dict[str, tuple[HandlerService, HostedTask]] = {}
        self._specs: dict[str, TaskSpec] = {}
        for service in services:
            for task_id, task in service.tasks.items():
                if task_id in self._hosts:
                    raise ValueError(
                        f"task {task_id!r} must belong to one service, not to "
                        f"{self._hosts[task_id][0].name} and {service.name}"
                    )
                self._hosts[task_id] = service, task
                with refusing():
                    self._specs[task_id] = task_spec_from_proto(task.spec, service.name)
        self._tasks = TaskTable(self._specs.values())

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
        """Starts a workflow, which raises `workflow.started`; calls no task yet.

        `payload` is the payload of that event, default the data. If the workflow is still open
        after `workflow_timeout`, it fails. Raises WorkflowAlreadyExists for an existing id.
        """
        name = workflow_instance_id or f"{workflow_type}-{len(self.runs) + 1}"
        if any(run.id == name for run in self.runs):
            raise WorkflowAlreadyExists(f"{name} exists already", code="ALREADY_EXISTS")
        first = as_json(data or {}, "data")
        numbers = count(1)
        # A chance of 0.5 means no jitter: times in tests are exact.
        providers = Providers(lambda: number(next(numbers)), lambda: 0.5, json_size)
        begun = actions.start(
            providers=providers,
            workflow_instance_id=name,
            workflow_type=workflow_type,
            data=first,
            payload=copied(first) if payload is None else as_json(payload, "payload"),
            correlation_id=correlation_id,
            priority=priority,
            metadata=dict(metadata or {}),
            digest=b"",
            request_id=None,
            namespace=DEFAULT_NAMESPACE,
            deadline=None
            if workflow_timeout is None
            else seconds_of(workflow_timeout, "workflow_timeout", shortest=MILLISECOND),
        )
        rules = Rules(providers, self._tasks.resolve, self._max_events)
        memory = Memory(begun, rules, lambda: self.now)
        router = Router(
            memory,
            self._specs,
            self._tasks,
            self._hosts,
            order=self.random,
            duplicates=self.duplicates,
        )
        run = WorkflowRun(memory, router, self.seed)
        self.runs.append(run)
        return run

    async def until_quiet(self) -> None:
        """Calls tasks until nothing is due in any workflow."""
        for run in self.runs:
            await run.until_quiet()

    async def advance(self, by: Span) -> None:
        """Moves the clock; everything that becomes due is called at its own time."""
        end = self.now + span(by, "by", timedelta.max)
        await self.until_quiet()
        while (due := min((run.next_due for run in self.runs if run.next_due), default=end)) < end:
            self.now = due
            await self.until_quiet()
        self.now = end
        await self.until_quiet()
