"""The servers that tests stand on: private, restartable, killable, and gone afterwards."""

from pathlib import Path

import psycopg
import pytest

from localservers.ports import accepts_connections
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess, ProcessFailed
from localservers.rabbitmq import RabbitMQServer


def test_postgres_keeps_committed_data_through_kill_and_restart(
    each_postgres: PostgresServer,
) -> None:
    dsn = each_postgres.fresh_database()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    each_postgres.kill()
    assert not accepts_connections(each_postgres.port)
    each_postgres.start()
    each_postgres.restart("immediate")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]
    each_postgres.drop_database(dsn)


def test_a_built_database_is_built_once_and_copied(postgres: PostgresServer) -> None:
    built = []

    def build(dsn: str) -> None:
        built.append(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE of_template (x int)")

    databases = [postgres.fresh_database(build) for _ in range(2)]
    assert len(built) == 1
    assert len(set(databases)) == 2
    for dsn in databases:
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM of_template").fetchone() == (0,)
        postgres.drop_database(dsn)


def test_rabbitmq_forgets_only_when_wiped_and_leaves_nothing() -> None:
    with RabbitMQServer() as node:
        node.api("queues/%2F/durable", method="PUT", body={"durable": True})
        node.restart()
        assert "durable" in node.ctl("list_queues", "name")
        node.restart(wipe=True)
        assert "durable" not in node.ctl("list_queues", "name")
        folder, ports = node.folder, (node.port, node.management_port)
    assert not folder.exists()
    assert not any(accepts_connections(port) for port in ports)


def test_virtual_hosts_are_apart(rabbitmq: RabbitMQServer, amqp_url: str) -> None:
    name = amqp_url.rsplit("/", 1)[1]
    rabbitmq.api(f"queues/{name}/mine", method="PUT", body={})
    assert "mine" not in rabbitmq.ctl("list_queues", "name")
    assert "mine" in rabbitmq.ctl("list_queues", "-p", name, "name")


def test_a_child_that_ends_early_says_why(tmp_path: Path) -> None:
    child = ChildProcess(
        ["bash", "-c", "echo the port is taken; exit 3"], name="doomed", log=tmp_path / "log"
    )
    with pytest.raises(ProcessFailed, match=r"(?s)ended with 3 before .*the port is taken"):
        child.wait_for_output("ready")
