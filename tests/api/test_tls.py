"""The API over TLS: what its status says of its certificates, and settings that are refused at the start."""

from pathlib import Path
from typing import Any

import pytest
from support.certificates import Pki, issued

from waystation.v1.system_service_pb2 import GetSystemStatusRequest, GetSystemStatusResponse
from waystation.v1.system_service_pb2_grpc import SystemServiceStub
from waystation_api.settings import ApiSettings
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.settings import BadSettings, read_settings
from waystation_tls import ClientCredentials


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


async def test_the_status_says_when_certificates_end_and_what_is_not_in_use(
    serve: Any, pki: Pki, capfd: pytest.CaptureFixture[str]
) -> None:
    cert, key = pki.pair("api", issued("ours", "localhost", "127.0.0.1", days=9))
    ca = pki.ca()
    settings = {"CERT": cert, "KEY": key, "CLIENT_CA": ca}
    given = {f"WAYSTATION_TLS_{name}": str(path) for name, path in settings.items()}
    api = await serve(**given, WAYSTATION_HANDLER_TLS_CA=str(ca))
    tls = ClientCredentials(pki.client(made=issued("ours", "me")))

    async def status() -> GetSystemStatusResponse:
        async with open_channel(api.server.address, tls=tls) as channel:
            return await SystemServiceStub(channel).GetSystemStatus(GetSystemStatusRequest())

    told = (await status()).certificates
    assert [each.setting for each in told] == [
        "WAYSTATION_TLS_CERT",
        "WAYSTATION_TLS_CLIENT_CA",
        "WAYSTATION_HANDLER_TLS_CA",
    ]
    assert told[0].ends_at.ToSeconds() < told[1].ends_at.ToSeconds()
    assert {each.trouble for each in told} == {""}
    logged = "".join(capfd.readouterr())
    assert "certificate_ends_soon" in logged
    assert f"the certificate in {cert} (WAYSTATION_TLS_CERT) ends on" in logged
    cert.write_text("half")
    api.server._rpc.credentials.look()
    assert "holds no PEM certificate" in (await status()).certificates[0].trouble


def faults(**settings: object) -> list[str]:
    given = {
        "WAYSTATION_DATABASE_URL": "postgresql://u@h/d",
        "WAYSTATION_BROKER_URL": "amqp://h",
        **{f"WAYSTATION_{name}": str(value) for name, value in settings.items()},
    }
    try:
        read_settings(ApiSettings, given)
    except BadSettings as bad:
        return list(bad.faults)
    return []


def test_all_faults_of_tls_are_said_together(pki: Pki) -> None:
    cert, _ = pki.pair("api")
    _, other = issued("ours", "other").write(pki.folder, "other")
    (host, *rest) = sorted(
        faults(
            API_HOST="0.0.0.0",
            TLS_CERT=cert,
            TLS_KEY=other,
            HANDLER_TLS_CA=pki.folder / "missing.pem",
            BROKER_CA=cert,
        )
    )
    assert "WAYSTATION_API_HOST=0.0.0.0 can be reached" in host
    assert "WAYSTATION_BROKER_CA is set, but WAYSTATION_BROKER_URL does not begin with" in rest[0]
    assert f"WAYSTATION_HANDLER_TLS_CA={pki.folder}/missing.pem cannot be read" in rest[1]
    # Once, although it is the certificate of the port and of calls.
    assert f"WAYSTATION_TLS_KEY={other} does not belong" in rest[2]
    assert len(rest) == 3


def test_a_host_off_loopback_needs_encryption_and_known_callers(pki: Pki) -> None:
    cert, key = pki.pair("api")
    pair = {"API_HOST": "0.0.0.0", "TLS_CERT": cert, "TLS_KEY": key}
    assert "WAYSTATION_TLS_CLIENT_CA" in "".join(faults(**pair))
    assert faults(**pair, TLS_CLIENT_CA=pki.ca()) == []
    assert faults(API_HOST="0.0.0.0", INSECURE=True) == []


def test_calls_to_handlers_are_off_or_required(pki: Pki) -> None:
    assert faults(HANDLER_TLS="required") == []
    assert faults(HANDLER_TLS="off", HANDLER_TLS_CA="") == []
    (fault,) = faults(HANDLER_TLS="off", HANDLER_TLS_CA=pki.ca())
    assert "unset one of them" in fault
    (fault,) = faults(HANDLER_TLS="perhaps")
    assert fault.startswith("WAYSTATION_HANDLER_TLS: ")
