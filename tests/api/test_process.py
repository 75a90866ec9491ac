"""`waystation-api` as a process: starts in any order, says what it waits for, stops gracefully."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.databases import migrated

from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from waystation.v1 import workflow_pb2, workflow_service_pb2, workflow_service_pb2_grpc


class Server:
    """The process and its address."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = int(settings.get("WAYSTATION_API_PORT") or free_port())
        self.process = ChildProcess(
            [sys.executable, "-m", "waystation_api"],
            name="waystation-api",
            log=folder / "api.log",
            env={
                "WAYSTATION_BROKER_URL": "memory://",
                "WAYSTATION_UNSAFE_DATABASE": "true",
                "WAYSTATION_API_PORT": str(self.port),
                **settings,
            },
        )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.workflows = workflow_service_pb2_grpc.WorkflowServiceStub(self.channel)

    def health(self) -> int:
        try:
            answer = health_pb2_grpc.HealthStub(self.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True
            )
        except grpc.RpcError:
            return 0
        status: int = answer.status
        return status

    def becomes(self, status: int) -> None:
        self.process.wait_ready(lambda: self.health() == status, what=f"health {status}")

    def close(self) -> None:
        self.channel.close()
        self.process.stop()


def test_bad_settings_are_all_reported_and_exit_is_78(tmp_path: Path) -> None:
    server = Server(
        tmp_path,
        WAYSTATION_DATABASE_URL="mysql://u:hunter2@db/w",
        WAYSTATION_HANDLER_ALLOWLIST="!",
        WAYSTATION_LOG_FORMAT="xml",
    )
    assert server.process.wait() == 78
    told = server.process.output()
    for name in ("DATABASE_URL", "HANDLER_ALLOWLIST", "LOG_FORMAT"):
        assert f"WAYSTATION_{name}" in told
    assert "hunter2" not in told
    assert "Traceback" not in told
    server.close()


def test_off_loopback_and_taken_ports_are_refused(tmp_path: Path, database_url: str) -> None:
    open_to_all = Server(
        tmp_path / "a", WAYSTATION_DATABASE_URL=database_url, WAYSTATION_API_HOST="0.0.0.0"
    )
    assert open_to_all.process.wait() == 78
    assert "WAYSTATION_INSECURE" in open_to_all.process.output()
    first = Server(tmp_path / "b", WAYSTATION_DATABASE_URL=database_url)
    first.becomes(health_pb2.HealthCheckResponse.SERVING)
    second = Server(
        tmp_path / "c",
        WAYSTATION_DATABASE_URL=database_url,
        WAYSTATION_API_PORT=str(first.port),
    )
    assert second.process.wait() == 1
    assert "WAYSTATION_API_PORT" in second.process.output()
    for server in (open_to_all, first, second):
        server.close()


def test_it_waits_for_the_schema_and_says_so(tmp_path: Path, empty_database_url: str) -> None:
    server = Server(tmp_path, WAYSTATION_DATABASE_URL=empty_database_url)
    server.becomes(health_pb2.HealthCheckResponse.NOT_SERVING)
    server.process.wait_for_output("waystation migrate")
    with pytest.raises(grpc.RpcError) as caught:
        server.workflows.StartWorkflow(workflow_service_pb2.StartWorkflowRequest(workflow_type="t"))
    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, info.reason) == (14, "STORE_UNAVAILABLE")
    migrated(empty_database_url)
    server.becomes(health_pb2.HealthCheckResponse.SERVING)
    assert server.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(workflow_type="t")
    ).created
    server.close()


def test_sigterm_answers_those_that_wait_and_exits_with_0(
    tmp_path: Path, database_url: str
) -> None:
    server = Server(tmp_path, WAYSTATION_DATABASE_URL=database_url)
    server.becomes(health_pb2.HealthCheckResponse.SERVING)
    run = server.workflows.RunWorkflow.future(
        workflow_service_pb2.RunWorkflowRequest(start={"workflow_type": "t"})
    )
    found = workflow_service_pb2.ListWorkflowsRequest()
    server.process.wait_ready(
        lambda: bool(server.workflows.ListWorkflows(found).workflows), what="the start"
    )
    server.process.send(signal.SIGTERM)
    assert run.result(timeout=10).outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT
    assert server.process.wait() == 0
    server.close()


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("newer schema", 1, "from a newer release of Waystation"),
        ("LATIN1", 78, "encoding is LATIN1"),
        ("fsync off", 78, "fsync off"),
    ],
)
def test_a_database_that_it_must_not_work_on_is_refused_with_a_message(
    postgres: PostgresServer, database_url: str, tmp_path: Path, how: str, code: int, says: str
) -> None:
    settings = {"WAYSTATION_DATABASE_URL": database_url}
    if how == "newer schema":
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.execute("UPDATE schema_compatibility SET works_from = '9999'")
    elif how == "LATIN1":
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "CREATE DATABASE in_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
            )
        settings["WAYSTATION_DATABASE_URL"] = postgres.dsn("in_latin1")
    else:
        settings["WAYSTATION_UNSAFE_DATABASE"] = "false"
    server = Server(tmp_path, **settings)
    try:
        assert server.process.wait(60) == code
        said = server.process.output()
        assert says in said
        assert "Traceback" not in said
    finally:
        server.close()
        if how == "LATIN1":
            postgres.drop_database(postgres.dsn("in_latin1"))
