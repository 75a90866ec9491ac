"""Files of TLS: everything that is wrong with them is said at once, and where a server may listen with them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from support.certificates import Pki, issued

from waystation_tls import (
    BadTls,
    ClientCredentials,
    ClientTls,
    News,
    ServerTls,
    ending_soon,
    open_to_strangers,
)
from waystation_tls.watched import Watched


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def _protected(key: bytes) -> bytes:
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


FAULTS: dict[str, tuple[Callable[[ServerTls], ServerTls], str]] = {
    "no key": (
        lambda t: ServerTls(t.cert),
        "WAYSTATION_TLS_CERT is set without WAYSTATION_TLS_KEY",
    ),
    "no certificate": (
        lambda t: ServerTls(None, t.key),
        "WAYSTATION_TLS_KEY is set without WAYSTATION_TLS_CERT",
    ),
    "callers only": (
        lambda t: ServerTls(client_ca=t.cert),
        "WAYSTATION_TLS_CLIENT_CA is set without WAYSTATION_TLS_CERT and WAYSTATION_TLS_KEY",
    ),
    "not there": (
        lambda t: ServerTls(Path("/nowhere/cert.pem"), t.key),
        "WAYSTATION_TLS_CERT=/nowhere/cert.pem cannot be read: No such file or directory",
    ),
    "exchanged": (lambda t: ServerTls(t.key, t.key), "holds no PEM certificate"),
    "no private key": (lambda t: ServerTls(t.cert, t.cert), "holds no PEM private key"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_of_the_files_is_named(case: str, pki: Pki) -> None:
    change, said = FAULTS[case]
    (fault,) = change(pki.server()).faults()
    assert said in fault


def test_a_key_of_another_certificate_a_password_and_an_ended_certificate(pki: Pki) -> None:
    good = pki.server()
    assert good.faults() == []
    assert ServerTls().faults() == []
    _, other = issued("ours", "other").write(pki.folder, "other")
    (fault,) = ServerTls(good.cert, other).faults()
    assert (
        f"WAYSTATION_TLS_KEY={other} does not belong to the certificate in WAYSTATION_TLS_CERT"
        in fault
    )
    other.write_bytes(_protected(issued().key))
    (fault,) = ServerTls(good.cert, other).faults()
    assert "is protected by a password" in fault
    ended = pki.server(issued("ours", "localhost", days=-1))
    (fault,) = ended.faults()
    assert "WAYSTATION_TLS_CERT" in fault
    assert "the certificate ended on" in fault


def test_all_faults_are_said_at_once(pki: Pki) -> None:
    cert, key = pki.pair("server")
    cert.write_text("nothing")
    key.unlink()
    with pytest.raises(BadTls) as caught:
        ServerTls(cert, key, pki.folder / "missing.pem").read()
    names = [fault.partition("=")[0] for fault in caught.value.faults]
    assert names == ["WAYSTATION_TLS_CERT", "WAYSTATION_TLS_KEY", "WAYSTATION_TLS_CLIENT_CA"]


def test_what_turns_tls_of_a_client_on(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = str(pki.ca())
    assert not ClientTls.of({}).on
    assert not ClientTls.of({"WAYSTATION_TLS": "false", "WAYSTATION_TLS_CA": ""}).on
    assert ClientTls.of({"WAYSTATION_TLS_CA": ca}).on
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    of_machine = ClientTls.of({"WAYSTATION_TLS": "true"})
    assert of_machine.on
    assert of_machine.read().authorities.pem == Path(ca).read_bytes()
    for wrong, said in (
        ({"WAYSTATION_TLS": "perhaps"}, "neither true nor false"),
        ({"WAYSTATION_TLS": "false", "WAYSTATION_TLS_CA": ca}, "unset one of them"),
    ):
        with pytest.raises(BadTls, match=said):
            ClientTls.of(wrong)
    (fault,) = ClientTls.of({"WAYSTATION_TLS_CA": ca, "WAYSTATION_TLS_KEY": ca}).faults()
    assert "WAYSTATION_TLS_KEY is set without WAYSTATION_TLS_CERT" in fault


def test_the_newest_usable_content_is_in_use(pki: Pki) -> None:
    watched = Watched(pki.server())
    first = watched.material.identity.chain
    assert watched.look() is News.SAME
    # A certificate whose key follows a moment later is no news.
    second = issued("ours", "second")
    cert = pki.folder / "server.pem"
    cert.write_bytes(second.certificate)
    assert watched.look() is News.SAME
    assert "does not belong" in watched.trouble
    # If it stays so, it is said, once.
    assert [watched.look() for _ in range(3)] == [News.BROKEN, News.SAME, News.SAME]
    assert watched.material.identity.chain == first
    second.write(pki.folder, "server")
    assert watched.look() is News.CHANGED
    assert (watched.material.identity.chain, watched.trouble) == (second.certificate, "")
    assert watched.material.identity.names == ("second",)
    cert.unlink()
    assert watched.look() is News.SAME
    second.write(pki.folder, "server")
    assert (watched.look(), watched.trouble) == (News.SAME, "")


def test_what_ends_within_two_weeks(pki: Pki) -> None:
    tls = pki.client(made=issued("ours", "a client", days=13))
    (ending,) = ending_soon(ClientCredentials(tls).material.endings)
    assert str(ending).startswith(f"the certificate in {tls.cert} (WAYSTATION_TLS_CERT) ends on 2")
    assert ending_soon([ending], datetime.now(UTC) - timedelta(days=2)) == []


@pytest.mark.parametrize(
    ("tls", "callers_known", "lacking"),
    [
        (False, False, "WAYSTATION_TLS_CERT, WAYSTATION_TLS_KEY, and WAYSTATION_TLS_CLIENT_CA"),
        (True, False, "WAYSTATION_TLS_CLIENT_CA"),
        (False, True, "WAYSTATION_TLS_CERT and WAYSTATION_TLS_KEY"),
        (True, True, None),
    ],
)
def test_off_loopback_a_server_is_encrypted_and_knows_its_callers(
    tls: bool, callers_known: bool, lacking: str | None
) -> None:
    def verdict(host: str, insecure: bool = False) -> str | None:
        return open_to_strangers(
            host, setting="HOST", insecure=insecure, tls=tls, callers_known=callers_known
        )

    assert verdict("127.0.0.1") is verdict("::1") is verdict("localhost") is None
    assert verdict("0.0.0.0", insecure=True) is None
    for host in ("0.0.0.0", "::", "10.1.2.3", "example.com"):
        fault = verdict(host)
        assert (fault is None) if lacking is None else (fault is not None and lacking in fault)
