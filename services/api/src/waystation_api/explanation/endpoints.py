"""Registered tasks and endpoints for explanations; above all why no endpoint can be called for a delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waystation_core.ports.store import Registration, RegistrySnapshot
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import announces

_SHOWN = 3
"""Endpoints that are listed with their errors."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The registry's tasks and endpoints."""

    snapshot: RegistrySnapshot
    resolve: Callable[[str, str], Sequence[TaskSpec]]
    seen: Sequence[Registration] = ()
    """Endpoints with their state as routers report it, if needed."""

    def is_live(self, task: TaskSpec) -> bool:
        """Whether some endpoint of its service declares it."""
        return any(
            handler.service_name == task.service_name
            and any(announced.task_id == task.task_id for announced in handler.tasks)
            for handler in self.snapshot.handlers
        )

    def task(self, task_id: str) -> TaskSpec | None:
        """The task's spec, also if it is retired."""
        known = (*self.snapshot.tasks, *self.snapshot.retired)
        return next((task for task in known if task.task_id == task_id), None)

    def service_of(self, task_id: str) -> str:
        task = self.task(task_id)
        return task.service_name if task is not None else ""

    def can_be_called(self, task_id: str) -> bool:
        """Whether it is not retired and some endpoint of its service declares it."""
        return any(task.task_id == task_id and self.is_live(task) for task in self.snapshot.tasks)

    def why_not_called(self, task_id: str, event_type: str, workflow_type: str) -> tuple[str, str]:
        """Why a delivery of this task waits for an endpoint, and what helps."""
        service = self.service_of(task_id)
        if any(task.task_id == task_id for task in self.snapshot.retired):
            return "the task is retired", "It becomes a dead letter TASK_RETIRED within seconds."
        if self.can_be_called(task_id):
            if self._announced(task_id, event_type, workflow_type):
                return self._trouble(task_id, service)
            return (
                f"no live endpoint of {service} declares the task for this event any more",
                f"Start an endpoint of {service} whose {task_id} handles `{event_type}` of "
                f"`{workflow_type}`.",
            )
        if any(handler.service_name == service for handler in self.snapshot.handlers):
            return (
                f"no live endpoint of {service} declares the task any more",
                f"Start an endpoint of {service} that declares {task_id}. If none does for a while, the "
                "task is retired and its deliveries become dead letters.",
            )
        return f"its service {service} has no live endpoint", how_to_start(service)

    def _announced(self, task_id: str, event_type: str, workflow_type: str) -> bool:
        """Whether an endpoint itself declares the task for this type, whatever the task's newest spec says."""
        return any(
            announces(handler.tasks, task_id, event_type, workflow_type)
            for handler in self.snapshot.handlers
        )

    def _trouble(self, task_id: str, service: str) -> tuple[str, str]:
        troubled = [
            f"{one.host}:{one.port}: {one.last_error}"
            for one in self.seen
            if one.service_name == service
            and (one.reachable is False or one.last_error)
            and any(task.task_id == task_id for task in one.tasks)
        ]
        if not troubled:
            return (
                f"no endpoint of {service} could be called",
                "Routers retry within seconds; `waystation handlers list` shows the endpoints.",
            )
        more = f"; and {len(troubled) - _SHOWN} more" if len(troubled) > _SHOWN else ""
        return (
            f"{service} cannot be called ({'; '.join(troubled[:_SHOWN])}{more})",
            f"Routers keep retrying. Check the endpoints of {service}: `waystation handlers list`.",
        )


def how_to_start(service: str) -> str:
    """What helps if a service has no live endpoint."""
    return (
        f"Start {service}, or register an endpoint of it: `waystation handlers register "
        f"--service {service} --host HOST --port PORT --task ID:EVENT:TYPE`."
    )
