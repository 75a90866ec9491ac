"""Tasks as classes: equal in power to the decorator, and as strict."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from worker_sdk.fakes import delivery

from waystation_worker import Backoff, HandlerService, Task, TaskContext
from waystation_worker.values import read_struct

REQUIRED = {"events": ("claim.processed",), "workflow_types": ("insurance_claim",)}
OPTIONS: dict[str, Any] = {
    "timeout": 1.5,
    "max_attempts": 7,
    "backoff": Backoff(0.5, 3, 9, 0),
    "max_in_flight": 4,
    "on_failure": "continue",
    "catch_up": False,
    "history_entries": 12,
    "replayable": True,
    "may_emit": ("x",),
    "reads": ("/a",),
    "writes": (),
}


def make_class(**attributes: Any) -> type[Task]:
    async def handle_event(self: Task, ctx: TaskContext) -> None:
        ctx.emit("handled", {"by": self.task_id})

    return type("Checked", (Task,), {"handle_event": handle_event, **attributes})


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["defaults", "all"])
def test_both_styles_say_the_same_to_waystation(options: dict[str, Any]) -> None:
    async def function(ctx: TaskContext) -> None: ...

    by_decorator, by_class = HandlerService("claims"), HandlerService("claims")
    by_decorator.task("check", **REQUIRED, **options)(function)
    by_class.add(make_class(task_id="check", **REQUIRED, **options)())
    one, other = by_decorator.tasks["check"], by_class.tasks["check"]
    assert one.spec == other.spec
    assert (one.timeout, one.is_async) == (other.timeout, other.is_async)


async def test_a_task_has_its_collaborators_and_may_say_its_options_late() -> None:
    class Price(Task):
        workflow_types = ("insurance_claim",)

        def __init__(self, task_id: str, rate: float) -> None:
            self.task_id = task_id
            self.rate = rate
            self.threads: list[threading.Thread] = []

        @property
        def events(self) -> tuple[str, ...]:  # type: ignore[override]
            return (f"{self.task_id}.requested",)

        def handle_event(self, ctx: TaskContext) -> None:
            self.threads.append(threading.current_thread())
            ctx.complete({"price": ctx.data["amount"] * self.rate})

    service = HandlerService("claims")
    cheap, dear = service.add(Price("cheap", 2)), service.add(Price("dear", 9))
    assert list(service.tasks["dear"].spec.event_types) == ["dear.requested"]
    for task, price in ((cheap, 8), (dear, 36)):
        answer = await service.answer(delivery(task.task_id, {"amount": 4}))
        assert read_struct(answer.result.complete.output) == {"price": price}
    assert dear.threads[0] is not threading.main_thread()


def test_a_class_that_cannot_work_is_refused_at_once() -> None:
    service = HandlerService("claims")
    with pytest.raises(TypeError, match="Checked has no task_id and no workflow_types"):
        service.add(make_class(events=["a"])())
    checked = make_class(task_id="check", **REQUIRED)
    with pytest.raises(TypeError, match=r"add an instance: Checked\(\)"):
        service.add(checked)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="task 'check': timeout"):
        service.add(make_class(task_id="check", timeout=0, **REQUIRED)())
    service.add(checked())
    with pytest.raises(ValueError, match="'check' is declared twice"):
        service.add(checked())


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"max_attemps": 3}, "has no option max_attemps; did you mean max_attempts?"),
        ({"time_out": 3}, "has no option time_out; did you mean timeout?"),
        ({"event": ["x"], "events": None}, "has no option event; did you mean events?"),
    ],
)
def test_a_misspelt_option_of_a_class_is_refused(attributes: dict[str, Any], said: str) -> None:
    given = {"task_id": "check", **REQUIRED, **attributes}
    kind = make_class(**{name: value for name, value in given.items() if value is not None})
    with pytest.raises(TypeError, match=re.escape(said)):
        HandlerService("claims").add(kind())


def test_attributes_of_the_tasks_own_are_no_options() -> None:
    own = make_class(task_id="check", **REQUIRED, event="x", prices={}, read=len, timeouts_seen=0)
    HandlerService("claims").add(own())
