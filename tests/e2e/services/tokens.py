"""A handler service whose tasks each leave one token, and pass everything on the way that a workflow can:
branches, a retry, an answer that does not follow, a delay, a person."""

import asyncio

from waystation_worker import Backoff, HandlerService, NewEvent, TaskContext

service = HandlerService("tokens")

POLICY = {"max_attempts": 10, "backoff": Backoff(initial=0.05, maximum=0.5, jitter=0.0)}


@service.task(events=["workflow.started"], workflow_types=["tokens"], **POLICY)
async def opened(ctx: TaskContext) -> None:
    """Opens three branches."""
    ctx.data.append("tokens", "opened")
    ctx.fan_out([NewEvent("tokens.branch", {"n": n}) for n in range(3)], "tokens.joined")


@service.task(events=["tokens.branch"], workflow_types=["tokens"], **POLICY)
async def branch(ctx: TaskContext) -> None:
    """One fails at first, one's first answer never follows, one takes a while."""
    n = ctx.event.payload["n"]
    if n == 1 and ctx.attempt == 1:
        ctx.pending(timeout=0.2)
        return
    ctx.data.append("tokens", f"branch-{n}")
    if n == 0 and ctx.attempt == 1:
        raise RuntimeError("not the first time")
    if n == 2:
        await asyncio.sleep(0.2)


@service.task(events=["tokens.joined"], workflow_types=["tokens"], **POLICY)
async def joined(ctx: TaskContext) -> None:
    """Goes on a little later."""
    ctx.data.append("tokens", "joined")
    ctx.emit("tokens.delayed", delay=0.2)


@service.task(events=["tokens.delayed"], workflow_types=["tokens"], **POLICY)
async def delayed(ctx: TaskContext) -> None:
    """Asks a person."""
    ctx.data.append("tokens", "delayed")
    ctx.wait_for_input("Go on?", wait_id="go")


@service.task(events=["user.input.provided"], workflow_types=["tokens"], **POLICY)
async def answered(ctx: TaskContext) -> None:
    """The person has answered."""
    ctx.data.append("tokens", "answered")
    ctx.emit("tokens.last")


@service.task(events=["tokens.last"], workflow_types=["tokens"], history_entries=3, **POLICY)
async def last(ctx: TaskContext) -> None:
    """The end; gets what happened just before."""
    ctx.data.append("tokens", "last")
    ctx.complete({"tokens": len(ctx.data["tokens"])})


@service.task(events=["tokens.extra"], workflow_types=["tokens"], **POLICY)
async def extra(ctx: TaskContext) -> None:
    """Somebody published something."""
    ctx.data.append("tokens", "extra")


@service.task(events=["workflow.started"], workflow_types=["short"], **POLICY)
async def short(ctx: TaskContext) -> None:
    """One step, and the end."""
    ctx.data.append("tokens", "short")
    ctx.complete({})


if __name__ == "__main__":
    service.run()
