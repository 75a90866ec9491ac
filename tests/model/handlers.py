"""Handler services inside the test: calls wait until the test answers them, and what it answered is kept,
as the witness outside the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import Answered, Failed, NotSent, late
from waystation_domain.model import JsonObject
from waystation_domain.task_spec import TaskKey
from waystation_router.endpoints import CallCut, EndpointCall


@dataclass(frozen=True)
class Answer:
    """One answer of a task that did its work."""

    token: str
    """In no other answer: appended to `/tokens`, so that each effect can be told."""
    counts: bool = False
    """Whether it reads `/count` and writes one more, as code that knows nothing of its neighbours does."""
    reads_all: bool = False
    raises: tuple[str, ...] = ()
    """Event types; `later:` before one delays it."""
    branches: tuple[str, ...] | None = None
    """Of a fan-out, which `joined` follows."""
    need: int = 0
    limited: bool = False
    """Whether the fan-out has a deadline."""
    waits: bool = False
    apart: bool = False
    """Whether what it waits for is stored at a place of its own."""
    ends: str = ""
    """completed, failed or nothing."""

    def response(self, data: JsonObject) -> pb.HandleEventResponse:
        """As a task would answer that was given this data."""
        operations: list[JsonObject] = [{"path": "/tokens", "append": self.token}]
        reads = []
        if self.counts:
            operations.append({"path": "/count", "set": data.get("count", 0) + 1})
            reads.append("/count")
        message: JsonObject = {"operations": {"items": operations}}
        if not self.reads_all:
            message["reads"] = {"paths": reads}
        events = [_event(each, self.token) for each in self.raises]
        if self.ends:
            events.append(_event(f"workflow.{self.ends}", self.token))
        message["events"] = events
        if self.waits:
            wait = {"wait_id": self.token, "message": "?", "timeout": f"{WAIT}s"}
            if self.apart:
                wait["answer_path"] = f"/answer-{self.token}"
            message["waits"] = [wait]
        if self.branches is not None:
            fan_out: JsonObject = {
                "events": [_event(each, self.token) for each in self.branches],
                "then": _event("joined", self.token),
                "need": min(self.need, len(self.branches)),
            }
            if self.limited:
                fan_out["timeout"] = f"{WAIT}s"
            message["fan_outs"] = [fan_out]
        return ParseDict({"result": message}, pb.HandleEventResponse())


WAIT = 650
"""Seconds of everything that has a deadline of its own."""
DELAY = 250


def _event(event_type: str, token: str) -> JsonObject:
    new: JsonObject = {"event_type": event_type.removeprefix("later:"), "payload": {"of": token}}
    if event_type.startswith("later:"):
        new["delay"] = f"{DELAY}s"
    return new


@dataclass(eq=False)
class Waiting:
    """A call that a task has in hand."""

    router: Any
    call: EndpointCall
    request: pb.HandleEventRequest
    endpoint: Registration

    @property
    def place(self) -> tuple[str, str]:
        return self.request.event.event_id, self.request.task_id

    @property
    def over(self) -> bool:
        return bool(self.call.outcome.done())


@dataclass
class Ledger:
    """What tasks were asked, and what they answered."""

    calls: list[Waiting] = field(default_factory=list)
    answers: dict[str, tuple[tuple[str, str], Answer]] = field(default_factory=dict)
    """By token: the delivery, and the answer."""
    pending: list[str] = field(default_factory=list)
    """Completion tokens of deliveries that were answered with `pending`."""
    attempts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of which delivery each of those is."""

    def open_calls(self) -> list[Waiting]:
        self.calls = [one for one in self.calls if not one.over]
        return self.calls

    def answer(self, one: Waiting, answer: Answer) -> None:
        data = MessageToDict(one.request.context.data)
        self.answers[answer.token] = (one.place, answer)
        one.call.end(Answered(answer.response(data), one.endpoint, 0.01))

    def postpone(self, one: Waiting) -> None:
        self.pending.append(one.request.completion_token)
        self.attempts[one.request.completion_token] = one.place
        response = ParseDict({"pending": {"timeout": f"{WAIT}s"}}, pb.HandleEventResponse())
        one.call.end(Answered(response, one.endpoint, 0.01))

    @staticmethod
    def fail(one: Waiting, *, permanent: bool) -> None:
        response = ParseDict(
            {"failure": {"reason": "NO_LUCK", "message": "no", "permanent": permanent}},
            pb.HandleEventResponse(),
        )
        one.call.end(Answered(response, one.endpoint, 0.01))

    @staticmethod
    def garbage(one: Waiting) -> None:
        response = ParseDict(
            {"result": {"events": [{"event_type": "user.input.provided"}]}},
            pb.HandleEventResponse(),
        )
        one.call.end(Answered(response, one.endpoint, 0.01))

    @staticmethod
    def hang(one: Waiting) -> None:
        one.call.end(Failed(late(one.call.timeout), one.endpoint, one.call.timeout))

    @staticmethod
    def cut(one: Waiting) -> None:
        one.call.end(CallCut("the connection was lost", one.endpoint, 0.01))

    @staticmethod
    def not_sent(one: Waiting) -> None:
        one.call.end(NotSent("no connection"))


class Endpoints:
    """In the place of a router's `EndpointDirectory`."""

    def __init__(self, ledger: Ledger, router: Any, on_change: Callable[[], None]) -> None:
        self._ledger = ledger
        self._router = router
        self._on_change = on_change
        self._handlers: tuple[Registration, ...] = ()
        self._suspects = asyncio.Lock()

    def update(self, handlers: Iterable[Registration]) -> None:
        self._handlers = tuple(handlers)
        self._on_change()

    def live_tasks(self) -> frozenset[TaskKey]:
        return frozenset(task.key for handler in self._handlers for task in handler.tasks)

    def report(self) -> dict[str, JsonObject]:
        return {}

    @property
    def in_flight(self) -> int:
        return sum(one.router is self._router for one in self._ledger.open_calls())

    def call(
        self,
        service_name: str,
        request: pb.HandleEventRequest,
        timeout: float,
        *,
        alone: bool = False,
    ) -> EndpointCall:
        loop = asyncio.get_running_loop()
        call = EndpointCall(loop, service_name, request, timeout, alone=alone)
        for handler in self._handlers:
            if any(task.task_id == request.task_id for task in handler.tasks):
                self._ledger.calls.append(Waiting(self._router, call, request, handler))
                return call
        loop.call_soon(call.end, NotSent("nobody announces it", unannounced=True))
        return call

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._suspects:
            yield

    async def close(self, grace: float = 0.0) -> None:
        pass
