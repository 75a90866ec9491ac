"""What a handler service measures."""

from __future__ import annotations

import asyncio
import sys
import urllib.request

import grpc
import pytest
from worker_sdk.fakes import delivery

from waystation.v1 import task_handler_service_pb2_grpc
from waystation_worker import HandlerService, Reject, SettingsError, TaskContext


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> HandlerService:
    monkeypatch.setenv("WAYSTATION_HANDLER_METRICS_PORT", "0")
    made = HandlerService("claims", version="1.2.3")

    @made.task(events=["claim.processed"], workflow_types=["*"])
    async def works(ctx: TaskContext) -> None:
        ctx.data["worked"] = True

    @made.task(events=["claim.processed"], workflow_types=["*"])
    def fails(ctx: TaskContext) -> None:
        raise Reject("NO")

    return made


def _read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as answer:
        text: bytes = answer.read()
    return text.decode()


async def test_calls_are_counted_by_task_and_outcome(service: HandlerService) -> None:
    async with service.serving(port=0, register=False, grace=0.1) as running:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            stub = task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)
            for task in ("works", "works", "fails"):
                await stub.HandleEvent(delivery(task))
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.HandleEvent(delivery("made-up-by-a-stranger"))
        address = f"http://127.0.0.1:{running.metrics_port}/metrics"
        text = await asyncio.to_thread(_read, address)
    for line in (
        'waystation_handler_info{service="claims",version="1.2.3"} 1.0',
        "waystation_handler_registered 0.0",
        'waystation_handler_call_seconds_count{outcome="succeeded",task_id="works"} 2.0',
        'waystation_handler_call_seconds_count{outcome="failed",task_id="fails"} 1.0',
        'waystation_handler_call_seconds_count{outcome="refused",task_id="other"} 1.0',
        'waystation_handler_calls_in_flight{task_id="works"} 0.0',
    ):
        assert line in text.splitlines(), line
    assert "stranger" not in text


async def test_without_the_extra_it_says_what_to_install(
    service: HandlerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=r"waystation-worker\[metrics\]"):
        async with service.serving(port=0, register=False):
            pass


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("WAYSTATION_HANDLER_METRICS_PORT", "many", "is not 0-65535"),
        ("WAYSTATION_HANDLER_METRICS_HOST", "0.0.0.0", "WAYSTATION_METRICS_INSECURE=true"),
    ],
)
async def test_a_port_that_cannot_be_used_is_a_fault_of_the_settings(
    service: HandlerService, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=wanted):
        async with service.serving(port=0, register=False):
            pass
