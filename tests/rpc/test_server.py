"""The server builder and its error interceptor: nothing internal reaches a caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.running_api import refusal

from waystation.v1 import system_service_pb2 as pb
from waystation.v1 import system_service_pb2_grpc, workflow_service_pb2, workflow_service_pb2_grpc
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.server import PortTaken, RpcServer, Service
from waystation_core.rpc.settings import BadSettings
from waystation_domain.errors import InvalidField, WaystationError

CANARY = "postgresql://user:hunter2@db/secret"


class Scripted(system_service_pb2_grpc.SystemServiceServicer):
    """Raises what it is told to."""

    error: Exception | None = None

    async def GetSystemStatus(self, request: Any, context: Any) -> pb.GetSystemStatusResponse:
        if self.error is not None:
            raise self.error
        return pb.GetSystemStatusResponse(server_version="1")


class Streaming(workflow_service_pb2_grpc.WorkflowServiceServicer):
    async def WatchWorkflow(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield workflow_service_pb2.WatchWorkflowResponse()
        raise RuntimeError(CANARY)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def server(scripted: Scripted) -> AsyncIterator[RpcServer]:
    made = RpcServer(
        [
            Service(
                "waystation.v1.SystemService",
                lambda to: system_service_pb2_grpc.add_SystemServiceServicer_to_server(
                    scripted, to
                ),
            ),
            Service(
                "waystation.v1.WorkflowService",
                lambda to: workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(
                    Streaming(), to
                ),
            ),
        ],
        host="127.0.0.1",
        port=0,
        port_setting="WAYSTATION_API_PORT",
    )
    await made.start()
    yield made
    await made.stop(0)


@pytest.fixture
async def channel(server: RpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(server.address) as channel:
        yield channel


async def test_a_fault_of_ours_is_internal_with_an_id_and_nothing_else(
    scripted: Scripted, channel: grpc.aio.Channel, capfd: pytest.CaptureFixture[str]
) -> None:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    scripted.error = RuntimeError(CANARY)
    refused = await refusal(stub.GetSystemStatus(pb.GetSystemStatusRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "hunter2" not in refused.message
    assert "RuntimeError" not in refused.message
    logged = "".join(capfd.readouterr())
    assert refused.metadata["error_id"] in logged
    assert "RuntimeError" in logged
    scripted.error = None
    assert (await stub.GetSystemStatus(pb.GetSystemStatusRequest())).server_version == "1"


async def test_a_stream_that_fails_half_way_says_no_more(channel: grpc.aio.Channel) -> None:
    call = workflow_service_pb2_grpc.WorkflowServiceStub(channel).WatchWorkflow(
        workflow_service_pb2.WatchWorkflowRequest()
    )
    await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in (caught.value.details() or "")


async def test_a_field_at_fault_is_named(scripted: Scripted, channel: grpc.aio.Channel) -> None:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    scripted.error = InvalidField("timeout is wrong. Correct it.", field="timeout")
    refused = await refusal(stub.GetSystemStatus(pb.GetSystemStatusRequest()))
    assert (refused.fields, refused.metadata) == (("timeout",), {"field": "timeout"})


async def test_bytes_that_are_no_message_are_refused(channel: grpc.aio.Channel) -> None:
    raw = channel.unary_unary("/waystation.v1.SystemService/GetSystemStatus")
    refused = await refusal(raw(b"\xff\xff\xff"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_health_follows_and_reflection_lists(
    server: RpcServer, channel: grpc.aio.Channel
) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for serving in (False, True):
        if serving:
            await server.set_serving(True)
        for name in ("", "waystation.v1.SystemService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == (1 if serving else 2)
    ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    (answer,) = [found async for found in ask]
    names = {service.name for service in answer.list_services_response.service}
    assert {"waystation.v1.SystemService", "grpc.health.v1.Health"} <= names


async def test_a_taken_port_is_an_error_that_names_the_setting(server: RpcServer) -> None:
    second = RpcServer([], host="127.0.0.1", port=server.port, port_setting="WAYSTATION_API_PORT")
    with pytest.raises(PortTaken, match="WAYSTATION_API_PORT"):
        await second.start()
    await second.stop(0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com"])
async def test_off_loopback_it_listens_only_when_asked_by_name(host: str) -> None:
    with pytest.raises(BadSettings, match="WAYSTATION_INSECURE"):
        RpcServer([], host=host, port=0)
    open_to_all = RpcServer([], host="0.0.0.0", port=0, insecure=True)
    await open_to_all.start()
    await open_to_all.stop(0)


def test_every_error_of_the_tree_has_its_own_reason_of_the_contract() -> None:
    from waystation.v1.error_reason_pb2 import ErrorReason

    known = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    pending, reasons = [WaystationError], set()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        reasons.add(kind.reason)
        assert kind.code in grpc.StatusCode.__members__
    assert reasons == known - {"UNSPECIFIED"}


async def test_a_long_refusal_arrives_with_its_code_and_reason(
    scripted: Scripted, server: RpcServer
) -> None:
    """Through a channel with gRPC's own limits, as a client in any language has it."""
    scripted.error = InvalidField(
        "\N{HIRAGANA LETTER A}" * 5_000, field="x" * 5_000, more="y" * 50_000
    )
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = system_service_pb2_grpc.SystemServiceStub(channel)
        refused = await refusal(stub.GetSystemStatus(pb.GetSystemStatusRequest()))
    assert refused.reason == "INVALID_FIELD"
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.message.endswith("...")


async def test_a_request_above_the_limit_is_refused_with_a_reason(
    server: RpcServer, channel: grpc.aio.Channel
) -> None:
    stub: Any = system_service_pb2_grpc.SystemServiceStub(channel)
    large = pb.GetSystemStatusRequest(namespace="x" * (9 * 1024 * 1024))
    refused = await refusal(stub.GetSystemStatus(large))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "PAYLOAD_TOO_LARGE",
    )
    assert refused.metadata["limit_bytes"] == str(8 * 1024 * 1024)


async def test_a_great_many_calls_at_once_are_all_answered(server: RpcServer) -> None:
    """gRPC's own bound lies at 1,000 that wait to be begun: some of more are cancelled, by chance."""
    channels = [
        grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(8)
    ]
    calls = [
        system_service_pb2_grpc.SystemServiceStub(channels[at % 8]).GetSystemStatus(
            pb.GetSystemStatusRequest(), timeout=60
        )
        for at in range(2_500)
    ]
    codes = Counter([await call.code() for call in calls])
    for channel in channels:
        await channel.close()
    assert codes == {grpc.StatusCode.OK: 2_500}
