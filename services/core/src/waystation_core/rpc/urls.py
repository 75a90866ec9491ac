"""URLs of databases and brokers: what is valid, where they lead, and how they are shown without their password.

The URL of a database may name several hosts, with commas between them, as libpq accepts them: they are tried in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    # The command line, which has no settings, starts without it.
    from pydantic import SecretStr

DATABASES = ("postgresql", "postgres")
BROKERS = ("amqp", "amqps", "memory")

USUAL_PORTS = {"postgresql": 5432, "postgres": 5432, "amqp": 5672, "amqps": 5671}


def check_url(value: SecretStr, schemes: Sequence[str]) -> SecretStr:
    """For validators: a URL with one of these schemes. Raises ValueError without its text."""
    url = value.get_secret_value()
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes or not url.lower().startswith(f"{scheme}://"):
        raise ValueError(f"must begin with {' or '.join(f'{known}://' for known in schemes)}")
    try:
        _ = [host.port for host in hosts_in(url)]
    except ValueError:
        raise ValueError("its port must be a number up to 65535") from None
    return value


def hosts_in(url: str) -> list[SplitResult]:
    """The parts of a valid URL before its path, one for each of its hosts; `port` of an invalid one raises ValueError."""
    parts = urlsplit(url)
    named = parts.netloc.rpartition("@")[2]
    several = named.split(",") if parts.scheme in DATABASES else [named]
    return [urlsplit(f"//{host}") for host in several]


def place_of(url: str) -> str:
    """Where a valid URL leads: hosts, ports and path, without user, password and options."""
    parts = urlsplit(url)
    usual = USUAL_PORTS.get(parts.scheme)
    places = []
    for host in hosts_in(url):
        try:
            port = host.port or usual
        except ValueError:
            port = usual
        places.append(f"{host.hostname or 'the local socket'}:{port}")
    return f"{','.join(places)}{parts.path}"
