"""Commands over TLS: what the settings do, and what a person is told when there is no connection."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, serving
from support.certificates import Ended, Pki, issued

from waystation.v1.system_pb2 import CertificateStatus
from waystation_cli.outcome import NO_ANSWER, REFUSED
from waystation_tls import ServerCredentials


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def test_a_command_believes_and_shows_what_the_settings_name(
    pki: Pki, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(FakeApi(), ServerCredentials(pki.server(client_ca=pki.ca()))) as api:
        there = ("--address", api.address)
        monkeypatch.setenv("WAYSTATION_TLS_CA", str(pki.ca()))
        told = run("status", *there)
        assert told.exit_code == NO_ANSWER
        assert "asks for a client certificate: set WAYSTATION_TLS_CERT" in told.stderr
        cert, key = pki.pair("me", issued("ours", "me"))
        monkeypatch.setenv("WAYSTATION_TLS_CERT", str(cert))
        monkeypatch.setenv("WAYSTATION_TLS_KEY", str(key))
        assert run("status", *there).exit_code == 0
        assert run("list", *there).exit_code == 0


@pytest.mark.parametrize(
    ("tls", "settings", "reason", "said"),
    [
        ("ours", {}, "TLS_REQUIRED", "set WAYSTATION_TLS_CA to the certificate of its authority"),
        ("theirs", {"CA": "ours"}, "TLS_AUTHORITY_UNKNOWN", "(CN=theirs)"),
        ("ended", {"CA": "ours"}, "TLS_CERTIFICATE_EXPIRED", "renew it there"),
        (
            "ours",
            {"CA": "ours", "SERVER_NAME": "api.test"},
            "TLS_NAME_MISMATCH",
            "is for localhost, 127.0.0.1, ::1 and not for api.test",
        ),
        (None, {"CA": "ours"}, "TLS_NOT_SPOKEN", "unset WAYSTATION_TLS_CA and WAYSTATION_TLS here"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    pki: Pki,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tls: str | None,
    settings: dict[str, str],
    reason: str,
    said: str,
) -> None:
    for name, value in settings.items():
        text = str(pki.ca(value)) if name == "CA" else value
        monkeypatch.setenv(f"WAYSTATION_TLS_{name}", text)
    made: ServerCredentials | Ended | None = None
    if tls is not None:
        ended = tls == "ended"
        made = Ended("127.0.0.1") if ended else ServerCredentials(pki.server(issued(tls)))
    with serving(FakeApi(), made) as api:
        told = run("list", "--address", api.address)
        as_json = run("list", "--address", api.address, "--json")
        # It goes over the SDK's client.
        many = run("start", "--many", "-", "--address", api.address, stdin='{"workflow_type": "a"}')
    assert told.exit_code == NO_ANSWER
    assert f"No connection to {api.address}: " in told.stderr
    assert said in told.stderr
    error = json.loads(as_json.stderr)["error"]
    assert (error["code"], error["reason"]) == ("UNAVAILABLE", reason)
    assert said in many.stderr


def test_settings_that_cannot_be_used_are_refused(
    pki: Pki, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_TLS_CA", str(pki.folder / "missing.pem"))
    told = run("list")
    assert told.exit_code == REFUSED
    assert "missing.pem cannot be read" in told.stderr
    assert "INVALID_ARGUMENT / TLS_SETTINGS" in told.stderr
    many = run("start", "--many", "-", stdin='{"workflow_type": "a"}')
    assert "INVALID_ARGUMENT / TLS_SETTINGS" in many.stderr


def test_the_status_shows_what_has_to_be_renewed(run: Run, api: FakeApi) -> None:
    def certificate(setting: str, days: float, trouble: str = "") -> CertificateStatus:
        made = CertificateStatus(setting=setting, trouble=trouble)
        made.ends_at.FromDatetime(datetime.now(UTC) + timedelta(days=days))
        return made

    assert "certificate" not in run("status").stdout
    api.certificates = [
        certificate("WAYSTATION_TLS_CERT", 13),
        certificate("WAYSTATION_TLS_CLIENT_CA", 300),
        certificate("WAYSTATION_HANDLER_TLS_CA", 300, "it cannot be read."),
    ]
    shown = run("status").stdout
    assert "WAYSTATION_TLS_CERT ends at 2" in shown
    assert "not replaced: it cannot be read." in shown
    assert "WAYSTATION_TLS_CLIENT_CA" not in shown
