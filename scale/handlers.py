"""The handler service of the cases: one small task for each. `SCALE_REJECTS=1` has the one for dead letters
reject what it gets, `SCALE_SLOW=1` has the one of the overload take its time."""

import asyncio
import os
import random

import uvloop

from waystation_worker import HandlerService, Reject, TaskContext

NOW, PARKED, LOST, DELAYED, LETTERS, BIG = (
    f"scale-{name}" for name in ("now", "parked", "lost", "delayed", "letters", "big")
)
SLOW, FLOOD, QUIET = (f"scale-{name}" for name in ("slow", "flood", "quiet"))
DUE = "scale.due"
NOTED = "scale.noted"
NOTE_BYTES = 2_000
SLOW_SECONDS = 0.2
HELD_SECONDS = 0.25
"""On average. With the places below the flood gets a hundred or so each second: less than the machine could do,
so that places are what it takes from others."""

service = HandlerService("scale", version="1.0.0")


@service.task(events=["workflow.started"], workflow_types=[NOW, PARKED, LOST], max_in_flight=10_000)
async def handle(ctx: TaskContext) -> None:
    """A number into the context, and the end."""
    ctx.data["handled"] = 1
    ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[DELAYED])
async def delay(ctx: TaskContext) -> None:
    """An event in an hour."""
    ctx.emit(DUE, delay=3600)


@service.task(events=[DUE], workflow_types=[DELAYED], max_in_flight=10_000)
async def arrive(ctx: TaskContext) -> None:
    """The end."""
    ctx.complete()


@service.task(
    task_id="reject",
    events=["workflow.started"],
    workflow_types=[LETTERS],
    max_in_flight=10_000,
    on_failure="continue",
)
async def reject(ctx: TaskContext) -> None:
    """The end, unless the service was started to reject."""
    if os.environ.get("SCALE_REJECTS"):
        raise Reject("the case says so")
    ctx.complete()


@service.task(events=[NOTED], workflow_types=[BIG])
async def note(ctx: TaskContext) -> None:
    """Two kilobytes into the context, in the place of those before."""
    ctx.data["note"] = ctx.event.payload["n"] * (NOTE_BYTES // len(ctx.event.payload["n"]))


@service.task(events=["workflow.started"], workflow_types=[SLOW], max_in_flight=10)
async def lag(ctx: TaskContext) -> None:
    """The end; in the service that was started to be slow, after a while."""
    if os.environ.get("SCALE_SLOW"):
        await asyncio.sleep(SLOW_SECONDS)
    ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[FLOOD, QUIET], max_in_flight=32)
async def share(ctx: TaskContext) -> None:
    """The end; a flood that holds its places for a while has the others wait in line."""
    if ctx.workflow_type == FLOOD:
        # Not all for as long: they would fall into step, and free their places all at once.
        await asyncio.sleep(random.uniform(0, 2 * HELD_SECONDS))
    ctx.complete()


if __name__ == "__main__":
    uvloop.install()
    service.run()
