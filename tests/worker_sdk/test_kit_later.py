"""The test kit's groups, times and results that follow, as those who write tests see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from waystation_worker import (
    DeliveryNotFound,
    HandlerService,
    LimitExceeded,
    NewEvent,
    Reject,
    TaskContext,
    TaskResult,
    Unavailable,
    WorkflowEnded,
    WrongState,
)
from waystation_worker.testing import Stuck, TestEngine, WorkflowRun
from waystation_worker.testing.calls import START_OF_TIME, token_of

SEEDS = range(8)
EVENT = "00000000-0000-7000-8000-000000000001"
KEY = f"{EVENT}:ask"
FIRST = token_of(EVENT, "ask", 0, 1)


def service_of(**tasks: Any) -> HandlerService:
    """`name=(function, "event", options...)`."""
    service = HandlerService("orders")
    for name, (function, event, *options) in tasks.items():
        events = [event] if isinstance(event, str) else event
        service.task(name, events=events, workflow_types=["order"], **(*options, {})[0])(function)
    return service


def payload_of(run: WorkflowRun, event_type: str) -> dict[str, Any]:
    (event,) = [event for event in run.events if event.event_type == event_type]
    return event.payload


def nothing(ctx: TaskContext) -> None: ...


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_group_fires_once_after_all_that_its_branches_led_to(seed: int) -> None:
    def split(ctx: TaskContext) -> None:
        branches = [NewEvent("line.priced", {"n": n}) for n in range(4)]
        ctx.fan_out([*branches, "line.unheard"], NewEvent("lines.done", {"of": 5}))

    def price(ctx: TaskContext) -> None:
        number = ctx.event.payload["n"]
        assert ctx.event.branch == number
        if number == 1:
            raise Reject("NO_PRICE", "never heard of it")
        if number == 2:
            ctx.fan_out(["part.priced", "part.priced"], "parts.done")
        if number == 3:
            ctx.wait_for_input("How much?", wait_id="price")
        ctx.data.increment("priced")

    def count(ctx: TaskContext) -> None:
        ctx.data.increment("parts")

    def finish(ctx: TaskContext) -> None:
        assert ctx.data["parts"] == 2
        ctx.complete({"failed": [one["branch"] for one in ctx.event.payload["failed_branches"]]})

    service = service_of(
        split=(split, "workflow.started"),
        price=(price, "line.priced", {"on_failure": "continue"}),
        part=(count, "part.priced"),
        inner=(nothing, "parts.done"),
        answer=(nothing, "user.input.provided"),
        finish=(finish, "lines.done"),
    )
    run = TestEngine(service, seed=seed).start("order")
    await run.until_waiting()
    assert "lines.done" not in run.raised
    assert "lines.done waits for branches 3 of 5" in run.timeline()
    run.provide_input({"price": 3})
    await run.until_ended()
    assert run.output is not None
    assert sorted(run.output["failed"]) == [1, 4]
    assert (run.raised.count("lines.done"), run.raised.count("parts.done")) == (1, 1)
    payload = payload_of(run, "lines.done")
    told = {one["branch"]: (one["task_id"], one["reason"]) for one in payload["failed_branches"]}
    assert told == {1: ("price", "NO_PRICE"), 4: ("", "UNHANDLED")}
    assert payload["of"] == 5
    [entry] = [one for one in run.history if one.action == "fan_in" and "of 5" in one.note]
    assert (entry.processed_by, entry.note) == (
        "system",
        "5 of 5 branches settled, 3 of them successfully",
    )


async def test_enough_that_settled_well_is_enough_and_time_ends_the_rest() -> None:
    def split(ctx: TaskContext) -> None:
        quotes = [NewEvent("quote.asked", {"n": n}, delay=60 * n) for n in range(3)]
        ctx.fan_out(quotes, "first.came", need=1)
        ctx.fan_out(quotes, "hour.over", timeout=timedelta(seconds=90))

    service = service_of(split=(split, "workflow.started"), quote=(nothing, "quote.asked"))
    engine = TestEngine(service)
    run = engine.start("order")
    await run.until_quiet()
    assert payload_of(run, "first.came") == {"failed_branches": []}
    assert "quote.asked is delivered in 60 s" in run.timeline()
    await engine.advance(89.5)
    assert "hour.over" not in run.raised
    await engine.advance(0.5)
    assert payload_of(run, "hour.over") == {
        "timed_out": True,
        "open_branches": [2],
        "failed_branches": [],
    }
    await engine.advance(60)
    assert run.raised.count("hour.over") == run.raised.count("first.came") == 1
    assert run.idle


async def test_times_come_in_order_and_what_expires_is_skipped() -> None:
    seen: list[tuple[str, float]] = []

    def note(ctx: TaskContext) -> None:
        seen.append((ctx.event.event_type, (engine.now - START_OF_TIME).total_seconds()))

    def plan(ctx: TaskContext) -> None:
        ctx.emit("third", delay=timedelta(minutes=3))
        ctx.emit("first", deliver_at=START_OF_TIME + timedelta(minutes=1))
        ctx.emit("never", delay=240, expires_at=START_OF_TIME + timedelta(minutes=2))

    service = service_of(
        plan=(plan, "workflow.started"), note=(note, ["first", "second", "third", "never"])
    )
    engine = TestEngine(service, duplicates=False)
    run = engine.start("order")
    run.publish("second", delay=90)
    await run.until_quiet()
    assert (seen, run.idle) == ([], None)
    assert run.next_due == START_OF_TIME + timedelta(minutes=1)
    await engine.advance(600)
    assert seen == [("first", 60), ("second", 90), ("third", 180)]
    states = {event.event_type: event.state for event in run.events}
    assert states["never"] == "SKIPPED"
    assert run.history[-2].note == "it expired"
    with pytest.raises(ValueError, match="give one of them"):
        run.publish("second", delay=1, deliver_at=START_OF_TIME)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_question_has_its_time(answered: bool) -> None:
    def ask(ctx: TaskContext) -> None:
        ctx.wait_for_input("Approve?", wait_id="approval", timeout=3600)

    def decide(ctx: TaskContext) -> None:
        ctx.complete({"by": ctx.event.event_type, "wait": ctx.event.payload["wait_id"]})

    service = service_of(
        ask=(ask, "workflow.started"),
        decide=(decide, ["user.input.provided", "user.input.timed_out"]),
    )
    engine = TestEngine(service)
    run = engine.start("order")
    wait = await run.until_waiting()
    assert wait.deadline == START_OF_TIME + timedelta(hours=1)
    await engine.advance(timedelta(seconds=3599))
    assert "(1 s left)" in run.timeline()
    if answered:
        run.provide_input({"approved": True})
    await engine.advance(1)
    assert run.status == "COMPLETED"
    by = "user.input.provided" if answered else "user.input.timed_out"
    assert run.output == {"by": by, "wait": "approval"}


async def test_a_workflow_that_is_open_at_its_deadline_fails() -> None:
    service = service_of(told=(lambda ctx: ctx.data.increment("told"), "workflow.failed"))
    engine = TestEngine(service)
    run = engine.start("order", workflow_timeout=timedelta(days=1))
    await run.until_quiet()
    assert run.deadline == START_OF_TIME + timedelta(days=1)
    assert "fails in 24 h if it is still open" in run.timeline()
    await engine.advance(86_400)
    assert run.failure is not None
    assert (run.status, run.failure.reason) == ("FAILED", "WORKFLOW_DEADLINE_EXCEEDED")
    assert [entry.action for entry in run.history if entry.action] == ["start", "deadline"]
    assert run.data == {"told": 1}


def pending(**more: Any) -> tuple[TestEngine, WorkflowRun]:
    service = service_of(
        ask=(lambda ctx: ctx.pending(60), "workflow.started", {"max_attempts": 2}), **more
    )
    engine = TestEngine(service)
    return engine, engine.start("order", {"n": 1})


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_result_that_follows_takes_effect_once(seed: int) -> None:
    engine, run = pending(end=(lambda ctx: ctx.complete(), "priced"))
    await run.until_quiet()
    [task] = run.pending
    assert (task.task_id, task.event_type, task.attempt) == ("ask", "workflow.started", 1)
    assert (task.idempotency_key, task.completion_token) == (KEY, FIRST)
    assert task.until == engine.now + timedelta(seconds=60)
    with pytest.raises(Stuck, match=r"its result is pending, times out in 60 s \(token:.*:ask/1\)"):
        await run.until_ended()

    broken = TaskResult()
    broken.increment("/n/price")
    with pytest.raises(WrongState) as refused:
        run.complete_delivery(FIRST, broken)
    assert refused.value.reason == "PATH_TYPE_MISMATCH"
    large = TaskResult()
    large.set("large", "x" * 1_100_000)
    with pytest.raises(LimitExceeded):
        run.complete_delivery(FIRST, large)
    long_way = TaskResult()
    for _ in range(3):
        long_way.set("large", "x" * 700_000)
    with pytest.raises(LimitExceeded, match="the change takes"):
        run.complete_delivery(FIRST, long_way)
    assert run.data == {"n": 1}

    result = TaskResult()
    result.increment("/n", 2)
    result.emit("priced")
    run.complete_delivery(FIRST, result)
    with pytest.raises(DeliveryNotFound, match="pending tokens: none"):
        run.complete_delivery(FIRST, result)
    await run.until_ended()
    assert (run.status, run.data, run.pending) == ("COMPLETED", {"n": 3}, ())


async def test_a_result_that_does_not_follow_costs_an_attempt() -> None:
    engine, run = pending()
    await run.until_quiet()
    await engine.advance(59)
    assert run.extend_delivery(FIRST, 10) == engine.now + timedelta(seconds=10)
    await engine.advance(9)
    assert run.pending[0].attempt == 1
    await engine.advance(1)
    with pytest.raises(DeliveryNotFound):
        run.extend_delivery(FIRST, 10)
    await engine.advance(1)
    assert run.pending[0].attempt == 2
    with pytest.raises(DeliveryNotFound):
        run.fail_delivery(FIRST, "LOST")
    run.fail_delivery(token_of(EVENT, "ask", 0, 2), "LOST", "the parcel is lost", metadata={"n": 1})
    [letter] = run.dead_letters
    assert (letter.attempts, letter.failure.reason) == (2, "LOST")
    assert (run.status, letter.failure.metadata) == ("FAILED", {"n": 1})
    failures = [entry.failure.reason for entry in run.history if entry.failure]
    assert failures == ["PENDING_TIMED_OUT", "LOST"]


async def test_what_is_not_pending_can_not_be_completed() -> None:
    def too_early(ctx: TaskContext) -> None:
        with pytest.raises(Unavailable):
            run.complete_delivery(ctx.completion_token, TaskResult())
        ctx.pending()

    run = TestEngine(service_of(ask=(too_early, "workflow.started"))).start("order")
    await run.until_quiet()
    run.cancel()
    with pytest.raises(WorkflowEnded):
        run.complete_delivery(FIRST, TaskResult())
    await run.until_quiet()
    with pytest.raises(DeliveryNotFound):
        run.fail_delivery(FIRST, "LOST")
