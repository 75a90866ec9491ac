"""Systems for the end-to-end tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.broker_rights import as_role
from support.databases import as_app, migrated
from support.system import Embedded, Parts, System

from localservers.postgres import PostgresServer
from localservers.rabbitmq import RabbitMQServer

StartParts = Callable[..., Parts]


@pytest.fixture(scope="session")
def long_form(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of the tests was asked for."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="module", params=["embedded", "parts"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """One system for the tests of a module, in both forms; in parts, with the rights that docs/security.md
    gives servers."""
    folder = tmp_path_factory.mktemp("system")
    if request.param == "embedded":
        with Embedded(folder) as embedded:
            yield embedded
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    rabbitmq: RabbitMQServer = request.getfixturevalue("rabbitmq")
    database_url, amqp_url = postgres.fresh_database(migrated), rabbitmq.fresh_vhost()
    with Parts(
        folder,
        database_url=as_app(database_url),
        amqp_url=as_role(rabbitmq, amqp_url, "router"),
        api_amqp_url=as_role(rabbitmq, amqp_url, "api"),
    ) as parts:
        yield parts
    rabbitmq.drop_vhost(amqp_url)
    postgres.drop_database(database_url)


@pytest.fixture
def start_parts(database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[StartParts]:
    """Starts a system of the test's own in parts: `start_parts(routers=3)`."""
    with ExitStack() as stack:

        def start(
            *,
            database: str | None = None,
            broker: str | None = None,
            routers: int = 2,
            **settings: str,
        ) -> Parts:
            return stack.enter_context(
                Parts(
                    tmp_path,
                    database_url=database or as_app(database_url),
                    amqp_url=broker or amqp_url,
                    routers=routers,
                    environment=settings,
                )
            )

        yield start
