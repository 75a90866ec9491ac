"""What may be dialled: odd spellings are refused, and every address must be on the list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from waystation_core.rpc.addresses import (
    MAX_ADDRESSES,
    admitted_addresses,
    servers_of,
    target,
)
from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist, check_endpoint
from waystation_domain.errors import EndpointNotAllowed, InvalidField

NO_MACHINES = [
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1%lo",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
]
NO_HOSTS = [
    "",
    "unix:/var/run/x",
    "unix:///x",
    "dns://1.1.1.1/localhost",
    "xds:x",
    "vsock:1:2",
    "http://localhost",
    "user@localhost",
    "localhost:7500",
    "localhost/path",
    "localhost.",
    "local host",
    "2130706433",
    "0x7f000001",
    "127.1",
    "127.0.0.01",
    "[::1]",
    "xn--lcalhost-90a",
    "l\u00f6calhost",
    "localhost\n",
    "a" * 10_000,
]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_a_fault_of_the_request(host: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_endpoint(host, 7500)
    assert refused.value.metadata["field"] == "host"
    assert len(refused.value.message) < 250


@pytest.mark.parametrize("host", NO_MACHINES)
def test_addresses_of_no_machine_are_not_admitted(host: str) -> None:
    with pytest.raises(EndpointNotAllowed):
        check_endpoint(host, 7500)


@pytest.mark.parametrize("port", [0, -1, 65_536, 70_968, 99_999])
def test_ports_do_not_wrap(port: int) -> None:
    with pytest.raises(InvalidField):
        check_endpoint("localhost", port)


def test_names_and_addresses_are_distinguished() -> None:
    assert check_endpoint("handlers_1.example-2.internal", 1) is None
    assert check_endpoint("10.1.2.3", 65_535) == ip_address("10.1.2.3")
    assert check_endpoint("::1", 7500) == ip_address("::1")


def admits(rules: str, host: str, port: int, *addresses: str) -> bool:
    try:
        Allowlist.parse(rules).check(host, port, [ip_address(each) for each in addresses])
    except EndpointNotAllowed:
        return False
    return True


def test_every_address_must_be_admitted_with_its_port() -> None:
    assert admits(DEFAULT_ALLOWLIST, "localhost", 7500, "127.0.0.1", "::1")
    assert not admits(DEFAULT_ALLOWLIST, "x", 7500, "127.0.0.1", "10.0.0.1")
    assert not admits(DEFAULT_ALLOWLIST, "x", 7500)
    assert not admits("", "localhost", 7500, "127.0.0.1")
    rules = "10.1.0.0/16:7500-7599, [fd00::/8]:80, fd01::5, Handlers.internal:7500"
    assert admits(rules, "a", 7599, "10.1.2.3")
    assert not admits(rules, "a", 7600, "10.1.2.3")
    assert admits(rules, "a", 80, "fd00::1")
    assert admits(rules, "a", 81, "fd01::5")
    assert admits(rules, "handlers.INTERNAL", 7500, "192.168.0.9")
    assert not admits(rules, "handlers.internal", 7501, "192.168.0.9")


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "::ffff:10.1.0.1", "ff02::1"])
def test_no_list_admits_what_is_never_an_endpoint(address: str) -> None:
    assert not admits("0.0.0.0/0,::/0,metadata", "metadata", 80, address)


@pytest.mark.parametrize("rules", ["10.0.0.1/8", "a b", "host:port", "host:0", "h:9-1", "http://x"])
def test_a_list_that_can_not_be_read_is_refused(rules: str) -> None:
    with pytest.raises(InvalidField):
        Allowlist.parse(rules)


def leads_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Every name leads to these addresses; of several answers each counts for one question."""
    left = list(answers)

    async def getaddrinfo(loop: object, host: str, port: int, **kind: object) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(0, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def test_a_thousand_addresses_are_all_looked_at_and_few_are_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = Allowlist.parse("10.0.0.0/8")
    many = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(1_000)]
    leads_to(monkeypatch, many, [*many, "192.168.0.1"])
    assert len(await admitted_addresses("many.internal", 7500, rules)) == MAX_ADDRESSES
    with pytest.raises(EndpointNotAllowed):
        await admitted_addresses("many.internal", 7500, rules)


async def test_a_name_that_leads_elsewhere_later_is_refused_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = Allowlist.parse("10.0.0.0/8")
    leads_to(monkeypatch, ["10.0.0.1"], ["127.0.0.1"])
    assert await admitted_addresses("flips.internal", 7500, rules) == [ip_address("10.0.0.1")]
    with pytest.raises(EndpointNotAllowed):
        await admitted_addresses("flips.internal", 7500, rules)


async def test_the_systems_own_servers_are_refused_like_everything_else() -> None:
    own = servers_of(
        "postgresql://user:word@localhost/db", "amqp://guest:guest@127.0.0.1:5673/", "memory://"
    )
    assert own == (("localhost", 5432), ("127.0.0.1", 5673))
    rules = replace(Allowlist.parse(DEFAULT_ALLOWLIST), own=own)
    texts = set()
    for host, port in (("127.0.0.1", 5432), ("::1", 5432), ("127.9.9.9", 5673), ("10.0.0.1", 5432)):
        with pytest.raises(EndpointNotAllowed) as refused:
            await admitted_addresses(host, port, rules)
        texts.add(refused.value.message.replace(f"{host}:{port}", "HERE"))
    assert len(texts) == 1, "who asks learns nothing of what is there"
    assert await admitted_addresses("127.0.0.1", 5674, rules)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@a:1,b:2/db", (("a", 1), ("b", 2))),
        ("postgres://u@[fd00::1]/db", (("fd00::1", 5432),)),
        ("postgresql:///db?host=c&port=6", (("c", 6),)),
        ("postgresql:///db?host=/run/postgres", ()),
        ("postgresql://u@%2Frun%2Fpostgres/db", ()),
        ("amqps://u:p@broker/vhost", (("broker", 5671),)),
        ("memory://", ()),
    ],
)
def test_a_url_names_its_servers(url: str, expected: tuple[tuple[str, int], ...]) -> None:
    assert servers_of(url) == expected


async def test_names_are_resolved_and_pinned() -> None:
    local = Allowlist.parse(DEFAULT_ALLOWLIST)
    addresses = await admitted_addresses("localhost", 7500, local)
    assert addresses
    assert all(address.is_loopback for address in addresses)
    assert target(ip_address("127.0.0.1"), 7500) == "ipv4:127.0.0.1:7500"
    assert target(ip_address("::1"), 7500) == "ipv6:[::1]:7500"
    with pytest.raises(EndpointNotAllowed):
        await admitted_addresses("localhost", 7500, Allowlist.parse("10.0.0.0/8"))
    with pytest.raises(OSError):
        await admitted_addresses("no-such-host.invalid", 7500, local)
