"""Which addresses handler services may have. Routers connect to every registered endpoint, so an allowlist
decides which addresses are admitted. Resolving names and connecting happen elsewhere, by this rule."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from waystation_domain.errors import EndpointNotAllowed, InvalidField, shown

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

DEFAULT_ALLOWLIST = "127.0.0.0/8,::1/128"
MAX_PORT = 65_535
MAX_HOST_LENGTH = 253

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# What C libraries accept as an IPv4 address in another spelling, such as 127.1 or 0x7f000001.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORTS = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
# IPv4 addresses inside IPv6 ones: the real target is not the one that is written.
_TRANSLATED = (
    ip_network("64:ff9b::/96"),
    ip_network("64:ff9b:1::/48"),
    ip_network("::ffff:0:0/96"),
    ip_network("::/96"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry: a network or a host name, and the ports it admits."""

    network: Network | None
    name: str
    first_port: int
    last_port: int

    def admits(self, host: str, address: Address, port: int) -> bool:
        """Whether this address, to which the host resolved, may be dialled at this port."""
        if not self.first_port <= port <= self.last_port:
            return False
        if self.network is None:
            return host.lower() == self.name
        return address.version == self.network.version and address in self.network


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The operator's list. An empty one admits nothing."""

    rules: tuple[Rule, ...]
    own: tuple[tuple[str, int], ...] = ()
    """Hosts and ports of this system's own servers, which no rule admits: a registration must not make
    routers connect to the database or the broker."""

    @classmethod
    def parse(cls, text: str) -> Allowlist:
        """Reads a comma-separated list of networks, addresses and host names, each with an optional port or
        range of ports: `10.1.0.0/16:7500-7599, handlers.internal, [::1]:7500`. Raises InvalidField naming an
        invalid entry."""
        entries = (entry.strip() for entry in text.split(","))
        return cls(tuple(_rule(entry) for entry in entries if entry))

    def check(
        self, host: str, port: int, addresses: Iterable[Address], own: Collection[Address] = ()
    ) -> None:
        """Raises EndpointNotAllowed unless every address of the host is admitted. `own`: addresses of this
        system's own servers at this port. The refusal is the same whatever is at the address, so that nobody
        can scan the network with it."""
        found = list(addresses)
        admitted = bool(found) and all(
            not _never(address)
            and not any(_same_place(address, one) for one in own)
            and any(rule.admits(host, address, port) for rule in self.rules)
            for address in found
        )
        if not admitted:
            raise EndpointNotAllowed(
                f"{shown(host)}:{port} is not an allowed endpoint. Ask the "
                "operator to add it to WAYSTATION_HANDLER_ALLOWLIST.",
                host=shown(host),
                port=str(port),
            )


def check_endpoint(host: str, port: int) -> Address | None:
    """Refuses a host that is neither a DNS name nor an IP address in its usual spelling. Returns the address
    if the host is one, else None: then it must be resolved before the allowlist is asked.

    Raises InvalidField for a port outside 1-65535 and for an odd host, such as a URL, a gRPC target (`unix:`,
    `dns:`), `127.1`, `[::ffff:127.0.0.1]` or a name in punycode; EndpointNotAllowed for an address that
    belongs to no machine.
    """
    if not 1 <= port <= MAX_PORT:
        raise InvalidField(
            f"port {shown(port)} is outside 1-{MAX_PORT}. Register the port that the service listens on.",
            field="port",
            value=shown(port),
        )
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None:
        if not _is_name(host):
            raise InvalidField(
                f'host "{shown(host)}" is neither a DNS name nor an IP address; write it without scheme, '
                "port or path.",
                field="host",
                value=shown(host),
            )
        return None
    if _never(address) or (isinstance(address, IPv6Address) and address.scope_id is not None):
        raise EndpointNotAllowed(
            f'"{shown(host)}" cannot be called; give the address of a single machine.',
            host=shown(host),
        )
    return address


def _is_name(host: str) -> bool:
    labels = host.split(".")
    return (
        len(host) <= MAX_HOST_LENGTH
        and all(
            _LABEL.fullmatch(label) and not label.lower().startswith("xn--") for label in labels
        )
        and not _NUMBER.fullmatch(labels[-1])
    )


def _never(address: Address) -> bool:
    """Addresses that no list can admit: unspecified, multicast and reserved ones, and aliases of others."""
    if (
        address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or (address.is_reserved and not address.is_loopback)
    ):
        return True
    return (
        isinstance(address, IPv6Address)
        and not address.is_loopback
        and (
            address.sixtofour is not None
            or address.teredo is not None
            or any(address in network for network in _TRANSLATED)
        )
    )


def _same_place(one: Address, other: Address) -> bool:
    """Whether both may belong to one server: a machine has many names for itself."""
    return one == other or (one.is_loopback and other.is_loopback)


def _rule(entry: str) -> Rule:
    place, first, last = entry, 1, MAX_PORT
    head, colon, tail = entry.rpartition(":")
    # An IPv6 address has colons itself, so it has a port only if it is in brackets.
    if colon and (":" not in head or head.endswith("]")):
        ports = _PORTS.fullmatch(tail)
        if ports is None:
            raise _no_rule(entry)
        place = head
        first = int(ports["first"])
        last = int(ports["last"] or first)
        if not 1 <= first <= last <= MAX_PORT:
            raise _no_rule(entry)
    if place.startswith("[") and place.endswith("]"):
        place = place[1:-1]
    try:
        return Rule(ip_network(place), "", first, last)
    except ValueError:
        if not _is_name(place):
            raise _no_rule(entry) from None
        return Rule(None, place.lower(), first, last)


def _no_rule(entry: str) -> InvalidField:
    return InvalidField(
        f'"{shown(entry)}" is not a valid entry of WAYSTATION_HANDLER_ALLOWLIST: write a network, an address '
        "or a host name, optionally with ports, such as 10.1.0.0/16:7500-7599.",
        field="WAYSTATION_HANDLER_ALLOWLIST",
        entry=shown(entry),
    )


def host_and_port(host: str, port: int) -> str:
    """An endpoint in messages: an IPv6 literal is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
