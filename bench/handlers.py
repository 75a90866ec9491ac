"""The handler service under load: microseconds of pure work on a claim of about 300 bytes.

`bench-claim-3`:    start; process; validate; complete.
`bench-claim-3-50ms`: the same, where each of the three takes 50 ms, as if it asked another service.
`bench-claim-fan`:  start; process; risk, fraud and vehicle in parallel; naive join; complete.
`bench-claim-group`: the same, joined by a structured fan-out.
`bench-reminder`:   start; a delayed event; complete.
"""

import asyncio

import uvloop

from waystation_worker import HandlerService, TaskContext

CLAIM_3 = "bench-claim-3"
CLAIM_3_50MS = "bench-claim-3-50ms"
CLAIM_FAN = "bench-claim-fan"
CLAIM_GROUP = "bench-claim-group"
REMINDER = "bench-reminder"
REMINDER_DUE = "reminder.due"
ASKED_SECONDS = 0.05
CHECKS = ("risk", "fraud", "vehicle")

service = HandlerService("bench-claims", version="1.0.0")


async def _ask(ctx: TaskContext) -> None:
    if ctx.workflow_type == CLAIM_3_50MS:
        await asyncio.sleep(ASKED_SECONDS)


def _process(ctx: TaskContext) -> None:
    claim = ctx.event.payload["claim"]
    ctx.data["claim_type"] = "car" if "car" in claim["text"] else "home"
    ctx.data["amount"] = round(claim["amount"] * 1.19, 2)


@service.task(
    events=["workflow.started"], workflow_types=[CLAIM_3, CLAIM_3_50MS], max_in_flight=10_000
)
async def process(ctx: TaskContext) -> None:
    """Puts type and amount into the context."""
    await _ask(ctx)
    _process(ctx)
    ctx.emit("claim.processed", {"claim_type": ctx.data["claim_type"]})


@service.task(
    events=["claim.processed"], workflow_types=[CLAIM_3, CLAIM_3_50MS], max_in_flight=10_000
)
async def validate(ctx: TaskContext) -> None:
    """Is the amount plausible?"""
    await _ask(ctx)
    ctx.data["valid"] = 0 < ctx.data["amount"] < 1_000_000
    ctx.emit("claim.validated")


@service.task(
    events=["claim.validated"], workflow_types=[CLAIM_3, CLAIM_3_50MS], max_in_flight=10_000
)
async def complete(ctx: TaskContext) -> None:
    """Puts a summary into the context, and completes."""
    await _ask(ctx)
    ctx.data["summary"] = f"{ctx.data['claim_type']} claim over {ctx.data['amount']:.2f}"
    ctx.complete({"summary": ctx.data["summary"]})


@service.task(events=["workflow.started"], workflow_types=[CLAIM_FAN], max_in_flight=10_000)
async def process_fan(ctx: TaskContext) -> None:
    """Puts type and amount into the context, and asks for three checks at once."""
    _process(ctx)
    ctx.data["checks"] = {}
    for name in CHECKS:
        ctx.emit(f"check.{name}")


def _finish(ctx: TaskContext, name: str, score: float) -> None:
    checks = ctx.data["checks"]
    checks[name] = score
    if all(other in checks for other in CHECKS):
        ctx.emit("checks.completed")


@service.task(events=["check.risk"], workflow_types=[CLAIM_FAN], max_in_flight=10_000)
async def risk(ctx: TaskContext) -> None:
    """One of the three."""
    _finish(ctx, "risk", ctx.data["amount"] / 1_000)


@service.task(events=["check.fraud"], workflow_types=[CLAIM_FAN], max_in_flight=10_000)
async def fraud(ctx: TaskContext) -> None:
    """One of the three."""
    _finish(ctx, "fraud", len(ctx.data["claim"]["text"]) / 100)


@service.task(events=["check.vehicle"], workflow_types=[CLAIM_FAN], max_in_flight=10_000)
async def vehicle(ctx: TaskContext) -> None:
    """One of the three."""
    _finish(ctx, "vehicle", 0.5)


@service.task(events=["checks.completed"], workflow_types=[CLAIM_FAN], max_in_flight=10_000)
async def complete_fan(ctx: TaskContext) -> None:
    """Completes with the sum of the checks."""
    ctx.complete({"score": sum(ctx.data["checks"][name] for name in CHECKS)})


@service.task(events=["workflow.started"], workflow_types=[CLAIM_GROUP], max_in_flight=10_000)
async def process_group(ctx: TaskContext) -> None:
    """Puts type and amount into the context, and asks for three checks at once that are followed by one event."""
    _process(ctx)
    ctx.data["scores"] = {}
    ctx.fan_out([f"group.{name}" for name in CHECKS], "group.settled")


@service.task(events=["group.*"], workflow_types=[CLAIM_GROUP], max_in_flight=10_000)
async def check_in_group(ctx: TaskContext) -> None:
    """One of the three checks, or the end: the sum of them."""
    name = ctx.event.event_type.partition(".")[2]
    if name == "settled":
        ctx.complete({"score": sum(ctx.data["scores"][check] for check in CHECKS)})
    else:
        ctx.data["scores"][name] = ctx.data["amount"] / 1_000


@service.task(events=["workflow.started"], workflow_types=[REMINDER])
async def remind(ctx: TaskContext) -> None:
    """Asks to be reminded."""
    ctx.emit(REMINDER_DUE, delay=ctx.event.payload["delay"])


@service.task(events=[REMINDER_DUE], workflow_types=[REMINDER])
async def reminded(ctx: TaskContext) -> None:
    """Completes, reminded."""
    ctx.complete()


if __name__ == "__main__":
    uvloop.install()
    service.run()
