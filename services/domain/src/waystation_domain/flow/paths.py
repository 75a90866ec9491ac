"""Which tasks of a flow lead to which: from a task, by the events that it raises, to the tasks that handle
them."""

from __future__ import annotations

from collections.abc import Iterable

from waystation_domain import lifecycle
from waystation_domain.flow.graph import Flow
from waystation_domain.model import CLIENT, SYSTEM


class Paths:
    """The paths through one flow."""

    def __init__(self, flow: Flow) -> None:
        handlers: dict[str, set[str]] = {}
        for handling in flow.handlings:
            handlers.setdefault(handling.event_type, set()).add(handling.task_id)
        self._next: dict[str, set[str]] = {task.task_id: set() for task in flow.tasks}
        # Events of clients, of the system and of statuses are the beginnings.
        first = {
            handling.task_id
            for handling in flow.handlings
            if lifecycle.is_reserved(handling.event_type)
        }
        # A task that asks for input leads to the tasks that handle the answer or the time-out.
        answered = handlers.get(lifecycle.INPUT_PROVIDED, set()) | handlers.get(
            lifecycle.INPUT_TIMED_OUT, set()
        )
        for raised in flow.raises:
            to = handlers.get(raised.event_type, set())
            if raised.event_type == lifecycle.WAITING:
                to = to | answered
            if raised.raised_by in (CLIENT, SYSTEM):
                first |= to
            else:
                self._next.setdefault(raised.raised_by, set()).update(to)
        self._reached = self._from(first)
        self._after: dict[str, set[str]] = {}

    def reached(self, task_id: str) -> bool:
        """Whether a chain of events from a client or the system leads to the task."""
        return task_id in self._reached

    def follows(self, later: str, earlier: str) -> bool:
        """Whether a chain of events leads from `earlier` to `later`."""
        if earlier not in self._after:
            self._after[earlier] = self._from(self._next.get(earlier, ()))
        return later in self._after[earlier]

    def circles(self) -> list[frozenset[str]]:
        """The largest sets of tasks that all lead to each other; also single tasks that lead to themselves."""
        found: set[frozenset[str]] = set()
        for task_id in self._next:
            if self.follows(task_id, task_id):
                found.add(
                    frozenset(
                        other for other in self._after[task_id] if self.follows(task_id, other)
                    )
                )
        return sorted(found, key=sorted)

    def _from(self, first: Iterable[str]) -> set[str]:
        reached: set[str] = set()
        waiting = list(first)
        while waiting:
            task_id = waiting.pop()
            if task_id not in reached:
                reached.add(task_id)
                waiting.extend(self._next.get(task_id, ()))
        return reached
