"""Tasks as classes: the alternative to the decorator."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any, Literal

from waystation_worker.context import TaskContext
from waystation_worker.tasks import Backoff
from waystation_worker.times import Span


class Task(ABC):
    """A task as a class, for tasks that need collaborators, a common base class or several
    instances.

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

    `task_id`, `events` and `workflow_types` are required. They and the options have the same
    meaning as in `HandlerService.task`; each may be a class attribute, an instance attribute or a
    property. They are read once, by `HandlerService.add`. One instance handles many events
    concurrently, so do not store the state of one event on `self`.
    """

    task_id: str
    events: Iterable[str]
    workflow_types: Iterable[str]
    timeout: Span = 30.0
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
        """Handles one event and answers through `ctx`. May be `async def`, or a plain function,
        which runs in a thread."""


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
    """The arguments that the decorator would have, by name. Raises TypeError if the value is not an
    instance of a Task, if a required attribute is missing, or if one is misspelt.
    """
    if not isinstance(task, Task):
        if isinstance(task, type):
            hint = f"; add an instance: {task.__name__}()"
        elif callable(task):
            hint = "; functions are declared with @service.task(...)"
        else:
            hint = "; its class must derive from waystation_worker.Task"
        raise TypeError(f"{task!r} is not a Task{hint}")
    if misspelt := _misspelt(task):
        name, meant = misspelt
        raise TypeError(f"task {type(task).__name__} has no option {name}; did you mean {meant}?")
    missing = [name for name in _REQUIRED if not hasattr(task, name)]
    if missing:
        raise TypeError(f"task {type(task).__name__} has no {' and no '.join(missing)}")
    return {name: getattr(task, name) for name in _OPTIONS}


_ALIKE = 0.85
"""Of 1; `max_attemps` is 0.96 of `max_attempts`."""


def _misspelt(task: Task) -> tuple[str, str] | None:
    """An attribute that has almost the name of an option, and that option; an option that is given besides it was
    not meant. Other attributes are the task's own."""
    kinds = type(task).__mro__[: type(task).__mro__.index(Task)]
    given = {name for kind in kinds for name in vars(kind)} | vars(task).keys()
    left = [name for name in _OPTIONS if name not in given]
    for name in sorted(given - {*_OPTIONS}):
        if not name.startswith("_") and not callable(getattr(task, name)):
            for meant in difflib.get_close_matches(name, left, 1, _ALIKE):
                return name, meant
    return None
