"""RabbitMQ over TLS: its certificate is checked, and what is wrong with it is said at the start."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from broker.announcing import announcement
from support.certificates import Pki

from localservers.rabbitmq import RabbitMQServer
from waystation_core.broker import broker_faults, open_broker
from waystation_core.broker.connection import connection_parameters
from waystation_core.ports.broker import AnnounceOutcome


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def amqps_url(amqp_url: str, rabbitmq: RabbitMQServer) -> str:
    """The same virtual host over TLS, by the name in the certificate."""
    plain = f"@127.0.0.1:{urlsplit(amqp_url).port}/"
    there = f"@localhost:{rabbitmq.tls_port}/"
    return amqp_url.replace("amqp://", "amqps://").replace(plain, there)


async def test_the_right_authority_is_believed(amqps_url: str, pki: Pki) -> None:
    ca = pki.ca("ours")
    assert await broker_faults(amqps_url, role="api", ca=ca) == []
    broker = open_broker(amqps_url, role="api", ca=ca)
    try:
        assert await broker.wait_ready(30)
        outcomes = await broker.announce([announcement("e-1")])
        assert outcomes != [AnnounceOutcome.UNCONFIRMED]
    finally:
        await broker.close()


async def test_what_is_wrong_is_said_with_what_to_do(
    amqps_url: str, amqp_url: str, rabbitmq: RabbitMQServer, pki: Pki
) -> None:
    (fault,) = await broker_faults(amqps_url, role="api", ca=pki.ca("theirs"))
    assert f"RabbitMQ at localhost:{rabbitmq.tls_port} cannot be used" in fault
    assert "(TLS_AUTHORITY_UNKNOWN)" in fault
    assert "set WAYSTATION_BROKER_CA to the certificate of that authority" in fault
    # The authorities of this machine did not issue it either.
    (fault,) = await broker_faults(amqps_url, role="api")
    assert "TLS_AUTHORITY_UNKNOWN" in fault
    by_address = amqps_url.replace("@localhost", "@127.0.0.1")
    (fault,) = await broker_faults(by_address, role="api", ca=pki.ca("ours"))
    assert "(TLS_NAME_MISMATCH): the server's certificate is for localhost and not for" in fault
    over_plain = amqp_url.replace("amqp://", "amqps://")
    (fault,) = await broker_faults(over_plain, role="api", ca=pki.ca("ours"))
    assert "(TLS_NOT_SPOKEN)" in fault
    assert "5671 unless configured" in fault
    plain_over_tls = amqps_url.replace("amqps://", "amqp://")
    (fault,) = await broker_faults(plain_over_tls, role="api")
    assert "(TLS_REQUIRED)" in fault
    assert "begin WAYSTATION_BROKER_URL with amqps://" in fault
    (fault,) = await broker_faults(amqps_url, role="api", ca=pki.folder / "missing.pem")
    assert "missing.pem cannot be read" in fault


async def test_the_file_is_read_again_for_each_connection(amqps_url: str, pki: Pki) -> None:
    parameters = connection_parameters(amqps_url, pki.ca("theirs"))
    parameters.look_again()
    before = parameters.ssl_options
    pki.ca("ours")
    parameters.look_again()
    assert parameters.ssl_options is not before
    now = parameters.ssl_options
    (pki.folder / "ca.pem").write_text("half")
    parameters.look_again()
    assert parameters.ssl_options is now
