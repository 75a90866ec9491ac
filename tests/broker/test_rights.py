"""The users of the page have the rights that servers need (the other tests here run with them), and no others."""

from __future__ import annotations

from collections.abc import Callable

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker
from support.broker_rights import as_role, rights

from localservers.rabbitmq import RabbitMQServer
from waystation_core.broker.topology import Topology

NAMES = Topology()
ROUTERS = NAMES.pool("default")


@pytest.fixture
def vhost(rabbitmq: RabbitMQServer, amqp_url: str) -> str:
    """With everything in it that servers make."""
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        for exchange in NAMES.exchanges():
            channel.exchange_declare(exchange.name, exchange.kind, durable=True)
        for queue in NAMES.standing_queues():
            channel.queue_declare(queue.name, durable=True)
        channel.queue_declare("somebody.else", durable=True)
    return amqp_url


def test_the_page_has_both_users() -> None:
    assert rights().keys() == {"api", "router"}


@pytest.mark.parametrize(
    ("role", "does"),
    [
        ("api", lambda channel: channel.basic_get(ROUTERS)),
        ("api", lambda channel: channel.queue_purge(ROUTERS)),
        ("api", lambda channel: channel.queue_declare(NAMES.pool("fraud"), durable=True)),
        ("api", lambda channel: channel.queue_bind("somebody.else", NAMES.events, "#")),
        ("router", lambda channel: channel.queue_declare(f"{NAMES.notices}.waystation-api@a:1/b")),
        ("router", lambda channel: channel.queue_declare("", exclusive=True)),
        *(
            (role, does)
            for role in ("api", "router")
            for does in (
                lambda channel: channel.basic_get("somebody.else"),
                lambda channel: channel.queue_delete("somebody.else"),
                lambda channel: channel.queue_declare("mine"),
                lambda channel: channel.exchange_declare("mine"),
                lambda channel: channel.queue_bind(ROUTERS, "amq.topic", "#"),
            )
        ),
    ],
)
def test_a_server_may_not(
    role: str, does: Callable[[BlockingChannel], object], rabbitmq: RabbitMQServer, vhost: str
) -> None:
    parameters = pika.URLParameters(as_role(rabbitmq, vhost, role))
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
            does(channel)
