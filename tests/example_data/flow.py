"""Runs the example's real task functions without any server: one event after the other, in any order."""

import inspect
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from insurance_claim.service import TASKS
from waystation_worker import Reject

CLAIMS = Path(__file__).parents[2] / "examples" / "insurance_claim" / "claims"
RECEIVED = datetime(2025, 3, 10, 9, 30, tzinfo=UTC)


def read_claim(name: str) -> dict[str, Any]:
    """Gives one claim file."""
    read: dict[str, Any] = json.loads((CLAIMS / f"{name}.json").read_text(encoding="utf-8"))
    return read


@dataclass
class Event:
    """What a task sees of an event."""

    event_type: str
    payload: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = RECEIVED
    priority: int | None = None


class Context:
    """Stands in for the SDK's context: plain data, and a note of what the task asked for."""

    def __init__(self, event: Event, data: dict[str, Any]) -> None:
        self.event = event
        self.data = data
        self.emitted: list[Event] = []
        self.waiting: tuple[str, dict[str, Any]] | None = None
        self.output: dict[str, Any] | None = None
        self.failed: tuple[str, str] | None = None

    def emit(
        self, event_type: str, payload: dict[str, Any] | None = None, *, priority: int | None = None
    ) -> None:
        self.emitted.append(Event(event_type, payload or {}, priority=priority))

    def wait_for_input(self, message: str, schema: dict[str, Any]) -> None:
        self.waiting = (message, schema)

    def complete(self, output: dict[str, Any]) -> None:
        self.output = output

    def fail(self, reason: str, message: str) -> None:
        self.failed = (reason, message)


async def call(task: Callable[..., Any], event: Event, data: dict[str, Any]) -> Context:
    """Calls one task; its changes are in `data` afterwards, as JSON would keep them."""
    context = Context(event, data)
    answer = task(context)
    if inspect.isawaitable(answer):
        await answer
    assert json.loads(json.dumps(data)) == data, "data holds something that JSON cannot"
    return context


@dataclass
class Ended:
    """How a claim ended, in the words of the claim files."""

    status: str
    outcome: str
    payout: float | None
    waits: int
    dead_letters: int
    event_types: list[str]


async def run_claim(file: dict[str, Any], order: random.Random) -> Ended:
    """Takes a claim through the workflow; `order` picks which pending delivery is next."""
    data = json.loads(json.dumps(file["claim"]))
    started = Event("workflow.started", json.loads(json.dumps(file["claim"])))
    pending = [(task, started) for task, events, _ in TASKS if "workflow.started" in events]
    answers = list(file["answers"])
    waits = dead_letters = 0
    seen = ["workflow.started"]
    while pending:
        task, event = pending.pop(order.randrange(len(pending)))
        try:
            context = await call(task, event, data)
        except Reject:
            dead_letters += 1
            pending.append((task, Event(event.event_type, file["rescue"]["payload"])))
            continue
        if context.failed:
            return Ended("FAILED", context.failed[0], None, waits, dead_letters, seen)
        if context.output is not None:
            paid = context.output["payout"]
            outcome = context.output["decision"]
            return Ended("COMPLETED", outcome, paid, waits, dead_letters, seen)
        if context.waiting:
            waits += 1
            answer = answers.pop(0)
            data.update(answer)
            context.emit("user.input.provided", answer)
        for raised in context.emitted:
            seen.append(raised.event_type)
            takers = [taker for taker, events, _ in TASKS if raised.event_type in events]
            assert takers, f"no task handles {raised.event_type}"
            pending += [(taker, raised) for taker in takers]
    raise AssertionError(f"the claim stands idle after {seen}")
