"""Orders: three tasks, each of which handles one event and raises the next.

`python service.py` serves them to the engine that `waystation dev` runs.
"""

from waystation_worker import Backoff, HandlerService, Reject, TaskContext

PRICES = {"tea": 4, "cake": 6}

service = HandlerService("orders", version="1")


@service.task(events=["workflow.started"], workflow_types=["order"])
async def price(ctx: TaskContext) -> None:
    item, count = ctx.event.payload.get("item"), ctx.event.payload.get("count")
    # Another attempt would not help. The payload can be corrected: `waystation dead-letters edit`.
    if item not in PRICES:
        raise Reject("UNKNOWN_ITEM", f"there is no price for {item}")
    if not isinstance(count, int) or count < 1:
        raise Reject("INVALID_COUNT", f"count must be a whole number from 1 on, not {count}")
    ctx.data["total"] = PRICES[item] * count
    ctx.emit("order.priced")


# A bank may be away for a moment: four attempts, after about 0.5, 1 and 2 s.
@service.task(
    events=["order.priced"],
    workflow_types=["order"],
    max_attempts=4,
    backoff=Backoff(initial=0.5),
    timeout=10,
)
async def charge(ctx: TaskContext) -> None:
    total = ctx.data["total"]
    # Here you would call the bank. The key is the same on each attempt, so that it charges once.
    ctx.data["receipt"] = {"paid": total, "key": ctx.idempotency_key}
    ctx.emit("order.charged")


@service.task(events=["order.charged"], workflow_types=["order"])
async def confirm(ctx: TaskContext) -> None:
    ctx.complete({"paid": ctx.data["receipt"]["paid"]})


if __name__ == "__main__":
    service.run()
