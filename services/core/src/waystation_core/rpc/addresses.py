"""From a handler service's host to the addresses that may be dialled, pinned as literals.

Used when an endpoint registers and each time one is dialled, because a name may lead elsewhere by
then.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from waystation_core.rpc.urls import USUAL_PORTS, hosts_in
from waystation_domain.endpoints import Address, Allowlist, check_endpoint

MAX_ADDRESSES = 32
RESOLVE_SECONDS = 5.0


async def admitted_addresses(host: str, port: int, allowlist: Allowlist) -> list[Address]:
    """All addresses of the host, each admitted by the allowlist; IPv4 first. Raises EndpointNotAllowed if one
    of them is not, InvalidField for an impossible port, and OSError (TimeoutError too) if the name does not
    resolve now."""
    address = check_endpoint(host, port)
    addresses = {address} if address is not None else await _resolved(host, port)
    own: set[Address] = set()
    for place, at in allowlist.own:
        if at == port:
            with contextlib.suppress(OSError):
                own |= await _resolved(place, at)
    # All are checked before any is left out.
    allowlist.check(host, port, addresses, own)
    return sorted(addresses, key=lambda each: (each.version, int(each)))[:MAX_ADDRESSES]


async def _resolved(host: str, port: int) -> set[Address]:
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    return {ip_address(str(entry[4][0])) for entry in found}


def servers_of(*urls: str) -> tuple[tuple[str, int], ...]:
    """Hosts and ports in URLs of databases and brokers, for `Allowlist.own`. Sockets in the file system, and
    the broker in memory, have none."""
    found = []
    for url in urls:
        parts = urlsplit(url)
        usual = USUAL_PORTS.get(parts.scheme)
        if usual is None:
            continue
        # libpq accepts hosts also as parameters.
        query = parse_qs(parts.query)
        named = ",".join(query.get("host", [])).split(",")
        for one in [*hosts_in(url), *(urlsplit(f"//{host}") for host in named)]:
            # An invalid port is refused when it is dialled.
            with contextlib.suppress(ValueError):
                if one.hostname and not unquote(one.hostname).startswith("/"):
                    found.append((one.hostname, one.port or int(query.get("port", [usual])[0])))
    return tuple(found)


def target(address: Address, port: int) -> str:
    """The gRPC target of one literal address, which needs no resolver."""
    if address.version == 4:
        return f"ipv4:{address}:{port}"
    return f"ipv6:[{address}]:{port}"
