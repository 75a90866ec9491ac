"""What ends in the kit's memory ends alike in a real engine: random workflows, the same tasks, and both
are asked afterwards. The workflows are such that every order of their deliveries ends in one way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from support.in_process import in_process
from support.waiting import eventually

from waystation_worker import (
    Backoff,
    EventWithState,
    HandlerService,
    NewEvent,
    Reject,
    TaskContext,
    Workflow,
)
from waystation_worker.testing import TestEngine

LIVES = 24
AT_ONCE = 4
"""Lives that the engine has in hand."""
SEEDS = 3
"""Orders of the kit for each life."""
ONCE = Backoff(initial=0.02, maximum=0.02, jitter=0.0)
ENDS = ("complete", "fail", "reject", "stop", "ask", "ask here")

service = HandlerService("lives")


def _node(rng: random.Random, depth: int) -> dict[str, Any]:
    """What one task is to do, and those whose events it raises."""
    node: dict[str, Any] = {"kind": rng.choice(["step", "step", "light", "unheard"])}
    node["add"] = rng.randint(1, 9)
    node["failures"] = rng.choice([0, 0, 0, 1, 2])
    node["reject"] = node["kind"] == "light" and rng.random() < 0.4
    node["delay"] = rng.choice([None, None, 0.05])
    children = rng.randint(0, 3) if depth else 0
    node["children"] = [_node(rng, depth - 1) for _ in range(children)]
    node["grouped"] = rng.random() < 0.4
    return node


def _life(rng: random.Random) -> dict[str, Any]:
    branches = [_node(rng, 2) for _ in range(rng.randint(0, 4))]
    return {"branches": branches, "end": rng.choice(ENDS)}


def _events(nodes: list[dict[str, Any]]) -> list[NewEvent]:
    return [NewEvent(node["kind"], node, delay=node["delay"]) for node in nodes]


@service.task(events=["workflow.started"], workflow_types=["life"])
def begin(ctx: TaskContext) -> None:
    ctx.fan_out(_events(ctx.data["branches"]), "all.in")


def _work(ctx: TaskContext) -> None:
    node = ctx.event.payload
    if ctx.attempt <= node["failures"]:
        raise OSError("not yet")
    if node["reject"]:
        raise Reject("NO", "not this one")
    ctx.data.increment("sum", node["add"])
    if node["grouped"]:
        ctx.fan_out(_events(node["children"]), "some.in")
    else:
        for child in node["children"]:
            ctx.emit(child["kind"], child, delay=child["delay"])


service.task("step", events=["step"], workflow_types=["life"], backoff=ONCE)(_work)
service.task(
    "light", events=["light"], workflow_types=["life"], backoff=ONCE, on_failure="continue"
)(_work)


@service.task(events=["some.in"], workflow_types=["life"])
def count(ctx: TaskContext) -> None:
    ctx.data.increment("groups")
    ctx.data.increment("failed", len(ctx.event.payload["failed_branches"]))


@service.task(events=["all.in", "user.input.provided"], workflow_types=["life"])
def finish(ctx: TaskContext) -> None:
    end = ctx.data["end"]
    asked = ctx.event.event_type == "all.in"
    if asked:
        failed = ctx.event.payload["failed_branches"]
        ctx.data["told"] = [(one["branch"], one["task_id"], one["reason"]) for one in failed]
    if asked and end in ("ask", "ask here"):
        ctx.wait_for_input("And now?", answer_path="/answers/one" if end == "ask here" else None)
    elif end == "fail":
        ctx.fail("LOST", "it is lost", {"sum": ctx.data.get("sum")})
    elif end == "reject":
        raise Reject("NEVER", "not at all")
    elif end == "stop":
        ctx.emit("unheard")
    else:
        ctx.complete({"sum": ctx.data.get("sum"), "payload": sorted(ctx.event.payload)})


@service.task(events=["workflow.completed", "workflow.failed"], workflow_types=["life"])
def afterwards(ctx: TaskContext) -> None:
    ctx.data.increment("told_of_the_end")


def _seen(one: Any) -> dict[str, Any]:
    """What the kit's run and the client's workflow both have."""
    failure = one.failure
    return {
        "status": one.status,
        "version": one.version,
        "data": one.data,
        "output": one.output,
        "idle": one.idle,
        "waits": [(wait.wait_id, wait.message, wait.answer_path) for wait in one.waits],
        "failure": failure and (failure.reason, failure.message, failure.task_id, failure.details),
    }


def _raised(events: list[EventWithState]) -> Counter[tuple[str, str, str]]:
    return Counter((event.event_type, event.state, event.raised_by) for event in events)


async def test_random_lives_end_in_memory_as_in_the_engine(database_url: str) -> None:
    lives = {f"life-{n}": _life(random.Random(n)) for n in range(LIVES)}
    async with (
        in_process(database_url) as running,
        service.serving(port=0, address=running.api.address),
    ):
        client, places = running.client, asyncio.Semaphore(AT_ONCE)

        async def settled(name: str) -> tuple[Workflow, list[EventWithState]]:
            """The workflow when none of its events is open. One whose dead letter failed the workflow
            stays so, until an operator has decided."""

            async def look() -> tuple[Workflow, list[EventWithState], Workflow]:
                before = await client.get(name)
                events = [event async for event in client.events(name)]
                return before, events, await client.get(name)

            def rests(seen: tuple[Workflow, list[EventWithState], Workflow]) -> bool:
                before, events, after = seen
                pending = {one.event_type for one in events if one.state == "PENDING"}
                left = {"all.in"} if after.status == "FAILED" else set()
                return before.version == after.version and pending <= left

            workflow, events, _ = await eventually(
                look, until=rests, timeout=90, what=f"{name} to settle"
            )
            return workflow, events

        async def lived(name: str) -> tuple[dict[str, Any], Counter[tuple[str, str, str]]]:
            async with places:
                await client.start("life", lives[name], workflow_instance_id=name)
                workflow, events = await settled(name)
                if workflow.waits:
                    await client.provide_input(name, {"yes": 1}, answered_by="ada")
                    workflow, events = await settled(name)
                return _seen(workflow), _raised(events)

        await eventually(
            lambda: client.start("life", {"branches": [], "end": "complete"}),
            until=lambda started: bool(started.task_ids),
            what="the tasks to be registered",
        )
        async with asyncio.timeout(240):
            engine = dict(zip(lives, await asyncio.gather(*map(lived, lives)), strict=True))

    for name, life in lives.items():
        for seed in range(SEEDS):
            kit = TestEngine(service, seed=seed)
            run = kit.start("life", life, workflow_instance_id=name)
            await kit.advance(60)
            if run.waits:
                run.provide_input({"yes": 1}, answered_by="ada")
                await kit.advance(60)
            assert (_seen(run), _raised(run.events)) == engine[name], (name, run.timeline())
    statuses = {seen["status"] for seen, _ in engine.values()}
    assert statuses == {"ACTIVE", "COMPLETED", "FAILED"}
