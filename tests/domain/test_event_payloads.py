"""What the engine's own events carry: the table of docs/states.md, held by raising each of them."""

from __future__ import annotations

import re
from pathlib import Path

from domain.world import World, task

from waystation_core.providers import PROVIDERS
from waystation_domain import actions
from waystation_domain.groups import time_out
from waystation_domain.lifecycle import EVENT_OF_STATUS, NOTICES
from waystation_domain.limits import MAX_THEN_BYTES
from waystation_domain.model import Group, JsonObject, NewEvent, OnFailure
from waystation_domain.outcomes import AttemptError, Completion, Failing, FanOut, Reply, WaitRequest

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
WORKS = task("works")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)


def told() -> dict[str, tuple[set[str], set[str]]]:
    """By first column: the members that are always there, and those that may be."""
    section = PAGE.read_text().split("## Payloads of system events\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    names = re.compile(r"`([a-z_]+)`").findall
    return {
        event.strip().replace("`", ""): (set(names(always)), set(names(perhaps)))
        for event, _, always, perhaps in lines[2:]
    }


def wait_till_due(world: World) -> None:
    world.pass_time(2)
    world.fire_due()


def failing(world: World, by: str = "workflow.failed") -> JsonObject:
    return world.raised(by)[0].payload


def too_much(length: int) -> JsonObject:
    """Of the `then` of a group in which a thousand branches failed with so much to tell."""
    failure = {"event_id": "e", "event_type": "t", "task_id": "i" * length, "reason": "R"}
    group = Group(
        group_id="g",
        then=NewEvent("then", {"given": "x" * MAX_THEN_BYTES}),
        need=0,
        size=1000,
        cause_id="e",
        task_id="works",
        since="",
        open={},
        failed=tuple({"branch": at, **failure, "message": "m" * 4000} for at in range(1000)),
    )
    world = World()
    with world.drafting() as draft:
        draft.touch(groups=(group,))
        time_out(draft, "g")
    (event,) = world.raised("then")
    return {name: value for name, value in event.payload.items() if name != "given"}


def payloads() -> dict[str, list[JsonObject]]:
    """Of each event of the table, some that were raised."""
    asked = World()
    waits = (
        WaitRequest("?", "a"),
        WaitRequest("?", "b", {"type": "object"}, "/b", 60.0),
        WaitRequest("?", "c", timeout=1.0),
    )
    asked.handle(asked.first, WORKS, Reply(waits=waits))
    answers = [asked.answer("a", {"x": 1}).payload, asked.answer("b", {"x": 1}, "ada").payload]
    wait_till_due(asked)
    (waiting,) = (one.payload for one in asked.raised("workflow.waiting_for_input"))

    dead, failed, late, cancelled = World(), World(), World(deadline=1), World()
    dead.handle(dead.first, WORKS, BROKEN)
    dead.discard(dead.open_dead_letters()[0])
    failed.handle(failed.first, WORKS, Reply(end=Failing("LOST", "", {"n": 1})))
    wait_till_due(late)
    cancelled.cancel()

    groups = World()
    branch, then = NewEvent("branch", {}), NewEvent("then", {})
    fan_outs = (FanOut((branch,), then), FanOut((branch,), then, timeout=1.0))
    groups.handle(groups.first, WORKS, Reply(fan_outs=fan_outs))
    groups.handle(groups.raised("branch")[0], LENIENT, BROKEN)
    wait_till_due(groups)
    joined = [event.payload for event in groups.raised("then")]
    joined += [too_much(length) for length in (4000, 500)]

    return {
        "workflow.waiting_for_input": [waiting],
        "one of waits": waiting["waits"],
        "user.input.provided": answers,
        "user.input.timed_out": [asked.raised("user.input.timed_out")[0].payload],
        "workflow.failed": [failing(dead), failing(failed), failing(late)],
        "workflow.cancelled": [failing(cancelled, "workflow.cancelled")],
        "workflow.dead_letter.discarded": [failing(dead, "workflow.dead_letter.discarded")],
        "then of a fan-out": joined,
        "one of failed_branches": [one for payload in joined for one in payload["failed_branches"]],
    }


def test_the_table_shows_what_each_event_carries() -> None:
    table = told()
    raised = payloads()
    for name, (always, perhaps) in table.items():
        if name in ("workflow.started", "workflow.completed"):
            continue
        members = [set(payload) for payload in raised.pop(name)]
        assert set.intersection(*members) == always, name
        assert set.union(*members) == always | perhaps, name
    assert not raised
    assert set(table) > {"workflow.started", "user.input.provided", *NOTICES}


def test_a_start_and_an_output_are_reported_as_they_are() -> None:
    given = {"data": {"a": 1}, "payload": {"b": 2}}
    for payload, expected in ((given["payload"], {"b": 2}), (None, {"a": 1})):
        start = actions.start(
            providers=PROVIDERS,
            workflow_instance_id="w",
            workflow_type="t",
            data=given["data"],
            payload=payload,
            correlation_id=None,
            priority=None,
            metadata=None,
            digest=b"",
            request_id=None,
            namespace="default",
        )
        assert start.event.payload == expected
    for output, expected in (({"c": 3}, {"c": 3}), (None, {})):
        world = World()
        world.handle(world.first, WORKS, Reply(end=Completion(output)))
        (event,) = world.raised(EVENT_OF_STATUS[world.instance.status])
        assert event.payload == expected
