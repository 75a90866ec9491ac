"""A handler service whose tasks get what nobody else should see, and repeat none of it."""

from pathlib import Path

from waystation_worker import HandlerService, Reject, TaskContext

service = HandlerService("discreet")


@service.task(events=["workflow.started"], workflow_types=["refused"])
async def refuse(ctx: TaskContext) -> None:
    """A dead letter at once."""
    raise Reject("NO_SUCH_CARD", "the card is not known")


@service.task(events=["workflow.started"], workflow_types=["later"])
def answer_later(ctx: TaskContext) -> None:
    """Somebody completes it with its token, which stands in a file of the test's own."""
    Path(ctx.data["file"]).write_text(ctx.completion_token)
    ctx.pending(timeout=60)


@service.task(events=["workflow.started"], workflow_types=["asks"])
async def ask(ctx: TaskContext) -> None:
    """Asks a person."""
    ctx.wait_for_input("Which card?", wait_id="card")


@service.task(events=["user.input.provided"], workflow_types=["asks"])
async def done(ctx: TaskContext) -> None:
    """The output is part of what is told."""
    ctx.complete({"known": True})


if __name__ == "__main__":
    service.run()
