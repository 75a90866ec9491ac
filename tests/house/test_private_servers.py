"""The servers that tests stand on: private, restartable, killable, and gone afterwards."""

import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest
from support.living import living

from localservers.ports import accepts_connections
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess, ProcessFailed, wait_until
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


def queues(node: RabbitMQServer, vhost: str = "%2F") -> set[str]:
    """Their names, by its page: `rabbitmqctl` starts an Erlang of its own."""
    return {queue["name"] for queue in node.api(f"queues/{vhost}")}


def test_rabbitmq_forgets_only_when_wiped_and_leaves_nothing() -> None:
    with RabbitMQServer() as node:
        node.api("queues/%2F/durable", method="PUT", body={"durable": True})
        node.restart()
        assert queues(node) == {"durable"}
        node.restart(wipe=True)
        assert queues(node) == set()
        folder, ports = node.folder, (node.port, node.management_port)
    assert not folder.exists()
    assert not any(accepts_connections(port) for port in ports)


def test_virtual_hosts_are_apart(rabbitmq: RabbitMQServer, amqp_url: str) -> None:
    name = amqp_url.rsplit("/", 1)[1]
    rabbitmq.api(f"queues/{name}/mine", method="PUT", body={})
    assert "mine" not in queues(rabbitmq)
    assert queues(rabbitmq, name) == {"mine"}


def test_a_child_that_ends_early_says_why(tmp_path: Path) -> None:
    child = ChildProcess(
        ["bash", "-c", "echo the port is taken; exit 3"], name="doomed", log=tmp_path / "log"
    )
    with pytest.raises(ProcessFailed, match=r"(?s)ended with 3 before .*the port is taken"):
        child.wait_for_output("ready")


STARTS_ALL = """
import sys, time
from pathlib import Path
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
folder = Path(sys.argv[1])
servers = PostgresServer(), RabbitMQServer(folder=folder / "mq")
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
child = ChildProcess([sys.executable, "-c", stubborn], name="stubborn", log=folder / "stubborn.log")
child.wait_for_output("on")
print("all there", flush=True)
time.sleep(600)
"""


def all_below(pid: int) -> set[int]:
    """Its children, and theirs."""
    found = set[int]()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | all_below(child)
    return found


def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = ChildProcess(
        [sys.executable, "-c", STARTS_ALL, tmp_path], name="parent", log=tmp_path / "parent.log"
    )
    try:
        parent.wait_for_output("all there", timeout=90)
        below = all_below(parent.pid)
        # The node, epmd, Postgres with its workers, the stubborn one, and what watches over them.
        assert len(below) > 8
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: not living(below), timeout=60, what="the end of all that it had started")
        # RabbitMQ was asked, and not killed.
        assert "stopped" in (tmp_path / "mq" / "rabbitmq.log").read_text().lower()
    finally:
        parent.kill()
