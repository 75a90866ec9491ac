"""Settings of a handler service: listening address, advertised address, address of Waystation."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from waystation_tls import BadTls, ClientTls, ServerTls, open_to_strangers
from waystation_worker.addresses import NAMESPACE, is_host, is_ip, waystation_address
from waystation_worker.credentials import Credentials
from waystation_worker.errors import SettingsError
from waystation_worker.router_identity import BadIdentityKeys, IdentityKeys

DEFAULT_PORT = 7500
_TRUE = ("1", "true", "yes")
_NO_HOST = "is neither a DNS name nor an IP address (without port and brackets)"


@dataclass(frozen=True, slots=True)
class Settings:
    """`port` 0 means a free port. With `or_free` a free port is used if the port is taken. `port_name` is what
    the user calls it."""

    address: str
    host: str
    port: int
    or_free: bool
    advertise_host: str
    port_name: str = "port"
    server_tls: ServerTls = field(default_factory=ServerTls)
    client_tls: ClientTls = field(default_factory=ClientTls)
    identity_keys: IdentityKeys | None = None
    """With them only signed calls are admitted."""
    credentials: Credentials | None = None
    """What calls to Waystation carry."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    """None: metrics are not served."""
    namespace: str = ""
    """Where it registers; empty: the only one of its token, or `default`."""


def read_settings(
    *,
    address: str | None = None,
    token: str | None = None,
    namespace: str | None = None,
    host: str | None = None,
    port: int | None = None,
    advertise_host: str | None = None,
    identity_keys: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings: arguments first, then WAYSTATION_* variables, then defaults.

    Raises SettingsError naming every invalid one.
    """
    env = os.environ if environ is None else environ
    problems: list[str] = []
    target = ""
    try:
        target = waystation_address(address, env)
    except SettingsError as error:
        problems.append(error.message)
    # Each is called as the user gave it: an argument, or a variable.
    host_name = "host" if host else "WAYSTATION_HANDLER_HOST"
    port_name = "WAYSTATION_HANDLER_PORT" if port is None else "port"
    advertised_name = "advertise_host" if advertise_host else "WAYSTATION_ADVERTISE_HOST"
    host = host or env.get("WAYSTATION_HANDLER_HOST") or "127.0.0.1"
    number = DEFAULT_PORT
    given = env.get("WAYSTATION_HANDLER_PORT") if port is None else port
    if given not in (None, ""):
        text = str(given)
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not 0 <= number <= 65_535:
            problems.append(f"{port_name}: {given!r} is not 0-65535")
    server_tls, client_tls = ServerTls.of(env), ClientTls()
    try:
        client_tls = ClientTls.of(env)
    except BadTls as bad:
        problems += [fault.rstrip(".") for fault in bad.faults]
    keys = None
    try:
        keys = IdentityKeys.of(identity_keys, env)
    except BadIdentityKeys as bad:
        problems.append(str(bad))
    credentials = None
    try:
        if target:
            credentials = Credentials.of(token, env, address=target, tls=client_tls.on)
    except SettingsError as error:
        problems.append(error.message)
    # Both may have the same certificate.
    faults = dict.fromkeys([*server_tls.faults(), *client_tls.faults()])
    problems += [fault.rstrip(".") for fault in faults]
    insecure = env.get("WAYSTATION_INSECURE", "").lower() in _TRUE
    if not is_host(host):
        problems.append(f"{host_name}: {host!r} {_NO_HOST}")
    elif fault := open_to_strangers(
        host,
        setting=host_name,
        insecure=insecure,
        tls=server_tls.on,
        callers_known=server_tls.knows_callers or keys is not None,
        known_by="WAYSTATION_IDENTITY_KEYS or WAYSTATION_TLS_CLIENT_CA",
    ):
        problems.append(fault.rstrip("."))
    advertised = advertise_host or env.get("WAYSTATION_ADVERTISE_HOST") or _own_name(host)
    if advertised != host and not is_host(advertised):
        problems.append(f"{advertised_name}: {advertised!r} {_NO_HOST}")
    metrics_host = env.get("WAYSTATION_HANDLER_METRICS_HOST") or "127.0.0.1"
    metrics_port = None
    if given_port := env.get("WAYSTATION_HANDLER_METRICS_PORT"):
        metrics_port = int(given_port) if given_port.isascii() and given_port.isdigit() else -1
        if not 0 <= metrics_port <= 65_535:
            problems.append(f"WAYSTATION_HANDLER_METRICS_PORT: {given_port!r} is not 0-65535")
        readable = insecure or env.get("WAYSTATION_METRICS_INSECURE", "").lower() in _TRUE
        if not is_host(metrics_host):
            problems.append(f"WAYSTATION_HANDLER_METRICS_HOST: {metrics_host!r} {_NO_HOST}")
        elif open_to_strangers(
            metrics_host,
            setting="WAYSTATION_HANDLER_METRICS_HOST",
            insecure=readable,
            tls=False,
            callers_known=False,
            known_by="",
        ):
            problems.append(
                f"WAYSTATION_HANDLER_METRICS_HOST: {metrics_host} is not on loopback, and metrics are "
                "served without encryption to everybody who reaches the port; keep the port inside your network "
                "and set WAYSTATION_METRICS_INSECURE=true, or use 127.0.0.1"
            )
    if problems:
        raise SettingsError("; ".join(problems), code="INVALID_ARGUMENT")
    return Settings(
        target,
        host,
        number,
        given in (None, ""),
        advertised,
        port_name,
        server_tls,
        client_tls,
        keys,
        credentials,
        metrics_host,
        metrics_port,
        namespace or env.get(NAMESPACE, ""),
    )


def _own_name(host: str) -> str:
    """The host at which others reach a server that listens on this host."""
    if is_ip(host) and ip_address(host).is_unspecified:
        return socket.gethostname()
    return host
