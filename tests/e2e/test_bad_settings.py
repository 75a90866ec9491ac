"""A server that cannot work as it is told says all that is wrong at once: settings, Postgres and RabbitMQ."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.old_rabbitmq import greets_as

from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess

SERVERS = ["api", "router"]


@pytest.fixture(scope="module")
def unfit() -> Iterator[str]:
    """A database that cannot hold every text, nor keep what it has confirmed."""
    with PostgresServer() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(
                "CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
            )
        yield server.dsn("narrow")


def told(server: str, folder: Path, **settings: str) -> list[str]:
    """The faults that the server ends with."""
    process = ChildProcess(
        [Path(sys.executable).with_name(f"waystation-{server}")],
        name=server,
        log=folder / "log",
        env={f"WAYSTATION_{name}": value for name, value in settings.items()},
    )
    with process:
        assert process.wait(60) == 78
        said = process.output()
    assert f"waystation-{server} cannot start:" in said
    assert "Traceback" not in said
    assert "hunter2" not in said
    return [line.removeprefix("- ") for line in said.splitlines() if line.startswith("- ")]


def missing(faults: list[str], *words: str) -> list[str]:
    """Which of these words are not in one fault each."""
    return [word for word in words if sum(word in fault for fault in faults) != 1]


OF_THE_PARTS = (
    "encoding is LATIN1",
    "fsync off",
    "full_page_writes off",
    "RabbitMQ has version 3.8.2",
)


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_wrong_with_settings_database_and_broker_is_one_list(
    server: str, unfit: str, tmp_path: Path
) -> None:
    with greets_as("3.8.2") as broker_url:
        faults = told(
            server,
            tmp_path,
            DATABASE_URL=unfit,
            BROKER_URL=broker_url,
            LOG_FORMAT="xml",
            API_HOST="0.0.0.0",
            ROUTER_HOST="0.0.0.0",
            HANDLER_ALLOWLIST="!",
        )
    of_settings = ("LOG_FORMAT", "WAYSTATION_INSECURE=true", "HANDLER_ALLOWLIST")
    assert missing(faults, *of_settings, *OF_THE_PARTS) == []
    assert len(faults) == 7


@pytest.mark.parametrize("server", SERVERS)
def test_right_settings_do_not_hide_what_is_wrong_with_the_parts(
    server: str, unfit: str, tmp_path: Path
) -> None:
    port = {f"{server.upper()}_PORT": "0"}
    with greets_as("3.8.2") as broker_url:
        faults = told(server, tmp_path, DATABASE_URL=unfit, BROKER_URL=broker_url, **port)
        assert missing(faults, *OF_THE_PARTS) == []
        assert len(faults) == 4
        # The other part is away: what is known is told, and not waited with.
        away = "postgresql://u:hunter2@127.0.0.1:1/w"
        (fault,) = told(server, tmp_path, DATABASE_URL=away, BROKER_URL=broker_url, **port)
        assert "3.8.2" in fault
