"""Whether the engine can use a broker, by the properties that the broker sends when a connection opens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

OLDEST = (3, 10)
"""The oldest RabbitMQ that all tests run on."""

_NEEDED = {
    "publisher_confirms": "publisher confirms",
    "basic.nack": "basic.nack",
    "consumer_cancel_notify": "consumer cancel notifications",
    "connection.blocked": "connection.blocked",
}
"""What a broker must support, by the names of AMQP's capabilities."""

LEAST_CONSUMER_TIMEOUT_SECONDS = 60.0
"""How long RabbitMQ must let a message be unacknowledged: a router keeps one for some seconds, or as long
as it takes to come to it. RabbitMQ does not tell its `consumer_timeout` (30 minutes unless configured)
before it bites."""

_TIMED_OUT = re.compile(r"acknowledgement .*timed out\b.*?(\d+) ?ms")


def faults_of(properties: Mapping[str, Any]) -> list[str]:
    """All faults; each says what to do. `said` are the server's properties."""
    faults = []
    product, version = str(properties.get("product", "")), str(properties.get("version", ""))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    # Other products have other version numbers.
    if product == "RabbitMQ" and numbers and tuple(map(int, numbers.groups())) < OLDEST:
        faults.append(
            f"RabbitMQ has version {version}; it must be {OLDEST[0]}.{OLDEST[1]} or newer. Upgrade it, or "
            "set WAYSTATION_BROKER_URL to another one; the old one has no data that must be kept."
        )
    able = properties.get("capabilities") or {}
    missing = [what for name, what in _NEEDED.items() if not able.get(name)]
    if missing:
        faults.append(
            f"The broker ({product or 'unnamed'} {version}) does not support {', '.join(missing)}. Set "
            "WAYSTATION_BROKER_URL to RabbitMQ."
        )
    return faults


def why_cut(reason: str) -> str:
    """RabbitMQ's reason for cancelling a consumer, with what to do if its settings are the cause."""
    timed_out = _TIMED_OUT.search(reason)
    if timed_out is None or int(timed_out[1]) >= LEAST_CONSUMER_TIMEOUT_SECONDS * 1000:
        return reason
    return (
        f"RabbitMQ's consumer_timeout is {int(timed_out[1]) / 1000:g} s, which disconnects routers during normal work: "
        f"set it to {LEAST_CONSUMER_TIMEOUT_SECONDS:g} s at least, or leave it at 30 minutes"
    )
