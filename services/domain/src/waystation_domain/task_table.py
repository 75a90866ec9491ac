"""Which tasks handle an event: the only place of that rule."""

from __future__ import annotations

from collections.abc import Iterable

from waystation_domain.task_spec import TaskSpec
from waystation_domain.topics import ONE_WORD, Matcher, matches

_REMEMBERED = 10_000
"""Tasks choose event types; too many of them must not fill the memory."""


def serves(task: TaskSpec, workflow_type: str) -> bool:
    """Whether the task gets events of workflows of that type."""
    return workflow_type in task.workflow_types or ONE_WORD in task.workflow_types


class TaskTable:
    """The tasks of one snapshot of the registry. Immutable; a new snapshot has a new table.

    `tasks` are the current specs: those of each task's newest process, live or not. `announced` are those of
    all live endpoints. A task handles what its own spec or any of these declares: while versions are
    exchanged neither may lose what the other does not know. How a delivery is treated (timeout, attempts) is
    always decided by the current spec.
    """

    def __init__(self, tasks: Iterable[TaskSpec] = (), announced: Iterable[TaskSpec] = ()) -> None:
        self._tasks = {task.task_id: task for task in tasks}
        # Replicas declare the same: it counts once.
        declared = {
            (spec.task_id, spec.event_types, spec.workflow_types): spec
            for spec in (*self._tasks.values(), *announced)
            if spec.task_id in self._tasks
        }
        self._matcher = Matcher(
            (pattern, spec) for spec in declared.values() for pattern in spec.event_types
        )
        self._resolved: dict[tuple[str, str], tuple[TaskSpec, ...]] = {}

    def resolve(self, event_type: str, workflow_type: str) -> tuple[TaskSpec, ...]:
        """The tasks that handle this event type in workflows of that type, ordered by id."""
        place = (event_type, workflow_type)
        found = self._resolved.get(place)
        if found is None:
            task_ids = {
                spec.task_id
                for spec in self._matcher.match(event_type)
                if serves(spec, workflow_type)
            }
            found = tuple(self._tasks[task_id] for task_id in sorted(task_ids))
            if len(self._resolved) >= _REMEMBERED:
                self._resolved.clear()
            self._resolved[place] = found
        return found


def announces(tasks: Iterable[TaskSpec], task_id: str, event_type: str, workflow_type: str) -> bool:
    """Whether one of these specs, those of one endpoint, is of that task and handles the event: an endpoint
    gets only what it declared itself, whatever the task's newest spec says."""
    return any(
        task.task_id == task_id
        and serves(task, workflow_type)
        and any(matches(pattern, event_type) for pattern in task.event_types)
        for task in tasks
    )
