"""What others may reach: where a server may listen, and where a token may be sent."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def open_to_strangers(
    host: str,
    *,
    setting: str,
    insecure: bool,
    tls: bool,
    callers_known: bool,
    known_by: str = "WAYSTATION_TLS_CLIENT_CA",
) -> str | None:
    """What to do about a host that others can reach, or None if the server may listen there.

    `tls`: the port speaks TLS. `callers_known`: callers must show who they are, by a certificate or otherwise;
    `known_by` names the settings that can see to it.
    """
    if insecure or is_loopback(host) or (tls and callers_known):
        return None
    if tls:
        lacks = f"everybody there could call it: set {known_by}"
    elif callers_known:
        lacks = "what is sent could be read there: set WAYSTATION_TLS_CERT and WAYSTATION_TLS_KEY"
    else:
        lacks = (
            "everybody there could call it and read what is sent: set WAYSTATION_TLS_CERT, "
            f"WAYSTATION_TLS_KEY, and {known_by}"
        )
    return (
        f"{setting}={host} can be reached from other machines, and {lacks}. Or listen on 127.0.0.1, or set "
        "WAYSTATION_INSECURE=true if the network is protected by other means."
    )


def token_in_the_open(host: str) -> str | None:
    """What to do about a token that would go to this host over plain text; None if nobody else can read it there."""
    if is_loopback(host):
        return None
    return (
        f"the token would be readable on its way to {host}: set WAYSTATION_TLS=true or WAYSTATION_TLS_CA, or "
        "WAYSTATION_INSECURE=true if the network is protected by other means"
    )
