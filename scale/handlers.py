"""The handler service of the cases: one small task for each. `SCALE_REJECTS=1` has the one for dead letters
reject what it gets, `SCALE_SLOW=1` makes the one of the overload slow."""

import asyncio
import os
import random
from collections import Counter

import uvloop

from waystation_worker import HandlerService, Reject, TaskContext

NOW, PARKED, LOST, DELAYED, LETTERS, BIG = (
    f"scale-{name}" for name in ("now", "parked", "lost", "delayed", "letters", "big")
)
SLOW, FLOOD, QUIET = (f"scale-{name}" for name in ("slow", "flood", "quiet"))
CALLS, HOT, JOIN, COUNTED = (f"scale-{name}" for name in ("calls", "hot", "join", "counted"))
WAITS, IDLE, FAILS = (f"scale-{name}" for name in ("waits", "idle", "fails"))
"""Of the idle ones no task handles anything."""
DUE = "scale.due"
NOTED = "scale.noted"
PART = "scale.part"
NOTE_BYTES = 2_000
SLOW_SECONDS = 0.2
HELD_SECONDS = 0.25
"""On average. With the places below the flood gets a hundred or so each second: less than the machine could do,
so that places are what it takes from others."""

calls: Counter[str] = Counter()

service = HandlerService("scale", version="1.0.0")


@service.task(events=["workflow.started"], workflow_types=[NOW, PARKED, LOST], max_in_flight=10_000)
async def handle(ctx: TaskContext) -> None:
    """Puts a number into the context, and completes."""
    ctx.data["handled"] = 1
    ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[DELAYED])
async def delay(ctx: TaskContext) -> None:
    """Raises an event that is due in an hour."""
    ctx.emit(DUE, delay=3600)


@service.task(events=[DUE], workflow_types=[DELAYED], max_in_flight=10_000)
async def arrive(ctx: TaskContext) -> None:
    """Completes."""
    ctx.complete()


@service.task(
    task_id="reject",
    events=["workflow.started"],
    workflow_types=[LETTERS],
    max_in_flight=10_000,
    on_failure="continue",
)
async def reject(ctx: TaskContext) -> None:
    """Completes, unless the service was started to reject."""
    if os.environ.get("SCALE_REJECTS"):
        raise Reject("the case says so")
    ctx.complete()


@service.task(events=[NOTED], workflow_types=[BIG])
async def note(ctx: TaskContext) -> None:
    """Puts two kilobytes into the context, in place of those before."""
    ctx.data["note"] = ctx.event.payload["n"] * (NOTE_BYTES // len(ctx.event.payload["n"]))


@service.task(events=["workflow.started"], workflow_types=[SLOW], max_in_flight=10)
async def lag(ctx: TaskContext) -> None:
    """Completes; in the service that was started to be slow, after a while."""
    if os.environ.get("SCALE_SLOW"):
        await asyncio.sleep(SLOW_SECONDS)
    ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[FLOOD, QUIET], max_in_flight=32)
async def share(ctx: TaskContext) -> None:
    """Completes after a while: others wait for the places that the flood holds."""
    if ctx.workflow_type == FLOOD:
        # Not all for as long: they would fall into step, and free their places all at once.
        await asyncio.sleep(random.uniform(0, 2 * HELD_SECONDS))
    ctx.complete()


@service.task(
    events=["workflow.started"], workflow_types=[CALLS], max_in_flight=100_000, timeout=600
)
async def ask(ctx: TaskContext) -> None:
    """Completes, after as many seconds as a slow service takes to answer."""
    await asyncio.sleep(ctx.event.payload["seconds"])
    ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[HOT, JOIN], max_in_flight=10_000)
async def raise_parts(ctx: TaskContext) -> None:
    """Raises so many events at once."""
    for number in range(ctx.event.payload["parallel"]):
        ctx.emit(PART, {"n": number})


@service.task(events=[PART], workflow_types=[HOT], max_in_flight=10_000)
async def tally(ctx: TaskContext) -> None:
    """What all may do at once: one more in a count, one in a set, and a path of its own beside the others'. The
    next event of its line follows."""
    payload = ctx.event.payload
    place = f"line-{payload['n'] % ctx.data['parallel']}"
    ctx.data.increment("count")
    ctx.data.add_to_set("lines", place)
    ctx.data[place] = payload["n"]
    following = payload["n"] + ctx.data["parallel"]
    if following < ctx.data["parts"]:
        ctx.emit(PART, {"n": following})


@service.task(events=[PART], workflow_types=[JOIN], max_in_flight=10_000)
async def join(ctx: TaskContext) -> None:
    """A naive join: each looks at what all others left, so one of all that run at once can commit."""
    calls[JOIN] += 1
    parts = ctx.data.setdefault("done", {})
    parts[str(ctx.event.payload["n"])] = True
    if len(parts) == ctx.data["parallel"]:
        ctx.complete()


@service.task(events=["workflow.started"], workflow_types=[COUNTED])
async def count(ctx: TaskContext) -> None:
    """How often this process was called for joins: calls whose results lost leave no trace elsewhere."""
    ctx.complete({"calls": calls[JOIN]})


@service.task(events=["workflow.started"], workflow_types=[WAITS])
async def wait(ctx: TaskContext) -> None:
    """Asks a person."""
    ctx.wait_for_input("Is that right?")


@service.task(events=["workflow.started"], workflow_types=[FAILS])
async def fail(ctx: TaskContext) -> None:
    """Fails."""
    ctx.fail("NOT_COVERED", "The policy does not cover it.")


if __name__ == "__main__":
    uvloop.install()
    service.run()
