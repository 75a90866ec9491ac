"""TLS of the SDK: a client, and a handler service that registers and is called."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import Ended, Pki, issued
from support.waiting import eventually
from worker_sdk.fakes import FakeWaystation, serving

from waystation.v1 import workflow_service_pb2 as pb
from waystation_tls import ClientCredentials, ServerCredentials
from waystation_worker import (
    Client,
    HandlerService,
    SettingsError,
    TaskContext,
    TlsFailed,
    Unavailable,
    certificates,
    server,
)

service = HandlerService("claims")


@service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
async def validate(ctx: TaskContext) -> None:
    ctx.complete({})


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def believed(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The authority that clients of the test believe, by the setting."""
    ca = pki.ca()
    monkeypatch.setenv("WAYSTATION_TLS_CA", str(ca))
    return ca


def _started(request: Any) -> pb.StartWorkflowResponse:
    response = pb.StartWorkflowResponse()
    response.context.workflow_instance_id = request.workflow_instance_id
    response.context.workflow_type = request.workflow_type
    return response


def fake(*, streams: bool = True) -> FakeWaystation:
    made = FakeWaystation(streams=streams)
    made.usual["StartWorkflow"] = _started
    return made


async def test_a_client_believes_the_authority_of_its_setting(pki: Pki, believed: Path) -> None:
    async with (
        serving(fake(), tls=ServerCredentials(pki.server())) as api,
        Client(api.address) as client,
    ):
        assert (await client.start("claim", {}, workflow_instance_id="c-1")).id == "c-1"


async def test_a_client_shows_its_certificate_to_a_server_that_asks(
    pki: Pki, believed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ServerCredentials(pki.server(client_ca=believed))
    async with serving(fake(), tls=tls) as api:
        async with Client(api.address, retry_for=0) as stranger:
            with pytest.raises(TlsFailed) as caught:
                await stranger.start("claim", {})
        assert caught.value.reason == "TLS_CLIENT_CERTIFICATE_REQUIRED"
        cert, key = pki.pair("me", issued("ours", "me"))
        monkeypatch.setenv("WAYSTATION_TLS_CERT", str(cert))
        monkeypatch.setenv("WAYSTATION_TLS_KEY", str(key))
        async with Client(api.address) as client:
            await client.start("claim", {})


@pytest.mark.parametrize(
    ("names", "by", "reason", "said"),
    [
        (("127.0.0.1",), "theirs", "TLS_AUTHORITY_UNKNOWN", "set WAYSTATION_TLS_CA"),
        (("127.0.0.1",), "ended", "TLS_CERTIFICATE_EXPIRED", "renew it there"),
        (("api.test",), "ours", "TLS_NAME_MISMATCH", "is for api.test and not for 127.0.0.1"),
    ],
)
async def test_a_client_says_what_is_wrong_and_what_to_do(
    pki: Pki, believed: Path, names: tuple[str, ...], by: str, reason: str, said: str
) -> None:
    made = Ended(*names) if by == "ended" else ServerCredentials(pki.server(issued(by, *names)))
    async with (
        serving(fake(), tls=made) as api,
        Client(api.address, retry_for=0) as client,
    ):
        with pytest.raises(TlsFailed) as caught:
            await client.start("claim", {})
        with pytest.raises(TlsFailed):
            await anext(client.watch("w-1"))
    error = caught.value
    assert (error.reason, error.retryable, error.code) == (reason, False, "UNAVAILABLE")
    assert error.message.startswith(f"no connection to Waystation at {api.address}: ")
    assert said in error.message


async def test_only_one_side_speaks_tls(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serving(fake(), tls=ServerCredentials(pki.server())) as api,
        Client(api.address, retry_for=0) as client,
    ):
        with pytest.raises(TlsFailed, match="set WAYSTATION_TLS_CA"):
            await client.start("claim", {})
    monkeypatch.setenv("WAYSTATION_TLS_CA", str(pki.ca()))
    async with serving(fake()) as api:
        async with Client(api.address, retry_for=0) as client:
            with pytest.raises(TlsFailed, match="the server does not speak TLS"):
                await client.start("claim", {})
        address = api.address
    # Nobody there is no fault of TLS.
    async with Client(address, retry_for=0) as client:
        with pytest.raises(Unavailable) as caught:
            await client.start("claim", {})
        assert not isinstance(caught.value, TlsFailed)


async def test_the_name_in_the_certificate_may_be_set(
    pki: Pki, believed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_TLS_SERVER_NAME", "api.test")
    async with (
        serving(fake(), tls=ServerCredentials(pki.server(issued("ours", "api.test")))) as api,
        Client(api.address) as client,
    ):
        await client.start("claim", {})


def test_settings_of_tls_that_cannot_be_used_are_refused_at_once(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_TLS_CA", str(pki.folder / "missing.pem"))
    monkeypatch.setenv("WAYSTATION_TLS_KEY", str(pki.folder / "key.pem"))
    with pytest.raises(SettingsError) as caught:
        Client()
    assert "WAYSTATION_TLS_CA=" in caught.value.message
    assert "WAYSTATION_TLS_KEY is set without WAYSTATION_TLS_CERT" in caught.value.message


async def test_calls_go_on_while_the_certificates_of_both_sides_are_replaced(
    pki: Pki, believed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "waystation_worker")
    tls = ServerCredentials(pki.server())
    done = asyncio.Event()
    answered = 0
    async with serving(fake(), tls=tls) as api, Client(api.address, retry_for=0) as client:

        async def load() -> None:
            nonlocal answered
            while not done.is_set():
                await client.start("claim", {})
                answered += 1

        async def more(than: int) -> None:
            async def reached() -> bool:
                return answered > than

            await eventually(reached)

        loads = [asyncio.create_task(load()) for _ in range(8)]
        await more(20)
        # Both authorities are believed before the server shows the other's certificate.
        pki.ca("ours", "theirs")
        await more(answered + 20)
        pki.pair("server", issued("theirs", "127.0.0.1"))
        tls.look()
        pki.ca("theirs")
        await more(answered + 20)
        done.set()
        await asyncio.gather(*loads)
        assert caplog.text.count("new certificates are in use") == 2
        assert api.half_closed >= 1


async def test_a_handler_service_serves_and_registers_over_tls(
    pki: Pki, believed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.01)
    caplog.set_level(logging.INFO, "waystation_worker")
    cert, key = pki.pair("handler", issued("ours", "handler.test"))
    monkeypatch.setenv("WAYSTATION_TLS_CERT", str(cert))
    monkeypatch.setenv("WAYSTATION_TLS_KEY", str(key))
    router = ClientCredentials(pki.client())

    async def shows(port: int, name: str) -> bool:
        options = [*router.options(name), ("grpc.use_local_subchannel_pool", 1)]
        target = f"127.0.0.1:{port}"
        async with grpc.aio.secure_channel(target, router.of_grpc(), options) as channel:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                return True
        return False

    async with serving(fake(), tls=ServerCredentials(pki.server(client_ca=believed))) as api:
        async with service.serving(address=api.address, port=0) as running:
            await running.wait_registered()
            assert await shows(running.port, "handler.test")
            assert not await shows(running.port, "other.test")
            # The same files are what it shows to Waystation.
            pki.pair("handler", issued("ours", "other.test"))
            await eventually(lambda: shows(running.port, "other.test"))
            assert [name for name, _ in api.calls] == ["RegisterHandler"]
        assert [name for name, _ in api.calls] == ["RegisterHandler", "UnregisterHandler"]


async def test_a_registration_that_tls_prevents_says_why(
    pki: Pki, believed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ServerCredentials(pki.server(issued("theirs", "127.0.0.1")))
    async with (
        serving(fake(), tls=tls) as api,
        service.serving(address=api.address, port=0),
    ):

        async def said() -> bool:
            return "TLS_AUTHORITY_UNKNOWN" in caplog.text

        await eventually(said)
    assert "set WAYSTATION_TLS_CA to the certificate of that authority" in caplog.text


def test_off_loopback_a_handler_service_needs_tls_and_callers_that_it_knows(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    from waystation_worker.settings import read_settings

    def refusal() -> str:
        try:
            read_settings(host="0.0.0.0")
        except SettingsError as error:
            return error.message
        return ""

    cert, key = pki.pair("handler")
    assert "host=0.0.0.0 can be reached from other machines" in refusal()
    monkeypatch.setenv("WAYSTATION_TLS_CERT", str(cert))
    monkeypatch.setenv("WAYSTATION_TLS_KEY", str(key))
    assert "everybody there could call it: set WAYSTATION_IDENTITY_KEYS or " in refusal()
    monkeypatch.setenv("WAYSTATION_TLS_CLIENT_CA", str(pki.ca()))
    assert refusal() == ""
    monkeypatch.delenv("WAYSTATION_TLS_CLIENT_CA")
    monkeypatch.setenv("WAYSTATION_IDENTITY_KEYS", "x" * 43)
    assert refusal() == ""
    key.write_text("")
    assert "holds no PEM private key" in refusal()
