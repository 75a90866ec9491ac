"""The shop of the examples in `waystation COMMAND --help`: orders that are paid or not, refunds that ask somebody."""

from waystation_worker import HandlerService, Reject, TaskContext

service = HandlerService("shop", version="1.0.0")


@service.task(events=["workflow.started"], workflow_types=["order"], replayable=True)
def price(ctx: TaskContext) -> None:
    """Adds what the order costs."""
    ctx.data["total"] = ctx.data.get("amount", 0) + 5
    ctx.emit("order.priced")


@service.task(events=["order.priced"], workflow_types=["order"], replayable=True)
def charge(ctx: TaskContext) -> None:
    """Takes the money, unless the card is no good."""
    if ctx.event.payload.get("card", ctx.data.get("card")) == "bad":
        raise Reject("CARD_DECLINED", "the bank said no")
    ctx.complete({"paid": ctx.data["total"]})


@service.task(events=["workflow.started"], workflow_types=["refund"])
def ask(ctx: TaskContext) -> None:
    """Wants a yes or a no."""
    ctx.wait_for_input(
        "Approve it?",
        schema={
            "type": "object",
            "properties": {"approved": {"type": "boolean"}},
            "required": ["approved"],
        },
    )


@service.task(events=["user.input.provided"], workflow_types=["refund"])
def decide(ctx: TaskContext) -> None:
    """Ends as the answer says."""
    ctx.complete({"approved": ctx.event.payload["input"]["approved"]})


if __name__ == "__main__":
    service.run()
