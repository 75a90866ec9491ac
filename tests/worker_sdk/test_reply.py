"""Groups, times and results that follow: what a task says of them, and what it cannot say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from worker_sdk.fakes import delivery

from waystation.v1 import task_handler_service_pb2
from waystation_worker import HandlerService, NewEvent, TaskContext
from waystation_worker.values import read_struct

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def answer_of(
    function: Callable[[TaskContext], Any],
) -> task_handler_service_pb2.HandleEventResponse:
    service = HandlerService("s")
    service.task("t", events=["a"], workflow_types=["w"])(function)
    return asyncio.run(service.answer(delivery("t", {"n": 1})))


def test_a_group_is_reported_with_everything_its_events_carry() -> None:
    def task(ctx: TaskContext) -> None:
        ctx.fan_out(
            [
                "check.plain",
                NewEvent("check.later", {"n": 1}, priority=7, delay=timedelta(minutes=2)),
            ],
            NewEvent("checks.done", {"of": 2}, metadata={"k": "v"}),
            need=1,
            timeout=90,
        )
        ctx.fan_out([], "nothing.done")

    first, empty = answer_of(task).result.fan_outs
    plain, later = first.events
    assert (plain.event_type, plain.HasField("payload")) == ("check.plain", False)
    assert (later.event_type, later.priority, later.delay.seconds) == ("check.later", 7, 120)
    assert read_struct(later.payload) == {"n": 1}
    assert (first.then.event_type, read_struct(first.then.payload)) == ("checks.done", {"of": 2})
    assert (dict(first.then.metadata), first.need, first.timeout.seconds) == ({"k": "v"}, 1, 90)
    assert (len(empty.events), empty.then.event_type) == (0, "nothing.done")
    assert not empty.HasField("timeout")


def test_times_travel_in_utc() -> None:
    def task(ctx: TaskContext) -> None:
        cet = timezone(timedelta(hours=1))
        ctx.emit("a", delay=1.5, expires_at=NOON)
        ctx.emit("b", deliver_at=NOON.astimezone(cet), expires_at=NOON + timedelta(seconds=1))
        ctx.wait_for_input("Well?", timeout=timedelta(days=3))

    answer = answer_of(task)
    a, b = answer.result.events
    assert (a.delay.ToTimedelta(), a.expires_at.ToDatetime(UTC)) == (timedelta(seconds=1.5), NOON)
    assert (b.deliver_at.ToDatetime(UTC), b.HasField("delay")) == (NOON, False)
    assert answer.result.waits[0].timeout.ToTimedelta() == timedelta(days=3)


@pytest.mark.parametrize(
    ("say", "problem"),
    [
        (lambda ctx: ctx.fan_out("check", "done"), r"write \['check'\]"),
        (lambda ctx: ctx.fan_out(["a"], "done", need=2), "need is 0 .* to 1"),
        (lambda ctx: ctx.fan_out(["workflow.completed"], "done"), "only a task may end"),
        (lambda ctx: ctx.fan_out(["a"], "workflow.completed"), "only a task may end"),
        (lambda ctx: ctx.fan_out(["a"], "user.input.provided"), "is reserved for the system"),
        (lambda ctx: ctx.fan_out(["a"], NewEvent("b", delay=1)), "no times"),
        (lambda ctx: ctx.fan_out(["a"] * 1001, "b"), "1000 events"),
        (lambda ctx: ctx.fan_out([NewEvent("a", {"n": 2**60})], "b"), "at payload/n"),
        (lambda ctx: ctx.emit("a", delay=1, deliver_at=NOON), "say one"),
        (lambda ctx: ctx.emit("a", delay=-1), "0 to 366 days"),
        (lambda ctx: ctx.emit("a", delay=float("nan")), "0 to 366 days"),
        (lambda ctx: ctx.emit("a", delay=timedelta(days=367)), "0 to 366 days"),
        (lambda ctx: ctx.emit("a", delay="1s"), "seconds or a timedelta"),
        (lambda ctx: ctx.emit("a", deliver_at=datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
        (lambda ctx: ctx.emit("a", deliver_at=NOON, expires_at=NOON), "never be delivered"),
        (lambda ctx: ctx.emit("a", priority=256), "priority"),
        (lambda ctx: ctx.wait_for_input("?", timeout=-1), "0 to 366 days"),
        (lambda ctx: ctx.pending(timeout=timedelta(days=2)), "0 to 1 days"),
    ],
)
def test_what_can_not_be_is_refused_and_leaves_nothing_behind(
    say: Callable[[TaskContext], Any], problem: str
) -> None:
    def task(ctx: TaskContext) -> None:
        with pytest.raises((ValueError, TypeError), match=problem):
            say(ctx)

    answer = answer_of(task)
    answer.result.ClearField("reads")
    assert answer == task_handler_service_pb2.HandleEventResponse(result={})


def test_the_events_of_groups_count_towards_an_answers_events() -> None:
    def task(ctx: TaskContext) -> None:
        ctx.fan_out(["a"] * 998, "done")
        ctx.emit("b")
        # What follows nothing is raised at once.
        ctx.fan_out([], "done")
        for one_more in (lambda: ctx.emit("c"), lambda: ctx.fan_out([], "done")):
            with pytest.raises(ValueError, match="1000 events"):
                one_more()

    answer = answer_of(task)
    assert (len(answer.result.fan_outs), len(answer.result.events)) == (2, 1)


def test_a_result_that_follows_is_all_that_is_said_now() -> None:
    def task(ctx: TaskContext) -> None:
        assert ctx.data["n"] == 1
        ctx.pending(timeout=30)

    answer = answer_of(task)
    assert answer.pending.timeout.seconds == 30
    answer.ClearField("pending")
    assert answer == task_handler_service_pb2.HandleEventResponse()
    assert answer_of(lambda ctx: ctx.pending()).HasField("pending")


def _change(ctx: TaskContext) -> None:
    ctx.data["n"] = 2


SAYINGS: dict[str, Callable[[TaskContext], Any]] = {
    "change": _change,
    "emit": lambda ctx: ctx.emit("a"),
    "fan_out": lambda ctx: ctx.fan_out([], "a"),
    "wait_for_input": lambda ctx: ctx.wait_for_input("?"),
    "complete": lambda ctx: ctx.complete(),
    "fail": lambda ctx: ctx.fail("NO"),
    "pending": lambda ctx: ctx.pending(),
}


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_pending_mixes_with_nothing(saying: str, first: bool) -> None:
    def task(ctx: TaskContext) -> None:
        order = [SAYINGS[saying], SAYINGS["pending"]]
        for say in order if first else reversed(order):
            say(ctx)

    failure = answer_of(task).failure
    # A change after `pending` is seen when the function returns.
    assert failure.reason in ("ValueError", "RESPONSE_INVALID")
    assert "pending" in failure.message


def test_several_things_are_asked_at_once_and_an_end_asks_nothing() -> None:
    def task(ctx: TaskContext) -> None:
        ctx.wait_for_input("How much?", wait_id="amount")
        ctx.wait_for_input("Who pays?")
        for end in (ctx.complete, lambda: ctx.fail("NO")):
            with pytest.raises(ValueError, match="after wait_for_input"):
                end()

    asked = answer_of(task).result
    assert [wait.message for wait in asked.waits] == ["How much?", "Who pays?"]
    assert asked.WhichOneof("end") is None

    def ends(ctx: TaskContext) -> None:
        ctx.fail("FRAUD", "it looks odd", {"score": 97})
        with pytest.raises(ValueError, match="after fail"):
            ctx.wait_for_input("?")

    failed = answer_of(ends).result
    assert not failed.events
    assert (failed.fail.reason, failed.fail.message) == ("FRAUD", "it looks odd")
    assert read_struct(failed.fail.details) == {"score": 97}
