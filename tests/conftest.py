"""Fixtures for every test: private servers, started when first asked for and ended with the run."""

import os
import signal
import sys
from collections.abc import Iterator

import hypothesis
import pytest
import structlog
from support.certificates import issued
from support.databases import Databases, migrated

from localservers.postgres import (
    PostgresMissing,
    PostgresServer,
    bundled_binaries,
    system_binaries,
)
from localservers.rabbitmq import RabbitMQMissing, RabbitMQServer

# How many examples a property is tried with: few while one writes, many at night. A test says no number
# of its own, but a share of it where its examples are dear (`support.examples`).
for _profile, _examples in (("dev", 20), ("ci", 100), ("nightly", 2_000)):
    hypothesis.settings.register_profile(
        _profile,
        max_examples=_examples,
        # How long an example takes is no promise, and a busy machine no fault of what is tested.
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        print_blob=True,
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "ci")

# A traceback in a log would be coloured word by word, which takes a tenth of a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# Some hundred interpreters are started, which all import the same: it is compiled once, also where a
# person's own settings say that nothing compiled is kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A run in the background inherits that Ctrl-C is ignored, and so would everything that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Programs of tests that call make are told nothing of the make that runs the tests.
for _name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(_name, None)
# Nor do the examples call a model that costs money.
for _name in [name for name in os.environ if name.startswith("OPENAI_")]:
    os.environ.pop(_name)


def _has_system_postgres() -> bool:
    try:
        system_binaries()
    except PostgresMissing:
        return False
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: the tests under faults and load in their long form (`make test-long`).
    `--languages`: which of the programs without SDK are tried (`make polyglot`)."""
    parser.addoption("--long", action="store_true", help="long rounds of load and faults")
    parser.addoption(
        "--languages", default="", help="go, java, ... or all; nothing: those that are quick"
    )


LONGEST_FILES = (
    # The minute of chaos needs its share of the cores to be valid: beside it begin files that mostly wait.
    "e2e/test_chaos.py",
    "house/test_private_servers.py",
    "e2e/test_stopping.py",
    "e2e/test_failpoints.py",
    "e2e/test_lost_servers.py",
    "e2e/test_failover.py",
    "docs/test_transcripts.py",
    "polyglot/test_without_sdk.py",
    "router/test_fault_table.py",
    "broker/test_amqp.py",
    "api/test_every_error.py",
    "cli/test_dev.py",
    "model/test_interleaving.py",
    "e2e/test_joins.py",
    "router/test_lost_leases.py",
    "e2e/test_attempts.py",
    "background/test_outages.py",
    "worker_sdk/test_serving.py",
    "cli/test_output.py",
    "cli/test_ids.py",
    "e2e/test_scale.py",
    "e2e/test_bench.py",
    "model/test_machine.py",
    "e2e/test_demo.py",
    "api/test_process.py",
    "house/test_mutants.py",
    "e2e/test_groups_and_timers.py",
    "api/test_bulk_dead_letters.py",
)
"""Files that take ten seconds or more. A file is one worker's, so these begin first: the last worker is done
within seconds of the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others as they were."""

    def place(item: pytest.Item) -> int:
        name = "/".join(item.path.parts[-2:])
        return LONGEST_FILES.index(name) if name in LONGEST_FILES else len(LONGEST_FILES)

    items.sort(key=place)


POSTGRES_VERSIONS = ["bundled-16", *(["system-15"] if _has_system_postgres() else [])]


@pytest.fixture(autouse=True)
def _clean_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """They get no settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("WAYSTATION_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQServer]:
    """The run's own RabbitMQ node, which listens for TLS too. A test that breaks it starts one of its own
    instead."""
    try:
        server = RabbitMQServer(
            tls=issued("ours", "localhost").write(tmp_path_factory.mktemp("rabbitmq"), "server")
        )
    except RabbitMQMissing as missing:
        # Never skipped: a run without the broker has proved nothing about it.
        pytest.exit(str(missing), returncode=1)
    with server:
        yield server


@pytest.fixture
def amqp_url(rabbitmq: RabbitMQServer) -> Iterator[str]:
    """A virtual host of this test's own."""
    url = rabbitmq.fresh_vhost()
    yield url
    rabbitmq.drop_vhost(url)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The run's own Postgres 16. It analyses nothing by itself: plans would depend on the minute, and on the
    tests before, whose rows are gone from the databases that are used again."""
    with PostgresServer(settings={"autovacuum": "off"}) as server:
        yield server


@pytest.fixture(scope="session", params=POSTGRES_VERSIONS)
def each_postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The oldest Postgres that is promised (15, where the machine has it) and the bundled one."""
    binaries = system_binaries() if request.param == "system-15" else bundled_binaries()
    with PostgresServer(binaries) as server:
        yield server


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A new database without a schema."""
    dsn = postgres.fresh_database()
    yield dsn
    postgres.drop_database(dsn)


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    """Databases with the current schema on Postgres 16, which tests use one after the other."""
    return Databases(postgres)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A database with the current schema and nothing in it, on Postgres 16."""
    dsn = databases.take()
    yield dsn
    databases.give_back(dsn)


@pytest.fixture
def each_database_url(each_postgres: PostgresServer) -> Iterator[str]:
    """A new database with the current schema, on every Postgres that can be had here."""
    dsn = each_postgres.fresh_database(migrated)
    yield dsn
    each_postgres.drop_database(dsn)
