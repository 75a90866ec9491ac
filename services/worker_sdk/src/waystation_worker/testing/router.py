"""A router for one workflow, in memory: fires timers, calls tasks, commits answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random

from waystation_conversion import add_history
from waystation_domain.completions import PENDING_TIMED_OUT
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState, Event, JsonObject, TimerKind
from waystation_domain.outcomes import CallResult, Outcome, Verdict
from waystation_domain.results import EventTouch, apply_touch
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable
from waystation_worker.service import HandlerService
from waystation_worker.tasks import HostedTask
from waystation_worker.testing.calls import call
from waystation_worker.testing.memory import HOLDER, Memory, Place

Hosts = Mapping[str, tuple[HandlerService, HostedTask]]
"""Each task's service, and its function."""


@dataclass(frozen=True)
class _Due:
    """A delivery to call."""

    event: Event
    task_id: str
    attempt: int = 1
    edit: int = 0
    payload: JsonObject | None = None


class Router:
    """The deliveries of one workflow. `order` decides what is called together, and what commits first."""

    def __init__(
        self,
        memory: Memory,
        specs: Mapping[str, TaskSpec],
        tasks: TaskTable,
        hosts: Hosts,
        *,
        order: Random,
        duplicates: bool,
    ) -> None:
        self._memory = memory
        self._specs = specs
        self._tasks = tasks
        self._hosts = hosts
        self._order = order
        self._duplicates = duplicates
        # The attempt of each delivery whose duplicate was called.
        self._doubled: dict[Place, int] = {}
        self.conflicts = 0
        """Results that were dropped because others had changed the data that they read."""

    def next_due(self) -> datetime | None:
        """When the next thing becomes due that is not due yet."""
        memory = self._memory
        # The expiry of a settled event has no effect.
        times = [
            at
            for (kind, ref), at in memory.timers.items()
            if kind is not TimerKind.EXPIRY or memory.is_open(ref)
        ]
        for place, row in memory.deliveries.items():
            delivered = memory.treatment(memory.events[row.event_id]) is Treatment.DELIVER
            if row.state is DeliveryState.PENDING or (
                row.state is DeliveryState.READY and delivered
            ):
                times.append(memory.due[place])
        now = memory.clock()
        return min((due for due in times if due > now), default=None)

    def task(self, task_id: str) -> TaskSpec:
        """A registered task."""
        return self._specs[task_id]

    def begin_again(self, event_id: str, task_id: str) -> None:
        """A delivery is retried from its first attempt, and that one is called twice, too."""
        self._doubled.pop((event_id, task_id), None)

    async def round(self) -> bool:
        """Does what needs no task, calls some due deliveries, with one copy of the data, and commits the
        answers. Returns whether anything was due."""
        moved = False
        while self._fire_first() or self._settle_first():
            moved = True
        due, order = self._due(), self._order
        if not due:
            return moved
        order.shuffle(due)
        answers: list[tuple[_Due, int, Outcome]] = []
        for one in due[: order.randint(1, len(due))]:
            place = one.event.event_id, one.task_id
            base = self._memory.instance.version
            self._memory.lease(place)
            answer = await self._call(one)
            if not self._duplicates or self._doubled.get(place) == one.attempt:
                answers.append((one, base, answer))
                continue
            self._doubled[place] = one.attempt
            if order.random() < 0.5:
                answers.append((one, base, answer))
                answers.append((one, base, await self._call(one)))
            # Otherwise its router died before the commit: it is called again later.
        order.shuffle(answers)
        for one, base, answer in answers:
            self._commit(one, base, answer)
        self._memory.give_back()
        return True

    # --- what needs no task ------------------------------------------------------------------------

    def _fire_first(self) -> bool:
        """Fires the first timer that is due, or times out a pending delivery."""
        memory, now = self._memory, self._memory.clock()
        alarms: list[tuple[datetime, tuple[TimerKind, str] | Delivery]] = [
            (at, place) for place, at in memory.timers.items() if at <= now
        ]
        for row in memory.pending():
            if (at := memory.due[row.event_id, row.task_id]) <= now:
                alarms.append((at, row))
        if not alarms:
            return False
        _, first = min(alarms, key=lambda alarm: alarm[0])
        if isinstance(first, Delivery):
            memory.lease((first.event_id, first.task_id))
            event = memory.events[first.event_id]
            cut = _Due(event, first.task_id, first.attempts + 1, first.edit)
            self._commit(cut, memory.instance.version, PENDING_TIMED_OUT)
            memory.give_back()
        else:
            memory.fire(*first)
        return True

    def _settle_first(self) -> bool:
        """Settles or holds the first event that no task has to be called for."""
        memory = self._memory
        for event_id in memory.outbox:
            event = memory.events[event_id]
            tasks = self._tasks.resolve(event.event_type, memory.instance.workflow_type)
            if not tasks or memory.treatment(event) is not Treatment.DELIVER:
                with memory.drafting() as draft:
                    apply_touch(draft, EventTouch(event, tasks), router_id=HOLDER)
                return True
        return False

    # --- calls -------------------------------------------------------------------------------------

    def _due(self) -> list[_Due]:
        memory, now = self._memory, self._memory.clock()
        due: list[_Due] = []
        for event in memory.events.values():
            if memory.treatment(event) is not Treatment.DELIVER:
                continue
            if event.event_id in memory.outbox:
                tasks = self._tasks.resolve(event.event_type, memory.instance.workflow_type)
                due += [_Due(event, task.task_id) for task in tasks]
            due += [
                _Due(event, row.task_id, row.attempts + 1, row.edit, row.payload)
                for row in memory.rows_of(event.event_id)
                if row.state is DeliveryState.READY and memory.due[row.event_id, row.task_id] <= now
            ]
        return due

    async def _call(self, one: _Due) -> Outcome:
        memory = self._memory
        service, task = self._hosts[one.task_id]
        newest_first = memory.history[: -task.spec.history_entries - 1 : -1]
        return await call(
            service,
            task,
            one.event,
            memory.instance,
            attempt=one.attempt,
            edit=one.edit,
            payload=one.payload,
            add_history=partial(add_history, newest_first=newest_first),
        )

    def _commit(self, one: _Due, base: int, outcome: Outcome) -> None:
        """Commits one answer, computed from version `base`: it takes effect once, or not at all."""
        memory, event = self._memory, one.event
        tasks = self._tasks.resolve(event.event_type, memory.instance.workflow_type)
        service, _ = self._hosts[one.task_id]
        result = CallResult(
            self._specs[one.task_id],
            one.attempt,
            base,
            outcome,
            edit=one.edit,
            service_version=service.version,
        )
        touch = EventTouch(event, tasks, {one.task_id: result})
        with memory.drafting() as draft:
            verdicts = apply_touch(draft, touch, router_id=HOLDER)
        self.conflicts += verdicts.get(one.task_id) is Verdict.CONFLICT
