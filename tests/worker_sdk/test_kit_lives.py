"""Whatever tasks, clients and operators do, what a run shows of itself holds together."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from waystation_worker import (
    Backoff,
    HandlerService,
    NewEvent,
    Reject,
    RetryAfter,
    TaskContext,
    TaskResult,
    WaystationError,
)
from waystation_worker.testing import TestEngine, WorkflowRun

TYPES = ["a", "a", "b", "unheard"]
MAX_EVENTS = 30


def service_of(rng: random.Random) -> HandlerService:
    """Tasks that answer anything."""
    service = HandlerService("anything")

    def event() -> NewEvent:
        expires = timedelta(seconds=rng.randint(0, 90)) if rng.random() < 0.3 else None
        delay = rng.choice([None, None, rng.randint(1, 60)])
        at = None if expires is None else TestEngine().now + expires
        return NewEvent(rng.choice(TYPES), {"n": 1}, delay=delay, expires_at=at)

    async def anything(ctx: TaskContext) -> None:
        if rng.random() < 0.2:
            ctx.pending(rng.choice([None, 25]))
            return
        ctx.data.increment("calls")
        if rng.random() < 0.4:
            ctx.data["last"] = [ctx.data.get("last"), ctx.task_id][-1]
        what = rng.choice(["work", "work", "fan", "fan", "ask", "end", "fail", "nothing"])
        if what == "work":
            for _ in range(rng.randint(0, 2)):
                new = event()
                ctx.emit(new.event_type, new.payload, delay=new.delay, expires_at=new.expires_at)
        elif what == "fan":
            branches = [event() for _ in range(rng.randint(0, 3))]
            timeout = rng.choice([None, 20])
            ctx.fan_out(branches, "then", need=rng.randint(0, len(branches)), timeout=timeout)
        elif what == "ask":
            place = rng.choice([None, "/answers/x", "/last/x"])
            ctx.wait_for_input("Well?", timeout=rng.choice([None, 30]), answer_path=place)
        elif what == "end":
            rng.choice([ctx.complete, lambda: ctx.fail("LOST")])()
        elif what == "fail":
            raise rng.choice([Reject("NO"), RetryAfter(15), OSError("no")])

    told = ["workflow.completed", "workflow.failed", "workflow.dead_letter.discarded"]
    for name, events, on_failure in (
        ("first", ["workflow.started", "user.input.*", "then"], "fail_workflow"),
        ("one", ["a"], "fail_workflow"),
        ("two", ["a", "b"], "continue"),
        ("after", told, "continue"),
    ):
        service.task(
            name,
            events=events,
            workflow_types=["life"],
            max_attempts=2,
            backoff=Backoff(5, 1, 5),
            on_failure=on_failure,  # type: ignore[arg-type]
        )(anything)
    return service


def act(run: WorkflowRun, rng: random.Random) -> None:
    """One thing that somebody from outside does."""
    what = rng.choice(["input", "publish", "cancel", "retry", "discard", "complete", "fail"])
    letter = rng.choice(run.dead_letters) if run.dead_letters else None
    task = rng.choice(run.pending) if run.pending else None
    # What is refused leaves everything as it was, which is what is looked at afterwards.
    with suppress(WaystationError):
        if what == "input":
            run.provide_input({"x": 1}, rng.choice([None, "w-2"]))
        elif what == "publish":
            run.publish("b")
        elif what == "cancel" and rng.random() < 0.2:
            run.cancel()
        elif what == "retry" and letter is not None:
            run.retry(letter, rng.choice([None, {"edited": 1}]))
        elif what == "discard" and letter is not None:
            run.discard(letter)
        elif what == "complete" and task is not None:
            run.complete_delivery(task.completion_token, TaskResult())
        elif what == "fail" and task is not None:
            run.fail_delivery(task.completion_token, "LOST")


def check(run: WorkflowRun) -> None:
    """What is true at any time, once nothing is due."""
    history, events = run.history, run.events
    assert [entry.sequence for entry in history] == list(range(1, run.version + 1))
    outcomes = Counter(
        (entry.event_id, entry.processed_by)
        for entry in history
        if entry.attempt and entry.result in ("SUCCESS", "SKIPPED") and not entry.action
    )
    assert max(outcomes.values(), default=1) == 1, "a result took effect twice"
    raised = Counter(event_id for entry in history for event_id in entry.raised)
    assert raised == Counter(event.event_id for event in events), "each is raised by one entry"
    assert len(events) <= MAX_EVENTS + sum(event.event_type not in ("a", "b") for event in events)
    pending = [event for event in events if event.state == "PENDING"]
    is_open = run.status in ("ACTIVE", "WAITING_FOR_INPUT")
    assert (run.status == "WAITING_FOR_INPUT") <= bool(run.waits)
    assert (run.failure is not None) == (run.status in ("FAILED", "CANCELLED"))
    is_idle = run.status == "ACTIVE" and not (pending or run.dead_letters)
    assert (run.idle is not None) == is_idle
    # A deadline ends it, and moves nothing.
    assert run.idle is None or run.next_due in (None, run.deadline)
    if is_open and run.next_due is None:
        assert run.idle or run.waits or run.dead_letters or run.pending
    if not is_open and not run.dead_letters and run.next_due is None:
        assert not pending, "what has ended for good has settled"


async def live(seed: int, steps: int, *, duplicates: bool) -> None:
    rng = random.Random(seed)
    engine = TestEngine(service_of(rng), seed=seed, duplicates=duplicates, max_events=MAX_EVENTS)
    run = engine.start("life", workflow_timeout=rng.choice([None, 100]))
    for _ in range(steps):
        await run.until_quiet()
        check(run)
        ended = run.status in ("COMPLETED", "CANCELLED") and run.status
        act(run, rng)
        await engine.advance(rng.choice([0, 5, 15, 40]))
        check(run)
        assert not ended or run.status == ended
    await engine.advance(100_000)
    check(run)


@given(st.integers(0, 1_000_000), st.integers(1, 8), st.booleans())
def test_what_a_run_shows_holds_together(seed: int, steps: int, duplicates: bool) -> None:
    asyncio.run(live(seed, steps, duplicates=duplicates))
