"""Whatever takes a duration takes seconds and timedelta alike, and refuses everything else in one way."""

from __future__ import annotations

import dataclasses
import inspect
import operator
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from worker_sdk.fakes import delivery

import waystation_worker
from waystation_worker import (
    Backoff,
    Client,
    HandlerService,
    NewEvent,
    NewWorkflow,
    RetryAfter,
    Task,
    TaskContext,
    TaskResult,
    Unavailable,
    testing,
)
from waystation_worker.testing import TestEngine, WorkflowRun

NO_DURATIONS = {
    "Backoff.jitter",
    "Backoff.multiplier",
    "DataObject.increment.by",
    "DataObject.maximum.value",
    "NamespaceLimits.max_starts_per_second",
    "TaskResult.increment.by",
    "TaskResult.maximum.value",
}
"""Numbers of another kind."""

GIVEN_OUT = (
    waystation_worker.Handler,
    waystation_worker.HistoryEntry,
    waystation_worker.Serving,
    testing.Asked,
    testing.Entry,
    testing.Failed,
    testing.FannedOut,
    testing.Pending,
    testing.Raised,
)
"""What users get and do not make: its durations are seconds."""


def task(ctx: TaskContext) -> None:
    """A task that does nothing."""


def hosted(**options: Any) -> Any:
    service = HandlerService("s")
    service.task("t", events=["e"], workflow_types=["w"], **options)(task)
    return service.tasks["t"].spec


def of_class(timeout: Any) -> Any:
    class OfClass(Task):
        task_id, events, workflow_types = "t", ("e",), ("w",)

        def handle_event(self, ctx: TaskContext) -> None:
            return None

    OfClass.timeout = timeout
    service = HandlerService("s")
    service.add(OfClass())
    return service.tasks["t"].spec


def context() -> TaskContext:
    return TaskContext(delivery("t"))


def by_context(method: str, **options: Any) -> Any:
    ctx = context()
    arguments = {
        "emit": ("e",),
        "fan_out": (["e"], "then"),
        "wait_for_input": ("what?",),
        "pending": (),
    }[method]
    getattr(ctx, method)(*arguments, **options)
    return ctx._answer()


def by_result(method: str, **options: Any) -> Any:
    result = TaskResult()
    arguments = {"emit": ("e",), "fan_out": (["e"], "then"), "wait_for_input": ("what?",)}[method]
    getattr(result, method)(*arguments, **options)
    return result._message()


async def by_client(method: str, *arguments: Any, **options: Any) -> None:
    async with Client("127.0.0.1:1", retry_for=0) as client:
        with pytest.raises(Unavailable):
            await operator.attrgetter(method)(client)(*arguments, **options)


async def served(**options: Any) -> None:
    service = HandlerService("s")
    service.task("t", events=["e"], workflow_types=["w"])(task)
    async with service.serving(register=False, port=0, **options):
        pass


async def in_kit(act: Callable[[TestEngine, WorkflowRun], Any]) -> None:
    service = HandlerService("s")

    @service.task(events=["workflow.started"], workflow_types=["w"])
    def later(ctx: TaskContext) -> None:
        ctx.pending()

    engine = TestEngine(service, duplicates=False)
    run = engine.start("w", {})
    await engine.until_quiet()
    done = act(engine, run)
    if inspect.isawaitable(done):
        await done


def kit_token(run: WorkflowRun) -> str:
    return run.pending[0].completion_token


TAKERS: dict[str, Callable[[Any], Any]] = {
    "Backoff.initial": lambda v: hosted(backoff=Backoff(initial=v)),
    "Backoff.maximum": lambda v: hosted(backoff=Backoff(maximum=v)),
    "Client.retry_for": lambda v: Client("127.0.0.1:1", retry_for=v)._connection.retry_for,
    "Client.extend_delivery.extension": lambda v: by_client("extend_delivery", "token", v),
    "Client.fail_delivery.retry_after": lambda v: by_client(
        "fail_delivery", "token", "NO", retry_after=v
    ),
    "Tokens.create.lifetime": lambda v: by_client(
        "tokens.create", "t", {"*": ["READER"]}, lifetime=v
    ),
    "Client.publish.delay": lambda v: by_client("publish", "w-1", "e", delay=v),
    "Client.replay.timeout": lambda v: by_client("replay", "w-1", timeout=v),
    "Client.run.timeout": lambda v: by_client("run", "w", timeout=v),
    "Client.run.workflow_timeout": lambda v: by_client("run", "w", workflow_timeout=v),
    "Client.start.workflow_timeout": lambda v: by_client("start", "w", workflow_timeout=v),
    "Client.wait.timeout": lambda v: by_client("wait", "w-1", timeout=v),
    "DeadLetters.discard_many.timeout": lambda v: by_client(
        "dead_letters.discard_many", all=True, timeout=v
    ),
    "DeadLetters.retry_many.timeout": lambda v: by_client(
        "dead_letters.retry_many", all=True, timeout=v
    ),
    "HandlerService.run.grace": lambda v: served(grace=v),
    "HandlerService.run.lease": lambda v: served(lease=v),
    "HandlerService.serve.grace": lambda v: served(grace=v),
    "HandlerService.serve.lease": lambda v: served(lease=v),
    "HandlerService.serving.grace": lambda v: served(grace=v),
    "HandlerService.serving.lease": lambda v: served(lease=v),
    "HandlerService.task.timeout": lambda v: hosted(timeout=v),
    "Handlers.register.lease": lambda v: by_client("handlers.register", "s", "h", 1, [], lease=v),
    "NewEvent.delay": lambda v: NewEvent("e", delay=v)._message(),
    "NewWorkflow.workflow_timeout": lambda v: NewWorkflow(
        workflow_type="w", workflow_timeout=v, request_id="r"
    )._message(""),
    "RetryAfter.seconds": lambda v: RetryAfter(v).seconds,
    "Task.timeout": of_class,
    "TaskContext.emit.delay": lambda v: by_context("emit", delay=v),
    "TaskContext.fan_out.timeout": lambda v: by_context("fan_out", timeout=v),
    "TaskContext.pending.timeout": lambda v: by_context("pending", timeout=v),
    "TaskContext.wait_for_input.timeout": lambda v: by_context("wait_for_input", timeout=v),
    "TaskResult.emit.delay": lambda v: by_result("emit", delay=v),
    "TaskResult.fan_out.timeout": lambda v: by_result("fan_out", timeout=v),
    "TaskResult.wait_for_input.timeout": lambda v: by_result("wait_for_input", timeout=v),
    "TestEngine.advance.by": lambda v: in_kit(lambda engine, run: engine.advance(v)),
    "TestEngine.start.workflow_timeout": lambda v: in_kit(
        lambda engine, run: engine.start("w", {}, workflow_timeout=v)
    ),
    "WorkflowRun.extend_delivery.extension": lambda v: in_kit(
        lambda engine, run: run.extend_delivery(kit_token(run), v)
    ),
    "WorkflowRun.fail_delivery.retry_after": lambda v: in_kit(
        lambda engine, run: run.fail_delivery(kit_token(run), "NO", retry_after=v)
    ),
    "WorkflowRun.publish.delay": lambda v: in_kit(lambda engine, run: run.publish("e", delay=v)),
}


def _parameters(name: str, function: Any) -> Iterator[tuple[str, str]]:
    for parameter in inspect.signature(function).parameters.values():
        yield f"{name}.{parameter.name}", str(parameter.annotation)


def public_parameters() -> dict[str, str]:
    """The annotations of all parameters of public names, by class, method and parameter."""
    found: dict[str, str] = {}
    for module in (waystation_worker, testing):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                found.update(_parameters(name, value))
                continue
            if value in GIVEN_OUT:
                continue
            if inspect.isfunction(value.__init__):
                found.update(_parameters(name, value))
            if not dataclasses.is_dataclass(value):
                # A class attribute that a subclass sets.
                found.update(
                    {f"{name}.{key}": str(at) for key, at in inspect.get_annotations(value).items()}
                )
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_"):
                    found.update(_parameters(f"{name}.{method}", function))
    return found


def test_every_duration_is_of_one_type_and_tried_below() -> None:
    parameters = public_parameters()
    spans = {name for name, kind in parameters.items() if "Span" in kind}
    numbers = {
        name for name, kind in parameters.items() if re.search(r"\b(float|timedelta)\b", kind)
    }
    assert numbers == NO_DURATIONS
    assert spans == set(TAKERS)


async def taken(taker: str, value: Any) -> Any:
    result = TAKERS[taker](value)
    return await result if isinstance(result, Awaitable) else result


@pytest.mark.parametrize("taker", TAKERS)
async def test_a_duration_is_seconds_or_a_timedelta(taker: str) -> None:
    whole = await taken(taker, 2)
    assert await taken(taker, timedelta(seconds=2)) == whole
    assert await taken(taker, 2.0) == whole


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2", r"must be seconds or a timedelta, not a str"),
        (True, r"must be seconds or a timedelta, not a bool"),
        (-1, r"must be .* to .*, not -1 s"),
        (timedelta(days=-1), r"must be .* to .*, not -1 day, 0:00:00"),
        (float("nan"), r"must be .* to .*, not nan s"),
        (float("inf"), r"must be .* to .*, not inf s"),
    ],
    ids=["text", "bool", "negative", "negative timedelta", "nan", "infinite"],
)
async def test_everything_else_is_refused_with_one_text(taker: str, value: Any, text: str) -> None:
    error: type[Exception] = TypeError if "must be seconds" in text else ValueError
    if taker.startswith("HandlerService.") and taker.endswith(("lease", "grace")):
        error = waystation_worker.SettingsError
    with pytest.raises(error, match=text):
        await taken(taker, value)
