"""The names of the settings, which are the same for every process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CERT = "WAYSTATION_TLS_CERT"
"""The own certificate: of a server, and of a client whose server asks for one."""
KEY = "WAYSTATION_TLS_KEY"
CLIENT_CA = "WAYSTATION_TLS_CLIENT_CA"
"""Of a server: it admits only clients with a certificate of these authorities."""
TLS = "WAYSTATION_TLS"
"""Of a client: true or false. True without CA trusts the authorities of the machine."""
CA = "WAYSTATION_TLS_CA"
"""Of a client: whom it trusts. It implies TLS."""
SERVER_NAME = "WAYSTATION_TLS_SERVER_NAME"
"""Of a client: the name in the server's certificate, where it is not the host of the address."""
HANDLER_TLS = "WAYSTATION_HANDLER_TLS"
"""Of a router: off or required, for its calls to handlers."""
HANDLER_CA = "WAYSTATION_HANDLER_TLS_CA"
"""Of a router: which authorities of handlers it trusts. It implies required."""
BROKER_CA = "WAYSTATION_BROKER_CA"
"""Of a server: which authorities of RabbitMQ it trusts."""


def path_of(environ: Mapping[str, str], name: str) -> Path | None:
    """The file that a variable names; None if it is not set, or empty."""
    text = environ.get(name, "")
    return Path(text) if text else None
