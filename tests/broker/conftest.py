"""The brokers under test: one contract, two adapters; each broker object plays one process."""

from collections.abc import AsyncIterator, Callable

import pytest
from support.broker_rights import as_role

from localservers.rabbitmq import RabbitMQServer
from waystation_core.broker import open_broker
from waystation_core.broker.in_process import Hub, InProcessBroker
from waystation_core.ports.broker import Broker

Opened = Callable[..., Broker]


@pytest.fixture(params=["in-process", "rabbitmq"])
async def open_one(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    """Opens brokers that reach each other and nobody else; all are closed afterwards."""
    brokers: list[Broker] = []
    if request.param == "rabbitmq":
        url = request.getfixturevalue("amqp_url")
        server = request.getfixturevalue("rabbitmq")

        def make(role: str) -> Broker:
            return open_broker(as_role(server, url, role), role=role)
    else:
        hub = Hub()

        def make(role: str) -> Broker:
            return InProcessBroker(hub)

    def opened(role: str = "router") -> Broker:
        brokers.append(make(role))
        return brokers[-1]

    yield opened
    for broker in brokers:
        await broker.close()


@pytest.fixture
async def open_amqp(rabbitmq: RabbitMQServer, amqp_url: str) -> AsyncIterator[Opened]:
    """Opens brokers on a virtual host of this test's own, each with the rights of its role; all are closed
    afterwards."""
    brokers: list[Broker] = []

    def opened(role: str = "router") -> Broker:
        brokers.append(open_broker(as_role(rabbitmq, amqp_url, role), role=role))
        return brokers[-1]

    yield opened
    for broker in brokers:
        await broker.close()
