"""Runs the example's tasks through the real SDK, without any server.

Deliveries are called several at a time on one copy of the data and committed one by one by the
engine's own conflict rule, in an order that the test chooses: what a busy cluster does, in
milliseconds.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from insurance_claim.service import WORKFLOW_TYPE, build_service
from waystation.v1 import task_handler_service_pb2
from waystation_conversion.structs import from_value, to_dict
from waystation_domain.conflicts import Write, Written
from waystation_domain.operations import Operation, apply

CLAIMS = Path(__file__).parents[2] / "examples" / "insurance_claim" / "claims"
RECEIVED = datetime(2025, 3, 10, 9, 30, tzinfo=UTC)


def read_claim(name: str) -> dict[str, Any]:
    """Gives one claim file."""
    read: dict[str, Any] = json.loads((CLAIMS / f"{name}.json").read_text(encoding="utf-8"))
    return read


@dataclass(frozen=True)
class Event:
    """An event, as far as these tasks look."""

    event_type: str
    payload: dict[str, Any] = field(default_factory=dict)
    priority: int | None = None


@dataclass
class Group:
    """A fan-out; these tasks open one at most, and its events raise nothing."""

    events: list[Event]
    then: Event
    open: int = 0


@dataclass(frozen=True)
class Answer:
    """What a task answered, and the data as it would be after it."""

    data: dict[str, Any]
    events: list[Event]
    reads: list[str]
    writes: list[Write]
    end: str
    """complete, fail or nothing."""
    failed_with: str
    output: dict[str, Any]
    question: str
    form: dict[str, Any]
    failure_reason: str
    failure_message: str
    operations: list[Operation]
    group: "Group | None"

    @property
    def raised(self) -> list[str]:
        """The types of its events."""
        return [event.event_type for event in self.events]


_service = build_service()


async def call(task_id: str, event: Event, data: dict[str, Any]) -> Answer:
    """Calls one task as a router would."""
    request = task_handler_service_pb2.HandleEventRequest(task_id=task_id, attempt=1)
    request.event.event_type = event.event_type
    request.event.payload.update(event.payload)
    request.event.created_at.FromDatetime(RECEIVED)
    request.context.workflow_type = WORKFLOW_TYPE
    request.context.data.update(data)
    response = await _service.answer(request)
    operations = [
        Operation(op.path, "set", from_value(op.set)) for op in response.result.operations.items
    ]
    assert all(op.WhichOneof("kind") == "set" for op in response.result.operations.items)
    waits = response.result.waits
    assert len(waits) <= 1
    return Answer(
        data=apply(data, operations),
        events=[
            Event(
                new.event_type,
                to_dict(new.payload),
                new.priority if new.HasField("priority") else None,
            )
            for new in response.result.events
        ],
        reads=list(response.result.reads.paths),
        writes=[(operation.path, operation.kind) for operation in operations],
        end=response.result.WhichOneof("end") or "",
        failed_with=response.result.fail.reason,
        output=to_dict(response.result.complete.output),
        question=waits[0].message if waits else "",
        form=to_dict(waits[0].input_schema) if waits else {},
        failure_reason=response.failure.reason,
        failure_message=response.failure.message,
        operations=operations,
        group=_group(response),
    )


def _group(response: task_handler_service_pb2.HandleEventResponse) -> Group | None:
    if not response.result.fan_outs:
        return None
    [fan_out] = response.result.fan_outs
    then = Event(fan_out.then.event_type, to_dict(fan_out.then.payload))
    return Group([Event(new.event_type, to_dict(new.payload)) for new in fan_out.events], then)


@dataclass
class Ended:
    """How a claim ended, in the words of the claim files."""

    status: str
    outcome: str
    payout: float | None
    waits: int
    dead_letters: int
    event_types: list[str]
    conflicts: int


class Flow:
    """One workflow on its way."""

    def __init__(self, file: dict[str, Any], order: random.Random) -> None:
        self._file = file
        self._order = order
        self._data: dict[str, Any] = file["claim"]
        self._answers = list(file["answers"])
        self._group: Group | None = None
        self._pending: list[tuple[str, Event]] = []
        self._seen: list[str] = []
        self._waits = self._dead_letters = self._conflicts = 0
        self._raise(Event("workflow.started", file["claim"]))

    async def run(self) -> Ended:
        """Goes on until the workflow has ended; fails when it stands idle."""
        while self._pending:
            self._order.shuffle(self._pending)
            together = self._order.randint(1, len(self._pending))
            called, self._pending = self._pending[:together], self._pending[together:]
            answers = [(await call(*delivery, self._data), delivery) for delivery in called]
            written = Written()
            for answer, delivery in answers:
                if written.conflicts_with(answer.reads, answer.writes):
                    self._conflicts += 1
                    self._pending.append(delivery)
                elif ended := self._commit(answer, delivery, written):
                    return ended
        raise AssertionError(f"the claim stands idle after {self._seen}")

    def _commit(
        self, answer: Answer, delivery: tuple[str, Event], written: Written
    ) -> Ended | None:
        task_id, event = delivery
        if answer.failure_reason:
            self._dead_letters += 1
            edited = Event(event.event_type, self._file["rescue"]["payload"])
            self._pending.append((task_id, edited))
            return None
        self._data = apply(self._data, answer.operations)
        written.add(answer.writes)
        if answer.end == "complete":
            return self._end("COMPLETED", answer.output["decision"], answer.output["payout"])
        if answer.end == "fail":
            return self._end("FAILED", answer.failed_with, None)
        for raised in answer.events:
            self._raise(raised)
        if answer.group is not None:
            self._group = answer.group
            self._group.open = len(answer.group.events)
            for raised in answer.group.events:
                self._raise(raised)
        elif self._group is not None and event in self._group.events:
            self._group.open -= 1
            if not self._group.open:
                self._raise(self._group.then)
        if answer.question:
            self._waits += 1
            given = self._answers.pop(0)
            self._data = {**self._data, "answer": given}
            written.add([("/answer", "set")])
            self._raise(Event("user.input.provided", {"input": given}))
        return None

    def _raise(self, event: Event) -> None:
        self._seen.append(event.event_type)
        takers = [
            task_id
            for task_id, task in _service.tasks.items()
            if event.event_type in task.spec.event_types
        ]
        assert takers, f"no task handles {event.event_type}"
        self._pending += [(taker, event) for taker in takers]

    def _end(self, status: str, outcome: str, payout: float | None) -> Ended:
        return Ended(
            status, outcome, payout, self._waits, self._dead_letters, self._seen, self._conflicts
        )
