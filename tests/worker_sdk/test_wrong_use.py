"""What people get wrong once: said where they wrote it, by name, with what is right."""

from __future__ import annotations

import asyncio
import enum
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from worker_sdk.fakes import FakeWaystation, delivery

from waystation_worker import (
    Backoff,
    Client,
    HandlerService,
    NewEvent,
    NewWorkflow,
    Task,
    TaskContext,
    TaskResult,
)


def fine(ctx: TaskContext) -> None:
    """A task that does nothing."""


def yields(ctx: TaskContext) -> Iterator[int]:
    yield 1


async def yields_later(ctx: TaskContext) -> AsyncIterator[int]:
    yield 1


def declared(function: Any = fine, **options: Any) -> Any:
    wanted = {"events": ["e"], "workflow_types": ["w"], **options}
    return HandlerService("s").task("t", **wanted)(function)


class NoTask:
    task_id, events, workflow_types = "t", ("e",), ("w",)


DECLARATIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "version": (lambda: HandlerService("s", version=3), "version must be text, not int"),  # type: ignore[arg-type]
    "threads": (
        lambda: HandlerService("s", threads="4"),  # type: ignore[arg-type]
        "threads must be a whole number, not str",
    ),
    "no threads": (lambda: HandlerService("s", threads=0), "threads must be 1 to 10000, not 0"),
    "events": (lambda: declared(events=None), "events must be a list of names, not None"),
    "event of another type": (lambda: declared(events=[1]), "events: 1 is neither an event type"),
    "attempts": (
        lambda: declared(max_attempts="3"),
        "'t': max_attempts must be a whole number, not str",
    ),
    "half an attempt": (lambda: declared(max_attempts=2.5), "must be a whole number, not float"),
    "history": (lambda: declared(history_entries=True), "must be a whole number, not bool"),
    "catch_up": (lambda: declared(catch_up="no"), "catch_up must be True or False, not str"),
    "replayable": (lambda: declared(replayable=1), "replayable must be True or False, not int"),
    "backoff": (lambda: declared(backoff=3), r"must be a Backoff, such as Backoff\(initial=2\)"),
    "multiplier": (lambda: Backoff(multiplier="2"), "multiplier must be a number, not str"),  # type: ignore[arg-type]
    "jitter": (lambda: Backoff(jitter=20), "jitter must be 0 to 1, not 20"),
    "longer than usual": (
        lambda: Backoff(initial=timedelta(minutes=2)),
        "initial must not exceed maximum, which is 60 s by default",
    ),
    "may_emit": (lambda: declared(may_emit=["a b"]), "may_emit: 'a b' is neither an event type"),
    "no argument": (
        lambda: declared(lambda: None),
        r"takes \(\); a task is called with one argument",
    ),
    "two arguments": (lambda: declared(lambda a, b: None), r"the function takes \(a, b\)"),
    "generator": (lambda: declared(yields), "the function yields; a task answers through ctx"),
    "async generator": (lambda: declared(yields_later), "the function yields"),
    "class": (lambda: declared(NoTask), r"NoTask is a class; a Task is added by service\.add"),
    "function added": (
        lambda: HandlerService("s").add(fine),  # type: ignore[type-var]
        r"functions are declared with @service\.task",
    ),
    "not derived": (
        lambda: HandlerService("s").add(NoTask()),  # type: ignore[type-var]
        r"its class must derive from waystation_worker\.Task",
    ),
    "class added": (lambda: HandlerService("s").add(Task), "add an instance"),  # type: ignore[type-var]
    "priority": (
        lambda: NewEvent("e", priority="high"),  # type: ignore[arg-type]
        "priority must be a whole number, not str",
    ),
    "metadata": (lambda: NewEvent("e", metadata=["a"]), "metadata must be a mapping, not list"),  # type: ignore[arg-type]
    "metadata of numbers": (
        lambda: NewEvent("e", metadata={"a": 1}),  # type: ignore[dict-item]
        "metadata 'a' must be text, not int",
    ),
    "schema version": (
        lambda: NewEvent("e", schema_version=2),  # type: ignore[arg-type]
        "schema_version must be text, not int",
    ),
    "place": (lambda: TaskResult().set(5, 1), "the place must be text, not int"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("wrong", DECLARATIONS)
def test_a_wrong_declaration_is_named(wrong: str) -> None:
    act, text = DECLARATIONS[wrong]
    with pytest.raises((TypeError, ValueError), match=text):
        act()


class Colour(enum.Enum):
    RED = 1


@dataclass
class Point:
    x: int = 1


INSTEAD: dict[str, tuple[Any, str]] = {
    "datetime": (datetime(2026, 5, 1, tzinfo=UTC), "use .isoformat()"),
    "timedelta": (timedelta(1), "use .total_seconds()"),
    "Decimal": (Decimal(1), "use str(), or float() if it may be rounded"),
    "UUID": (UUID(int=1), "use str()"),
    "Colour": (Colour.RED, "use its .value"),
    "Point": (Point(), "use dataclasses.asdict()"),
    "set": ({1}, "use sorted()"),
    "type": (Point, "use str, int, float, bool, None, list or dict"),
}


@pytest.mark.parametrize("kind", INSTEAD)
async def test_a_value_that_is_no_json_is_refused_with_what_is(kind: str) -> None:
    value, instead = INSTEAD[kind]
    with pytest.raises(TypeError) as caught:
        NewEvent("e", {"a": [value]})._message()
    assert str(caught.value) == f"at payload/a/0: {kind} is not a JSON value; {instead}"


CALLS: dict[str, tuple[Callable[[TaskContext], Any], str]] = {
    "attribute": (lambda ctx: ctx.data.amount, 'members are items: ctx.data["amount"]'),  # type: ignore[attr-defined]
    "place": (lambda ctx: ctx.data.increment(5), "the place must be text, not int"),  # type: ignore[arg-type]
    "not a list": (lambda ctx: ctx.data.append("o", 1), "at /o: an object, not a list"),
    "event": (lambda ctx: ctx.emit(NewEvent("e")), "event_type must be text, not NewEvent"),  # type: ignore[arg-type]
    "events": (
        lambda ctx: ctx.fan_out([("e", {})], "then"),  # type: ignore[list-item]
        "fan_out takes event types and NewEvent, not tuple",
    ),
    "need": (
        lambda ctx: ctx.fan_out(["e"], "then", need="1"),  # type: ignore[arg-type]
        "need must be a whole number, not str",
    ),
    "question": (lambda ctx: ctx.wait_for_input(5), "message must be text, not int"),  # type: ignore[arg-type]
    "schema": (
        lambda ctx: ctx.wait_for_input("What?", Point),  # type: ignore[arg-type]
        "of a pydantic model it is Point.model_json_schema()",
    ),
    "the same wait": (
        lambda ctx: [ctx.wait_for_input("What?", wait_id="a") for _ in range(2)],  # type: ignore[func-returns-value]
        "this result has a wait 'a' already",
    ),
    "reason": (lambda ctx: ctx.fail(ValueError("x")), "reason must be text, not ValueError"),  # type: ignore[arg-type]
    "not awaited": (lambda ctx: later(ctx), "returned a coroutine; await it in an `async def`"),
}


async def later(ctx: TaskContext) -> None:
    """A task that another one forgets to await."""


@pytest.mark.parametrize("wrong", CALLS)
async def test_a_wrong_call_is_named(wrong: str) -> None:
    act, text = CALLS[wrong]
    service = HandlerService("s")
    service.task("t", events=["e"], workflow_types=["w"])(act)
    answer = await service.answer(delivery("t", data={"o": {}, "amount": 1}))
    assert text in answer.failure.message


async def _whole(act: Callable[[Any], Any], client: Client) -> None:
    done = act(client)
    if inspect.isasyncgen(done):
        _ = [item async for item in done]
    else:
        await done


# What type checkers refuse, too: a Client of any kind.
BY_CLIENT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "type": (lambda c: c.start(5), "workflow_type must be text, not int"),
    "id": (lambda c: c.get(5), "workflow_instance_id must be text, not int"),
    "priority": (lambda c: c.start("w", priority="x"), "priority must be a whole number, not str"),
    "metadata": (lambda c: c.start("w", metadata=["a"]), "metadata must be a mapping, not list"),
    "a number in metadata": (
        lambda c: c.start("w", metadata={"a": 1}),
        "metadata 'a' must be text, not int",
    ),
    "sequence": (lambda c: c.get("w", at_sequence="1"), "at_sequence must be a whole number"),
    "version": (
        lambda c: c.cancel("w", expected_version="9"),
        "expected_version must be a whole number, not str",
    ),
    "one task": (lambda c: c.history("w", task_ids="a"), r"task_ids must be a list; write \['a'\]"),
    "one task to replay": (lambda c: c.replay("w", task_ids="a"), "task_ids must be a list; write"),
    "a number among tasks": (
        lambda c: c.history("w", task_ids=[1]),
        "task_ids: an entry must be text, not int",
    ),
    "edits": (lambda c: c.fork("w", 1, edits=["x"]), "edits must be a mapping of paths to values"),
    "result": (
        lambda c: c.complete_delivery("t", {"a": 1}),
        "result must be a TaskResult, not dict",
    ),
    "dicts": (
        lambda c: c.start_many([{"workflow_type": "w"}]),
        "start_many takes NewWorkflow, not dict",
    ),
    "one workflow": (
        lambda c: c.start_many(NewWorkflow(workflow_type="w")),
        "takes a list or another iterable of NewWorkflow, not NewWorkflow",
    ),
    "a type in many": (
        lambda c: c.start_many([], at_once=0),
        "at_once must be at least 1, not 0",
    ),
    "limit": (lambda c: c.list(limit="5"), "limit must be a whole number, not str"),
    "time": (lambda c: c.list(created_after="now"), "created_after must be a datetime, not a str"),
    "idle": (lambda c: c.list(idle="yes"), "idle must be True or False, not str"),
    "prefix": (lambda c: c.list(id_prefix=["a"]), "id_prefix must be text, not list"),
    "types": (
        lambda c: c.list(workflow_types=[5]),
        "workflow_types: an entry must be text, not int",
    ),
    "all of them": (
        lambda c: c.dead_letters.discard_many(all="no"),
        "all must be True or False, not str",
    ),
    "all and some of them": (
        lambda c: c.dead_letters.discard_many(all=1, task_ids=["price"]),
        "all must be True or False, not int",
    ),
    "all and none of them": (
        lambda c: c.dead_letters.discard_many(all=True, task_ids=[]),
        "`all` excludes conditions",
    ),
    "changes": (
        lambda c: c.history("w", with_change="no"),
        "with_change must be True or False, not str",
    ),
    "no tasks of a handler": (
        lambda c: c.handlers.register("s", "h", 1, None),
        "tasks must be a list, not NoneType",
    ),
    "tasks of a handler": (
        lambda c: c.handlers.register("s", "h", 1, ["a"]),
        "tasks must be TaskSpec messages, not str",
    ),
}


@pytest.mark.parametrize("wrong", BY_CLIENT)
async def test_a_wrong_argument_of_a_client_is_named_and_nothing_is_sent(
    wrong: str, waystation: FakeWaystation
) -> None:
    act, text = BY_CLIENT[wrong]
    async with Client(waystation.address) as client:
        with pytest.raises((TypeError, ValueError), match=text):
            await _whole(act, client)
    assert not waystation.calls


def test_a_client_on_another_loop_says_what_to_make() -> None:
    client = Client("127.0.0.1:1", retry_for=0)

    async def call() -> None:
        with pytest.raises(Exception, match="cannot be reached"):
            await client.get("w")

    asyncio.run(call())
    with pytest.raises(RuntimeError, match=r"make a Client for each asyncio\.run\(\)$"):
        asyncio.run(client.get("w"))  # type: ignore[arg-type]
