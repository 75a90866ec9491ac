"""An address that is none is refused at once, by client and service alike, with the form that is right."""

from __future__ import annotations

import re

import pytest

from waystation_worker import Client, SettingsError
from waystation_worker.addresses import DEFAULT_ADDRESS, is_host
from waystation_worker.settings import read_settings

WRONG = [
    ("::1:7400", "write [::1]:7400"),
    ("[::1:7400", "write [::1]:7400"),
    ("2001:db8::1", "write [2001:db8::1]:7400"),
    ("::1", "write [::1]:7400"),
    ("http://127.0.0.1:7400", "write 127.0.0.1:7400"),
    ("https://waystation.internal:7400/v1", "write waystation.internal:7400"),
    ("grpc://waystation", "write waystation:7400"),
    ("http://[::1]:7400", "write [::1]:7400"),
    ("waystation:7400/", "write waystation:7400"),
    (" waystation:7400", "write waystation:7400"),
    ("waystation:7400\n", "write waystation:7400"),
    ("waystation", "write waystation:7400"),
    ("127.0.0.1", "write 127.0.0.1:7400"),
    ("waystation:", "write waystation:7400"),
    ("", "write for example 127.0.0.1:7400, or [::1]:7400 for IPv6"),
    ("  ", "write for example"),
    (":7400", "write for example"),
    ("a b:7400", "write for example"),
    ("me@waystation:7400", "write for example"),
    ("unix:/run/waystation", "write for example"),
    ("dns:///waystation:7400", "write for example"),
    ("waystation:http", "write for example"),
    ("waystation:７４００", "write for example"),  # noqa: RUF001 - digits, and none of ASCII
    ("[waystation]:7400", "write for example"),
    ("127.0.0.1:70000", "has the port 70000; ports are 1-65535"),
    ("[::1]:0", "has the port 0; ports are 1-65535"),
]


@pytest.mark.parametrize(("address", "text"), WRONG)
def test_what_is_no_address_is_refused_with_the_right_form(
    address: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError) as by_client:
        Client(address)
    with pytest.raises(SettingsError) as by_service:
        read_settings(address=address, environ={})
    assert str(by_client.value) == str(by_service.value)
    assert str(by_client.value).startswith(f"address: {address!r} ")
    assert text in str(by_client.value)

    monkeypatch.setenv("WAYSTATION_ADDRESS", address)
    if address:
        with pytest.raises(SettingsError, match=r"^WAYSTATION_ADDRESS: "):
            Client()
    else:
        # A variable that is set to nothing is not set.
        assert Client().address == DEFAULT_ADDRESS


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:7400", "[::1]:7400", "[fe80::1%eth0]:1", "my_router.waystation.svc.:65535", "h:1"],
)
def test_what_is_an_address_is_taken_as_it_is(address: str) -> None:
    assert Client(address).address == address
    assert read_settings(address=address, environ={}).address == address
    # Where it is suggested, it is one.
    for _, text in WRONG:
        if text.startswith("write ") and "example" not in text:
            assert Client(text.removeprefix("write "))


@pytest.mark.parametrize(
    "host", ["", " ", "http://me", "me:7500", "[::1]", "a b", "me/", "-", "x" * 254]
)
def test_a_host_is_a_name_or_an_ip_address(host: str) -> None:
    assert not is_host(host)
    if host:
        for name in ("HANDLER_HOST", "ADVERTISE_HOST"):
            with pytest.raises(SettingsError, match=f"WAYSTATION_{name}: .* is neither a DNS name"):
                read_settings(environ={f"WAYSTATION_{name}": host})


@pytest.mark.parametrize("port", ["70000", "-1", "7_500", " 7500", "7.5", "many"])
def test_a_port_is_a_whole_number(port: str) -> None:
    with pytest.raises(SettingsError, match=r"WAYSTATION_HANDLER_PORT: .* is not 0-65535"):
        read_settings(environ={"WAYSTATION_HANDLER_PORT": port})


def test_a_setting_is_called_as_it_was_given() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(
            address="here",
            host="0.0.0.0",
            port=70_000,
            advertise_host="http://me",
            environ={"WAYSTATION_HANDLER_PORT": "many"},
        )
    named = [re.split("[:=]", problem)[0] for problem in str(caught.value).split("; ")]
    assert [name for name in named if name.isidentifier()] == [
        "address",
        "port",
        "host",
        "advertise_host",
    ]
