"""From a handler service's host to the addresses that may be dialled, pinned as literals.

Used when an endpoint registers and each time one is dialled, because a name may lead elsewhere by
then.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from waystation_core.domain.endpoints import Address, Allowlist, check_endpoint

MAX_ADDRESSES = 32
RESOLVE_SECONDS = 5.0


async def admitted_addresses(host: str, port: int, allowlist: Allowlist) -> list[Address]:
    """Every address the host leads to, each admitted by the allowlist; IPv4 first.

    Raises EndpointNotAllowed when one of them is not, InvalidField for an impossible port, and
    OSError (TimeoutError too) when the name does not resolve now.
    """
    address = check_endpoint(host, port)
    if address is not None:
        allowlist.check(host, port, [address])
        return [address]
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    addresses = {ip_address(str(entry[4][0])) for entry in found}
    # All are looked at before any is left out.
    allowlist.check(host, port, addresses)
    return sorted(addresses, key=lambda each: (each.version, int(each)))[:MAX_ADDRESSES]


def target(address: Address, port: int) -> str:
    """The gRPC target of one literal address: nothing is left to a resolver."""
    if address.version == 4:
        return f"ipv4:{address}:{port}"
    return f"ipv6:[{address}]:{port}"
