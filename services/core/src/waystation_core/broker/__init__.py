"""Implements `waystation_core.ports.broker`: RabbitMQ over pika, and a broker in one process.

Use `open_broker`, and `broker_faults` before it. This package must not import `store` or `rpc`, and only this
package imports pika.
"""

from __future__ import annotations

from pathlib import Path

from waystation_core.broker.amqp import AmqpBroker
from waystation_core.broker.fitness_check import broker_faults
from waystation_core.broker.in_process import InProcessBroker
from waystation_core.ports.broker import Broker

__all__ = ["broker_faults", "open_broker"]

IN_PROCESS_URL = "memory://"


def open_broker(url: str, *, role: str, ca: Path | None = None) -> Broker:
    """A broker that connects in the background; call it inside the running loop.

    `url` is `amqp://user:password@host:port/vhost` (`amqps://` with TLS), or `memory://` for one in this
    process, whose servers share the object. `role` (`api`, `router`) is part of the connections' names. `ca` is a
    PEM file of authorities for `amqps://`; None: those that this machine trusts.
    Raises ValueError for any other url.
    """
    if url == IN_PROCESS_URL:
        return InProcessBroker()
    if url.startswith(("amqp://", "amqps://")):
        return AmqpBroker(url, role=role, ca=ca)
    raise ValueError("the broker's URL must begin with amqp:// or amqps://, or be memory://")
