"""A handler service in two versions, by `VERSION`, that live side by side for a while: each handles an event
that the other one does not know, and both handle a third."""

import os

from waystation_worker import HandlerService, TaskContext

version = os.environ["VERSION"]
service = HandlerService("rolling", version=version)


@service.task("begins", events=["workflow.started"], workflow_types=["rolling"])
async def begins(ctx: TaskContext) -> None:
    """Raises what the workflow was started for."""
    ctx.emit(ctx.event.payload["raise"])


@service.task("steps", events=["step.both", f"step.only{version}"], workflow_types=["rolling"])
async def steps(ctx: TaskContext) -> None:
    """Says who handled it."""
    ctx.complete({"version": version})


if __name__ == "__main__":
    service.run(lease=2)
