"""A handler service whose workflows leave a trace in every metric: some work, some wait for a timer, some fail."""

from waystation_worker import HandlerService, Reject, TaskContext

service = HandlerService("measured", version="1.0.0")


@service.task(events=["workflow.started"], workflow_types=["measured"])
async def begin(ctx: TaskContext) -> None:
    ctx.data["begun"] = True
    ctx.emit("later", delay=0.1)


@service.task(events=["later"], workflow_types=["measured"])
async def end(ctx: TaskContext) -> None:
    ctx.complete({"done": True})


@service.task(events=["workflow.started"], workflow_types=["broken"])
async def break_down(ctx: TaskContext) -> None:
    raise Reject("BROKEN")


if __name__ == "__main__":
    service.run()
