"""Whatever goes wrong between a call and its outcome, there is an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from router.given import INSTANCE, NO_REGISTRY, meters_of

from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation_core.ports.store import Loaded, Registration, StoredEntry
from waystation_core.rpc.attempts import Answered
from waystation_domain.commit import EventFacts
from waystation_domain.model import Event
from waystation_domain.outcomes import AttemptError
from waystation_domain.pools import Pool
from waystation_domain.task_spec import TaskSpec
from waystation_router.attempt_spans import NoSpans
from waystation_router.calls import Calls
from waystation_router.endpoints import CallOutcome
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.pools import PoolsSeen

ENDPOINT = Registration(
    handler_id="h",
    service_name="claims",
    service_version="1",
    host="127.0.0.1",
    port=1,
    static=False,
    tasks=(),
)
YEAR_10000 = 253_402_300_800


class Running:
    def __init__(self, outcome: CallOutcome | None) -> None:
        self.outcome: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()
        if outcome is not None:
            self.outcome.set_result(outcome)
        else:
            self.outcome.cancel()


class Endpoints:
    """Gives each call the next of some outcomes, or raises it."""

    def __init__(self, *outcomes: CallOutcome | Exception | None) -> None:
        self._outcomes = list(outcomes)

    def call(self, *_: Any, **__: Any) -> Running:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Running(outcome)


async def _called(
    endpoints: Endpoints, task: TaskSpec, *, store: Any = None, calls: int = 1
) -> tuple[list[DeliveryCall], Calls]:
    """Calls a task for so many events; the calls, once all of them told an outcome."""
    ledger, told = Ledger(), asyncio.Queue[Handling]()
    pools = PoolsSeen(Pool("default", routers=1))
    made = Calls(
        ledger,
        store,
        cast(Any, endpoints),
        pools,
        NO_REGISTRY,
        told.put_nowait,
        floods=lambda workflow_type, namespace: False,
        meters=meters_of(ledger),
        spans=NoSpans(),
    )
    begun: list[DeliveryCall] = []
    for number in range(calls):
        event = Event(f"01a20000-0000-7000-8000-00000000000{number}", "asked", {}, "client", 1)
        facts = EventFacts(True)
        ledger.learn(Loaded({event.event_id: (event, 1)}, {1: INSTANCE}, {event.event_id: facts}))
        handling = ledger.open(event, ledger.state(1), facts, 3)
        call = handling.calls[task.task_id] = DeliveryCall(task)
        begun.append(call)
        made.start(handling, call)
    async with asyncio.timeout(10):
        for _ in begun:
            await told.get()
        await asyncio.sleep(0)
    return begun, made


def _error(call: DeliveryCall) -> AttemptError:
    assert call.result is not None
    assert isinstance(call.result.outcome, AttemptError)
    return call.result.outcome


def _answer(*events: NewEvent) -> Answered:
    return Answered(pb.HandleEventResponse(result={"events": events}), ENDPOINT, 0.1)


@pytest.mark.parametrize("field", ["deliver_at", "expires_at"])
async def test_an_answer_from_the_year_10000_fails_its_attempt_permanently(field: str) -> None:
    event = NewEvent(event_type="a.b")
    getattr(event, field).seconds = YEAR_10000
    (call,), calls = await _called(
        Endpoints(_answer(event)), TaskSpec("score", "claims", ("asked",), ("claim",))
    )
    assert (_error(call).reason, _error(call).permanent) == ("RESPONSE_INVALID", True)
    assert calls.places.taken == 0


async def test_an_outcome_that_cannot_be_understood_is_a_failed_attempt_and_frees_its_place() -> (
    None
):
    strange = cast(CallOutcome, Answered(cast(Any, object()), cast(Any, None), 0.1))
    spec = TaskSpec("score", "claims", ("asked",), ("claim",), max_in_flight=1)
    (first, second), calls = await _called(Endpoints(strange, _answer()), spec, calls=2)
    assert (_error(first).reason, _error(first).permanent) == ("INTERNAL", False)
    assert second.result is not None
    assert not isinstance(second.result.outcome, AttemptError)
    assert calls.places.taken == 0


async def test_a_call_that_cannot_be_made_is_a_failed_attempt_and_frees_its_place() -> None:
    spec = TaskSpec("score", "claims", ("asked",), ("claim",), max_in_flight=1)
    (first, second), calls = await _called(
        Endpoints(ValueError("a fault of ours"), _answer()), spec, calls=2
    )
    assert _error(first).reason == "INTERNAL"
    assert "fault of ours" not in _error(first).message
    assert second.result is not None
    assert calls.places.taken == 0


async def test_a_call_that_somebody_cancelled_from_outside_is_taken_off() -> None:
    (call,), calls = await _called(
        Endpoints(None), TaskSpec("score", "claims", ("asked",), ("claim",))
    )
    assert call.row is not None
    assert calls.places.taken == 0


async def test_a_history_that_cannot_be_read_is_a_failed_attempt() -> None:
    class Store:
        async def newest_history(
            self, key: int, *, up_to: int, limit: int
        ) -> Sequence[StoredEntry]:
            raise KeyError("a fault of ours")

    spec = TaskSpec("score", "claims", ("asked",), ("claim",), history_entries=5)
    (call,), calls = await _called(Endpoints(), spec, store=Store())
    assert _error(call).reason == "INTERNAL"
    assert calls.places.taken == 0
