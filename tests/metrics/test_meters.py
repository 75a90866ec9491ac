"""What is counted for what happens, and where it can be read."""

from __future__ import annotations

import asyncio
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import eq
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from prometheus_client import generate_latest
from router.given import INSTANCE
from support.running_api import refusal
from support.waiting import eventually

from localservers.ports import free_port
from waystation.v1 import system_service_pb2 as pb
from waystation.v1 import system_service_pb2_grpc
from waystation_api.settings import ApiSettings
from waystation_api.system.gauges import SystemGauges
from waystation_core.metrics import definitions
from waystation_core.metrics.meters import OTHER, Meters
from waystation_core.metrics.port import serve_metrics
from waystation_core.metrics.rpc_calls import CallMeter
from waystation_core.metrics.workflows import WorkflowMeter
from waystation_core.ports.store import Loaded, SystemNumbers
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.server import PortTaken, RpcServer, Service
from waystation_core.rpc.settings import BadSettings, read_settings
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.errors import InvalidField, StoreUnavailable
from waystation_domain.model import DeliveryState, Event, Status, Timer, TimerKind
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Cut,
    Outcome,
    Pending,
    Reply,
    Verdict,
)
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.meters import RouterMeters

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = TaskSpec("score", "claims", ("asked",), ("claim",))
FAILED = AttemptError("INTERNAL", "KeyError", "'name'")


class Read:
    """Meters, and what they read now."""

    def __init__(self) -> None:
        self.meters = Meters()

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.meters.registry.get_sample_value(name, labels)

    def of_task(self, name: str, **labels: str) -> float | None:
        return self(name, namespace="default", task_id="score", **labels)


@pytest.fixture
def read() -> Read:
    return Read()


def handling(ledger: Ledger, **more: Any) -> Handling:
    ledger.learn(Loaded({}, {1: INSTANCE}, {}, now=NOW))
    event = Event("01a20000-0000-7000-8000-000000000001", "asked", {}, "split", version=2, **more)
    return ledger.open(event, ledger.state(1), EventFacts(True), 3)


@pytest.mark.parametrize(
    ("created", "until", "path", "seconds"),
    [(-2.0, None, "direct", 2.0), (-9.0, -1.0, "delayed", 1.0), (5.0, None, "direct", 0.0)],
    ids=["as soon as possible", "delayed", "the clock is behind"],
)
def test_a_wait_begins_with_the_commit_or_the_end_of_the_delay(
    read: Read, created: float, until: float | None, path: str, seconds: float
) -> None:
    ledger = Ledger()
    due = None if until is None else NOW + timedelta(seconds=until)
    event = handling(ledger, created_at=NOW + timedelta(seconds=created), deliver_at=due)
    RouterMeters(read.meters, ledger.clock).called(event, DeliveryCall(TASK))
    waited = read.of_task("waystation_delivery_wait_seconds_sum", path=path)
    assert waited == pytest.approx(seconds, abs=0.5)


def test_a_retry_and_what_an_operator_repeats_have_no_wait(read: Read) -> None:
    ledger = Ledger()
    meters = RouterMeters(read.meters, ledger.clock)
    event = handling(ledger, created_at=NOW)
    for call in (DeliveryCall(TASK, attempt=2), DeliveryCall(TASK, edit=1)):
        meters.called(event, call)
    assert read.of_task("waystation_delivery_wait_seconds_count", path="direct") is None


@pytest.mark.parametrize(
    ("outcome", "attempt", "called", "verdict", "code"),
    [
        (Reply(), 1, "succeeded", "applied", None),
        (Pending(), 1, "pending", "applied", None),
        (FAILED, 1, "failed", "failed_retried", "INTERNAL"),
        (FAILED, 5, "failed", "failed_final", "INTERNAL"),
        (replace(FAILED, permanent=True), 1, "failed", "failed_final", "INTERNAL"),
        (Cut("gone"), 5, "cut", "failed_retried", "CUT"),
        (Cut("gone", alone=True), 5, "cut", "failed_final", "CUT"),
    ],
)
def test_a_result_is_counted_as_what_becomes_of_it(
    read: Read, outcome: Outcome, attempt: int, called: str, verdict: str, code: str | None
) -> None:
    meters = RouterMeters(read.meters, Ledger().clock)
    result = CallResult(TASK, attempt, 1, outcome, duration_us=2_000_000)
    meters.answered(result)
    meters.concluded(DeliveryCall(TASK, attempt=attempt, result=result), Verdict.APPLIED)
    assert read.of_task("waystation_task_call_seconds_sum", outcome=called) == 2.0
    assert read.of_task("waystation_deliveries_total", verdict=verdict) == 1.0
    if code is not None:
        assert read.of_task("waystation_task_failures_total", code=code) == 1.0
    meters.concluded(DeliveryCall(TASK, attempt=attempt, result=result), Verdict.DUPLICATE)
    assert read.of_task("waystation_deliveries_total", verdict="duplicate") == 1.0


def test_timers_tell_how_late_they_are(read: Read) -> None:
    ledger = Ledger()
    handling(ledger)
    meters = RouterMeters(read.meters, ledger.clock)
    meters.timers_taken({1: [Timer(TimerKind.DEADLINE, due_at=NOW - timedelta(seconds=3))]})
    assert read("waystation_timer_lag_seconds_sum", kind="DEADLINE") == pytest.approx(3, abs=0.5)


def test_ends_are_counted_once_each(read: Read) -> None:
    meter = WorkflowMeter(read.meters)
    begun = replace(INSTANCE, created_at=NOW)
    ended = replace(begun, status=Status.FAILED, completed_at=NOW + timedelta(seconds=7))
    meter.committed([InstanceCommit(begun, ended), InstanceCommit(begun, begun)])
    meter.committed([InstanceCommit(ended, replace(ended, version=9))])
    labels = {"namespace": "default", "workflow_type": "claim", "status": "FAILED"}
    assert read("waystation_workflows_ended_total", **labels) == 1.0
    assert read("waystation_workflow_duration_seconds_sum", **labels) == 7.0


def test_above_the_cap_all_labels_are_other(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("counts", "meters"):
        monkeypatch.setattr(f"waystation_core.metrics.{module}.MOST_LABELS", 2)
    counted = read.meters.counter(definitions.DEAD_LETTERS)
    for number in (1, 2, 3, 4, 1):
        counted.of("default", f"task-{number}").inc()
    name = "waystation_dead_letters_total"
    assert read(name, namespace="default", task_id="task-1") == 2.0
    assert read(name, namespace=OTHER, task_id=OTHER) == 2.0
    assert read(name, namespace="default", task_id="task-3") is None
    read.meters.read(
        definitions.CALLS_IN_FLIGHT, lambda: [(("n", str(at)), 1.0) for at in range(5)]
    )
    assert read("waystation_calls_in_flight", namespace=OTHER, task_id=OTHER) == 3.0


async def test_the_installation_has_no_numbers_while_they_cannot_be_read(read: Read) -> None:
    away = False

    async def numbers() -> SystemNumbers:
        if away:
            raise StoreUnavailable("away")
        states = dict.fromkeys(DeliveryState, 0)
        return SystemNumbers(7, states, 2, {Status.ACTIVE: 5}, 1, 12.5, {"default": 0})

    gauges = SystemGauges(read.meters, cast(Any, SimpleNamespace(numbers=numbers)), 1_000)
    assert read("waystation_outbox_events") is None
    await gauges.turn()
    assert read("waystation_oldest_unsettled_event_age_seconds") == 12.5
    assert read("waystation_routers", pool="default") == 0.0
    assert read("waystation_workflows_open", status="ACTIVE") == 5.0
    away = True
    with pytest.raises(StoreUnavailable):
        await gauges.turn()
    assert read("waystation_outbox_events") is None
    assert read("waystation_backlog_limit") == 1_000.0


class Answering(system_service_pb2_grpc.SystemServiceServicer):
    """Refuses once, answers once, then lets its caller wait."""

    def __init__(self) -> None:
        self.calls = 0
        self.waits = asyncio.Event()

    async def GetSystemStatus(self, request: Any, context: Any) -> pb.GetSystemStatusResponse:
        self.calls += 1
        if self.calls == 1:
            raise InvalidField("wrong", field="x")
        if self.calls == 3:
            self.waits.set()
            await asyncio.Event().wait()
        return pb.GetSystemStatusResponse()


async def test_calls_are_counted_by_method_and_by_how_they_end(read: Read) -> None:
    servicer = Answering()
    server = RpcServer(
        [
            Service(
                "waystation.v1.SystemService",
                lambda to: system_service_pb2_grpc.add_SystemServiceServicer_to_server(
                    servicer, to
                ),
            )
        ],
        host="127.0.0.1",
        port=0,
        around=(CallMeter(read.meters),),
    )
    await server.start()
    async with open_channel(server.address) as channel:
        stub = system_service_pb2_grpc.SystemServiceStub(channel)
        await refusal(stub.GetSystemStatus(pb.GetSystemStatusRequest()))
        await stub.GetSystemStatus(pb.GetSystemStatusRequest())
        waiting = stub.GetSystemStatus(pb.GetSystemStatusRequest())
        answer = asyncio.ensure_future(waiting.code())
        await servicer.waits.wait()
        waiting.cancel()
        assert await answer is grpc.StatusCode.CANCELLED
    method = "waystation.v1.SystemService/GetSystemStatus"
    name = "rpc_server_call_duration_seconds_count"

    async def counted(code: str) -> float | None:
        return read(name, rpc_method=method, rpc_response_status_code=code)

    for code in ("INVALID_ARGUMENT", "OK", "CANCELLED"):
        # The caller knows of its cancellation before the server does.
        await eventually(partial(counted, code), until=partial(eq, 1.0), what=code)
    await server.stop(0)


def settings(**given: str) -> ApiSettings:
    return read_settings(
        ApiSettings,
        {
            "WAYSTATION_DATABASE_URL": "postgresql://u@127.0.0.1/d",
            "WAYSTATION_BROKER_URL": "memory://",
            **{f"WAYSTATION_METRICS_{name.upper()}": value for name, value in given.items()},
        },
    )


def test_metrics_are_served_where_the_settings_say_until_the_end(read: Read) -> None:
    serve_metrics(settings(), read.meters)()
    read.meters.histogram(definitions.COMMIT_BATCH).of().observe(3)
    port = free_port()
    end = serve_metrics(settings(port=str(port)), read.meters)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read()
        assert b"waystation_commit_batch_size_sum 3.0" in text
        assert b"_created" not in generate_latest(read.meters.registry)
        with pytest.raises(PortTaken, match="WAYSTATION_METRICS_PORT"):
            serve_metrics(settings(port=str(port)), read.meters)
    finally:
        end()
    serve_metrics(settings(port=str(port)), read.meters)()


def test_strangers_read_no_metrics_unless_somebody_says_so() -> None:
    assert settings(host="0.0.0.0").metrics_port is None
    with pytest.raises(BadSettings) as refused:
        settings(host="0.0.0.0", port="7410")
    assert "WAYSTATION_METRICS_INSECURE=true" in str(refused.value)
    assert settings(host="0.0.0.0", port="7410", insecure="true").metrics_port == 7410
