"""One task on one event, without a server: what it answered, comparable and well shown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from waystation_worker import HandlerService, NewEvent, Reject, RetryAfter, TaskContext
from waystation_worker.testing import (
    Answer,
    Asked,
    Change,
    Failed,
    FannedOut,
    Pending,
    Raised,
    run_task,
)


def service_of(function: Any, **options: Any) -> HandlerService:
    service = HandlerService("orders")
    declared = {"events": ["order.#", "order.placed"], "workflow_types": ["order"], **options}
    service.task("t", **declared)(function)
    return service


async def test_a_result_is_all_that_was_answered_and_compares_with_plain_values() -> None:
    async def price(ctx: TaskContext) -> None:
        assert ctx.event.event_type == "order.placed"
        assert ctx.event.created_at == datetime(2026, 2, 3, tzinfo=UTC)
        assert (ctx.status, ctx.version, ctx.attempt) == ("ACTIVE", 1, 2)
        assert (ctx.workflow_type, ctx.correlation_id) == ("order", "c-1")
        assert ctx.idempotency_key.endswith(":t")
        ctx.data["total"] = ctx.data["price"] * ctx.event.payload["count"]
        ctx.data.increment("seen")
        del ctx.data["old"]
        ctx.emit("order.priced", {"total": ctx.data["total"]})
        ctx.complete({"ok": True})

    result = await run_task(
        service_of(price),
        "t",
        payload={"count": 3},
        data={"price": 2, "old": None},
        attempt=2,
        correlation_id="c-1",
        now=datetime(2026, 2, 3, tzinfo=UTC),
    )
    assert result == Answer(
        data={"price": 2, "total": 6, "seen": 1},
        changes=[("set", "/total", 6), ("increment", "/seen", 1), ("remove", "/old", None)],
        events=[Raised("order.priced", {"total": 6})],
        status="COMPLETED",
        output={"ok": True},
    )
    assert result.raised == ["order.priced"]
    assert "/price" in result.reads


def test_what_was_not_said_is_not_shown() -> None:
    result = Answer({"n": 1}, changes=[Change("set", "/n", 1)], failure=Failed("NO"))
    assert repr(result) == (
        "Answer(data={'n': 1}, changes=[Change(kind='set', path='/n', value=1)], "
        "failure=Failed(reason='NO'))"
    )
    assert repr(Raised("a")) == "Raised(event_type='a')"


async def test_questions_and_failures_are_results_too() -> None:
    def ask(ctx: TaskContext) -> None:
        ctx.wait_for_input("Which colour?", {"type": "object"})

    result = await run_task(service_of(ask), "t", event="order.a.b")
    assert (result.waits, result.status) == (
        [Asked("Which colour?", {"type": "object"})],
        "WAITING_FOR_INPUT",
    )

    def reject(ctx: TaskContext) -> None:
        ctx.data["half"] = True
        raise Reject("NO_COLOUR", "no colour", {"order": 7})

    result = await run_task(service_of(reject), "t", data={"a": 1})
    assert result == Answer(
        {"a": 1}, failure=Failed("NO_COLOUR", "no colour", permanent=True, metadata={"order": 7})
    )

    def later(ctx: TaskContext) -> None:
        raise RetryAfter(2.5, "BUSY")

    result = await run_task(service_of(later), "t")
    assert result.failure == Failed("BUSY", "BUSY", retry_after=2.5)

    def breaks(ctx: TaskContext) -> None:
        raise OSError("disk")

    assert (await run_task(service_of(breaks), "t")).failure == Failed("OSError", "disk")


async def test_a_call_that_takes_too_long_is_cut_as_a_router_would() -> None:
    async def hang(ctx: TaskContext) -> None:
        await asyncio.Event().wait()

    result = await run_task(service_of(hang, timeout=0.05), "t")
    assert result.failure is not None
    assert (result.failure.code, result.failure.permanent) == ("DEADLINE_EXCEEDED", False)


async def test_a_test_that_could_never_happen_is_refused() -> None:
    service = service_of(lambda ctx: None, events=["order.*"])
    with pytest.raises(ValueError, match="orders has no task x; it hosts t"):
        await run_task(service, "x")
    with pytest.raises(ValueError, match="give an event: t handles order"):
        await run_task(service, "t")
    with pytest.raises(ValueError, match=r"t does not handle ordr\.placed"):
        await run_task(service, "t", event="ordr.placed")
    with pytest.raises(ValueError, match="does not handle parcel workflows"):
        await run_task(service, "t", event="order.placed", workflow_type="parcel")
    with pytest.raises(TypeError, match="at data/x"):
        await run_task(service, "t", event="order.placed", data={"x": object()})


async def test_what_a_router_refuses_is_a_failure_with_its_reason() -> None:
    def contradicts(ctx: TaskContext) -> None:
        ctx.emit("workflow.failed")
        ctx.complete()

    result = await run_task(service_of(contradicts), "t", data={"n": 1})
    assert result.failure is not None
    assert (result.failure.reason, result.failure.permanent) == ("RESPONSE_INVALID", True)
    assert result.failure.metadata["statuses"] == "COMPLETED, FAILED"
    assert (result.data, result.events, result.status) == ({"n": 1}, [], None)


async def test_groups_times_and_what_follows_are_shown_too() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def split(ctx: TaskContext) -> None:
        assert (ctx.event.expires_at, ctx.event.group_id) == (noon, None)
        ctx.fan_out(
            ["order.a", NewEvent("order.b", {"n": 1}, delay=60)],
            NewEvent("order.done", {"of": 2}),
            need=1,
            timeout=90,
        )
        ctx.emit("order.late", deliver_at=noon, expires_at=noon + timedelta(hours=1))
        ctx.wait_for_input("Well?", timeout=5)

    result = await run_task(service_of(split), "t", event=Raised("order.placed", expires_at=noon))
    assert result == Answer(
        data={},
        events=[
            Raised("order.late", deliver_at=noon, expires_at=noon + timedelta(hours=1)),
        ],
        fan_outs=[
            FannedOut(
                [Raised("order.a"), Raised("order.b", {"n": 1}, delay=60)],
                Raised("order.done", {"of": 2}),
                need=1,
                timeout=90,
            )
        ],
        status="WAITING_FOR_INPUT",
        waits=[Asked("Well?", timeout=5)],
    )
    assert (result.raised, result.fan_outs[0].raised) == (["order.late"], ["order.a", "order.b"])

    result = await run_task(service_of(lambda ctx: ctx.pending(30)), "t")
    assert result == Answer({}, pending=Pending(30))
    assert repr(result) == "Answer(data={}, pending=Pending(timeout=30.0))"
