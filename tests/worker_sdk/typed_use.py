"""What users of the SDK write, in types: `make check` reads it, and nothing runs it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from waystation_worker import (
    Backoff,
    Client,
    HandlerService,
    NewEvent,
    NewWorkflow,
    Reject,
    RetryAfter,
    Task,
    TaskContext,
    TaskResult,
)


class Claim(BaseModel):
    amount: int


service = HandlerService("claims")


@service.task(
    events=["workflow.started"],
    workflow_types=["claim"],
    timeout=timedelta(minutes=1),
    backoff=Backoff(initial=1, maximum=timedelta(minutes=5)),
)
async def decide(ctx: TaskContext) -> None:
    """Models go wherever values go, and come back as what they are."""
    claim: Claim = ctx.data_as(Claim, "/claim")
    amounts: list[int] = ctx.event.payload_as(list[int])
    ctx.data["claim"] = claim
    ctx.emit("claim.decided", claim, delay=timedelta(days=1))
    ctx.fan_out([NewEvent("part", claim), "other"], "parts.in", timeout=60)
    ctx.wait_for_input("Which?", Claim.model_json_schema(), timeout=timedelta(hours=8))
    if not amounts:
        raise Reject("EMPTY", "no amounts", claim)
    if claim.amount > 7:
        raise RetryAfter(timedelta(minutes=1), "LATER", metadata={"amount": claim.amount})
    if claim.amount == 7:
        ctx.fail("SEVEN", "it is seven", claim)
    ctx.complete(claim)


class Decide(Task):
    task_id = "decide_later"
    events = ("claim.decided",)
    workflow_types = ("claim",)
    timeout = timedelta(minutes=1)

    def handle_event(self, ctx: TaskContext) -> None:
        """A plain one."""
        ctx.pending(timeout=timedelta(hours=1))


service.add(Decide())


async def use(claim: Claim) -> None:
    """Models and mappings, durations of both kinds, both names of an id."""
    async with Client("127.0.0.1:7400", retry_for=timedelta(seconds=5)) as client:
        await client.start("claim", claim, payload=claim, workflow_timeout=timedelta(days=1))
        await client.start("claim", {"amount": 1}, workflow_id="claim-7")
        status: str = (await client.wait(workflow_id="claim-7", timeout=1)).status
        await client.publish(
            workflow_id="claim-7", event_type="claim.amended", payload={"to": status}
        )
        await client.provide_input(workflow_id="claim-7", input={"plate": "B-X 1"})
        await client.fork(workflow_id="claim-7", at_sequence=2)
        await client.cancel(workflow_id="claim-7")
        await client.get(workflow_id="claim-7")
        await client.explain(workflow_id="claim-7")
        async for entry in client.history(workflow_id="claim-7"):
            print(entry)
        async for entry in client.watch(workflow_id="claim-7"):
            print(entry)
        async for event in client.events(workflow_id="claim-7"):
            print(event)
        workflow = await client.run("claim", claim, workflow_instance_id="claim-7", timeout=60)
        await client.publish(workflow.id, "claim.noted", claim, delay=1.5)
        await client.provide_input(workflow.id, claim, answered_by="Ada")
        async for result in client.start_many([NewWorkflow(workflow_type="claim", data=claim)]):
            print(result.workflow, result.error)
        async for listed in client.list(statuses=["FAILED"], idle=False, limit=3):
            print(listed.failure and listed.failure.reason)
        async for letter in client.dead_letters.list(task_ids=["decide"]):
            await client.dead_letters.retry(letter.dead_letter_id, claim)
        await client.dead_letters.retry_many(reasons=["EMPTY"], timeout=timedelta(minutes=1))
        priced = TaskResult()
        priced.set("claim", claim)
        await client.complete_delivery("token", priced)
        await client.fail_delivery("token", "NO", metadata=claim, retry_after=timedelta(hours=1))
