"""A handler service that misbehaves as its workflow types say.

`WITNESS` names a file that gets a line for every call: task, workflow, attempt, idempotency key.
`SERVICE` is the service's name, so that a second one can own other tasks: `TASKS` names those that
this one has (default: all).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from waystation_worker import Backoff, HandlerService, Reject, RetryAfter, TaskContext

service = HandlerService(os.environ.get("SERVICE", "moody"), version="1.0.0")
chosen = os.environ.get("TASKS", "").split()

Task = Callable[[TaskContext], Awaitable[None]]


def task(name: str, **options: Any) -> Callable[[Task], Task]:
    """A task that handles `workflow.started` of the workflow type of the same name."""

    def declare(function: Task) -> Task:
        async def witnessed(ctx: TaskContext) -> None:
            witness(ctx)
            await function(ctx)

        if not chosen or name in chosen:
            options.setdefault("events", ["workflow.started"])
            options.setdefault("backoff", Backoff(initial=0.05, maximum=1.0, jitter=0.0))
            service.task(name, workflow_types=[name], **options)(witnessed)
        return function

    return declare


def witness(ctx: TaskContext, note: str = "called") -> None:
    """Notes the call where it outlives this process."""
    line = f"{ctx.task_id} {ctx.workflow_instance_id} {ctx.attempt} {ctx.idempotency_key} {note}\n"
    file = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


@task("plain")
async def plain(ctx: TaskContext) -> None:
    """Completes."""
    ctx.data["done"] = True
    ctx.complete({"attempt": ctx.attempt})


@task("flaky", max_attempts=4)
async def flaky(ctx: TaskContext) -> None:
    """Raises at its first attempts, having changed what must not count."""
    ctx.data["tries"] = ctx.attempt
    if ctx.attempt <= ctx.event.payload["failures"]:
        ctx.data[f"left_by_{ctx.attempt}"] = True
        raise RuntimeError(f"attempt {ctx.attempt} had no luck")
    ctx.complete({"attempt": ctx.attempt})


@task("unlucky", max_attempts=2, on_failure="continue")
async def unlucky(ctx: TaskContext) -> None:
    """Always raises, and the workflow goes on without it."""
    raise RuntimeError("never any luck")


@task("later")
async def later(ctx: TaskContext) -> None:
    """Asks for a second attempt at a time of its own."""
    if ctx.attempt == 1:
        raise RetryAfter(1.0, "RATE_LIMITED", "come back in a second")
    ctx.complete({"attempt": ctx.attempt})


@task("picky")
async def picky(ctx: TaskContext) -> None:
    """Rejects what is no number."""
    amount = ctx.event.payload.get("amount")
    if not isinstance(amount, int | float):
        raise Reject("AMOUNT_MISSING", "amount has to be a number", {"field": "amount"})
    ctx.data["amount"] = amount
    ctx.complete({"amount": amount})


@task("late", timeout=0.5, max_attempts=3)
async def late(ctx: TaskContext) -> None:
    """Hangs at its first attempt."""
    if ctx.attempt == 1:
        await asyncio.Event().wait()
    ctx.complete({"attempt": ctx.attempt})


@task("long", timeout=60.0)
async def long(ctx: TaskContext) -> None:
    """Takes longer than a message is held."""
    await asyncio.sleep(ctx.event.payload["seconds"])
    ctx.complete({"attempt": ctx.attempt})


@task("endless", timeout=600.0)
async def endless(ctx: TaskContext) -> None:
    """Works until it is cancelled."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        witness(ctx, "cancelled")
        raise


@task("poison", max_attempts=2)
async def poison(ctx: TaskContext) -> None:
    """Takes the whole process down."""
    os._exit(3)


@task("neighbour", events=["workflow.started", "step"], max_attempts=2)
async def neighbour(ctx: TaskContext) -> None:
    """Is in call for a while, several times, beside whatever else happens in this process."""
    await asyncio.sleep(0.2)
    ctx.data["steps"] = ctx.data.get("steps", 0) + 1
    if ctx.data["steps"] < ctx.data["wanted"]:
        ctx.emit("step")
    else:
        ctx.complete({"steps": ctx.data["steps"]})


if __name__ == "__main__":
    service.run()
