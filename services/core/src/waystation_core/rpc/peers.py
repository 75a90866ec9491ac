"""Where a call comes from."""

from __future__ import annotations

from urllib.parse import unquote

LONGEST = 100


def peer_address(peer: str) -> str:
    """The address in gRPC's `ipv4:10.0.0.7:51234` or `ipv6:%5B::1%5D:51234`, without the port; other kinds as they are.
    At most LONGEST characters."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer[:LONGEST]
    return unquote(rest).rpartition(":")[0].strip("[]")[:LONGEST]
