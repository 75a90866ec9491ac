"""The other way to write a task: a class. All that differs from the decorator is in this file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any, Literal

from waystation_worker.context import TaskContext
from waystation_worker.tasks import Backoff


class Task(ABC):
    """A task as a class, for what needs collaborators, a common base or several instances.

        class PriceOrder(Task):
            task_id = "price_order"
            events = ["order.placed"]
            workflow_types = ["order"]
            max_attempts = 3

            def __init__(self, prices: Prices) -> None:
                self._prices = prices

            async def handle_event(self, ctx: TaskContext) -> None:
                ctx.data["total"] = await self._prices.total(ctx.event.payload["items"])

        service.add(PriceOrder(prices))

    `task_id`, `events` and `workflow_types` are required. They and the options mean what they mean
    in `HandlerService.task`; each may be an attribute of the class or of the instance, or a
    property. They are read once, by `HandlerService.add`. One instance handles many events at the
    same time, so what belongs to one event does not belong on `self`.
    """

    task_id: str
    events: Iterable[str]
    workflow_types: Iterable[str]
    timeout: float = 30.0
    max_attempts: int = 5
    backoff: Backoff | None = None
    max_in_flight: int = 100
    on_failure: Literal["fail_workflow", "continue"] = "fail_workflow"
    catch_up: bool = True
    history_entries: int = 0
    replayable: bool = False
    may_emit: Iterable[str] = ()
    reads: Iterable[str] | None = None
    writes: Iterable[str] | None = None

    @abstractmethod
    def handle_event(self, ctx: TaskContext) -> Awaitable[None] | None:
        """Handles one event; answers through `ctx`. `async def`, or a plain function, which runs
        in a thread."""


_REQUIRED = ("task_id", "events", "workflow_types")
_OPTIONS = (
    *_REQUIRED,
    "timeout",
    "max_attempts",
    "backoff",
    "max_in_flight",
    "on_failure",
    "catch_up",
    "history_entries",
    "replayable",
    "may_emit",
    "reads",
    "writes",
)


def declaration(task: object) -> dict[str, Any]:
    """What the decorator would have been given: its arguments by name.

    Raises TypeError for what is no instance of a Task, and for one that leaves out what is
    required.
    """
    if not isinstance(task, Task):
        hint = f"; add an instance: {task.__name__}()" if isinstance(task, type) else ""
        raise TypeError(f"{task!r} is no Task{hint}")
    missing = [name for name in _REQUIRED if not hasattr(task, name)]
    if missing:
        raise TypeError(f"task {type(task).__name__} has no {' and no '.join(missing)}")
    return {name: getattr(task, name) for name in _OPTIONS}
