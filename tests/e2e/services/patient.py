"""A handler service whose workflows fan out, wait for times and people, and answer later.

What a workflow does is its type's; `data` and the first payload carry what a test chooses.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from waystation_worker import HandlerService, NewEvent, Reject, TaskContext

service = HandlerService("patient")


@service.task(events=["workflow.started"], workflow_types=["crowd"])
async def open_crowd(ctx: TaskContext) -> None:
    """As many branches as asked for."""
    members = [NewEvent("crowd.member", {"number": n}) for n in range(ctx.event.payload["size"])]
    ctx.fan_out(members, "crowd.settled")


@service.task(events=["crowd.member"], workflow_types=["crowd"], on_failure="continue")
async def serve_member(ctx: TaskContext) -> None:
    """Every hundredth is no good."""
    number = ctx.event.payload["number"]
    if number % 100 == 7:
        raise Reject("NO_GOOD", f"{number} is no good")
    ctx.data.increment("served")


@service.task(events=["crowd.settled"], workflow_types=["crowd"])
async def close_crowd(ctx: TaskContext) -> None:
    """Tells how it went."""
    failed = [one["branch"] for one in ctx.event.payload["failed_branches"]]
    ctx.data.append("settled", failed)
    ctx.complete({"served": ctx.data["served"], "failed": failed})


@service.task(events=["workflow.started"], workflow_types=["reminder"])
async def remind(ctx: TaskContext) -> None:
    """Asks to be reminded."""
    ctx.emit("reminder.due", delay=ctx.event.payload["delay"])


@service.task(events=["reminder.due"], workflow_types=["reminder"])
async def reminded(ctx: TaskContext) -> None:
    """Is reminded."""
    ctx.complete({"reminded": True})


@service.task(events=["workflow.started"], workflow_types=["question"])
async def ask(ctx: TaskContext) -> None:
    """Asks somebody who may not answer, in a branch of its own."""
    ctx.fan_out(["question.asked"], "question.settled")


@service.task(events=["question.asked"], workflow_types=["question"])
async def ask_person(ctx: TaskContext) -> None:
    """Waits for as long as the data says."""
    ctx.wait_for_input("Are you there?", wait_id="there", timeout=ctx.data["patience"])


@service.task(events=["user.input.provided", "user.input.timed_out"], workflow_types=["question"])
async def note_answer(ctx: TaskContext) -> None:
    """Notes whether there was one."""
    ctx.data["answered"] = ctx.event.event_type == "user.input.provided"


@service.task(events=["question.settled"], workflow_types=["question"])
async def close_question(ctx: TaskContext) -> None:
    """Only after the answer was noted."""
    ctx.complete({"answered": ctx.data["answered"]})


@service.task(events=["workflow.started"], workflow_types=["stale"])
async def raise_stale(ctx: TaskContext) -> None:
    """One branch expires before anybody can be called with it."""
    gone = datetime.now(UTC) - timedelta(minutes=1)
    later = datetime.now(UTC) + timedelta(hours=1)
    ctx.fan_out(
        [NewEvent("stale.member", expires_at=gone), NewEvent("stale.member", expires_at=later)],
        "stale.settled",
    )


@service.task(events=["stale.member"], workflow_types=["stale"])
async def serve_stale(ctx: TaskContext) -> None:
    """Is called with what is fresh only."""
    ctx.data.increment("served")


@service.task(events=["stale.settled"], workflow_types=["stale"])
async def close_stale(ctx: TaskContext) -> None:
    """Tells what expired."""
    ctx.complete({"served": ctx.data["served"], "failed": ctx.event.payload["failed_branches"]})


@service.task(events=["workflow.started"], workflow_types=["handed-on"])
def hand_on(ctx: TaskContext) -> None:
    """Somebody else answers, who is told how."""
    Path(ctx.data["letterbox"]).write_text(ctx.completion_token, encoding="utf-8")
    ctx.pending(timeout=60)


@service.task(events=["workflow.started"], workflow_types=["forgotten"], max_attempts=1)
async def forget(ctx: TaskContext) -> None:
    """Nobody answers."""
    ctx.pending(timeout=0.2)


@service.task(events=["workflow.started"], workflow_types=["endless"])
async def begin(ctx: TaskContext) -> None:
    """Leaves the workflow with a person who never answers."""
    ctx.wait_for_input("Ever?")


if __name__ == "__main__":
    service.run()
