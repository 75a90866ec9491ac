"""Addresses as people write them: what is no `host:port` is refused with the form that is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from waystation_worker.errors import SettingsError

DEFAULT_PORT = 7400
NAMESPACE = "WAYSTATION_NAMESPACE"
"""The variable that names the namespace where nothing else does."""
DEFAULT_NAMESPACE = "default"
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

# Underscores are in no rule of DNS, but in names of containers.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?\Z"
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def waystation_address(given: str | None, environ: Mapping[str, str]) -> str:
    """The address of Waystation: the argument, else WAYSTATION_ADDRESS, else 127.0.0.1:7400.

    Raises SettingsError, with the right form, for what is no `host:port`.
    """
    if given is not None:
        what, address = "address", given
    else:
        what, address = "WAYSTATION_ADDRESS", environ.get("WAYSTATION_ADDRESS") or DEFAULT_ADDRESS
    problem = problem_of(address)
    if problem:
        raise SettingsError(f"{what}: {address!r} {problem}", code="INVALID_ARGUMENT")
    return address


def split_address(address: str) -> tuple[str, int] | None:
    """Host, without brackets, and port; None for what is no `host:port`."""
    if not _is_address(address):
        return None
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_ip(host: str) -> bool:
    """Whether it is an IP address, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_host(host: object) -> bool:
    """Whether it is a DNS name or an IP address: no port, no brackets, no URL."""
    return isinstance(host, str) and (_NAME.match(host) is not None or is_ip(host))


def host_and_port(host: str, port: int) -> str:
    """`host:port`, with brackets for an IPv6 literal."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def problem_of(address: object) -> str:
    """What is wrong with it, and the right form; empty for a good address."""
    if not isinstance(address, str):
        return f"is of type {type(address).__name__}: write host:port, such as {DEFAULT_ADDRESS}"
    if _is_address(address):
        return ""
    host, _, port = address.rpartition(":")
    number = _number(port)
    if number is not None and not 1 <= number <= 65_535 and _unbracketed(host):
        return f"has the port {port}; ports are 1-65535"
    meant = _meant(address)
    if meant is None:
        return f"is not host:port: write for example {DEFAULT_ADDRESS}, or [::1]:{DEFAULT_PORT} for IPv6"
    return f"is not host:port: write {meant}"


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    number = _number(port)
    return number is not None and 1 <= number <= 65_535 and _unbracketed(host) is not None


def _unbracketed(host: str) -> str | None:
    """The host of an address; None if it is none. An IPv6 literal needs its brackets."""
    if host[:1] == "[" and host[-1:] == "]":
        return host[1:-1] if is_ip(host[1:-1]) and ":" in host else None
    return host if _NAME.match(host) else None


def _number(port: str) -> int | None:
    return int(port) if port.isascii() and port.isdigit() and len(port) < 10 else None


def _meant(text: str) -> str | None:
    """The address that was probably meant."""
    # A URL's path, and blanks around it, are not part of the address.
    bare = _URL.sub("", text.strip())
    bare = bare.partition("/")[0] if bare != text.strip() else bare.rstrip("/")
    if _is_address(bare):
        return bare
    # `::1:7400` is an IPv6 address too, and yet nobody means that.
    host, _, port = bare.rpartition(":")
    number, host = _number(port), host.strip("[]")
    if number is not None and 999 < number <= 65_535 and ":" in host and is_ip(host):
        return host_and_port(host, number)
    for host in (bare, bare.removesuffix(":"), bare.strip("[]")):
        if is_host(host):
            return host_and_port(host, DEFAULT_PORT)
    return None
