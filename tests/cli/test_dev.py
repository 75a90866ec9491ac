"""`waystation dev` from outside: ready soon, keeps its data, ends in order, says what is in its way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROGRAM = [sys.executable, "-m", "waystation_cli"]


@contextmanager
def dev(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `waystation dev` on a free port, and its address."""
    with (folder.with_suffix(".log")).open("w") as log:
        process = subprocess.Popen(
            [*PROGRAM, "dev", "--port", "0", "--data-dir", str(folder), "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            # The document ends with the first closing brace: nothing in it is nested.
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("}"):
                    break
            assert said, folder.with_suffix(".log").read_text()
            yield process, json.loads(said)["address"]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def call(address: str, *arguments: str) -> dict:
    done = subprocess.run(
        [*PROGRAM, *arguments, "--address", address, "--json"], capture_output=True, text=True
    )
    assert done.returncode in {0, 4}, done.stderr
    return json.loads(done.stdout)


def ended(process: subprocess.Popen[str]) -> int:
    """The exit code, once it and all that it started have ended."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    code = process.wait(30)
    assert not psutil.wait_procs(children, timeout=5)[1]
    return code


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """What it has cost so far, with its children: the time it takes where nothing else runs."""
    engine = psutil.Process(process.pid)
    times = [each.cpu_times() for each in (engine, *engine.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev") / "data"


def test_a_workflow_outlives_sigkill_and_sigterm_and_the_second_start_is_quick(
    folder: Path,
) -> None:
    with dev(folder) as (process, address):
        with grpc.insecure_channel(address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        run = call(address, "run", "claim", "--id", "claim-7", "--data", '{"amount": 120}')
        assert run["outcome"] == "IDLE"
        process.kill()
        process.wait()
    with dev(folder) as (process, address):
        spent = cpu_seconds(process)
        shown = call(address, "show", "claim-7")
        assert shown["context"]["data"] == {"amount": 120}
        assert shown["context"]["idle"]["event_type"] == "workflow.started"
        assert len(call(address, "status")["routers"]) >= 1
        assert ended(process) == 0
    assert spent < 3


def test_ctrl_c_ends_it_in_order(folder: Path) -> None:
    with dev(folder) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_two_on_one_folder_are_refused(folder: Path) -> None:
    with dev(folder) as (process, _):
        second = subprocess.run(
            [*PROGRAM, "dev", "--port", "0", "--data-dir", str(folder)],
            capture_output=True,
            text=True,
        )
        assert second.returncode == 7
        assert f"process {process.pid}" in second.stderr
        assert ended(process) == 0


def test_a_taken_port_names_the_setting(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [*PROGRAM, "dev", "--port", port, "--data-dir", str(folder)],
            capture_output=True,
            text=True,
        )
    assert result.returncode == 7
    assert port in result.stderr
    assert "WAYSTATION_API_PORT" in result.stderr
    assert "`waystation dev --port PORT`" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_settings_are_told_all_at_once(folder: Path) -> None:
    wrong = {
        "WAYSTATION_LOG_FORMAT": "xml",
        "WAYSTATION_ROUTER_PREFETCH": "0",
        "WAYSTATION_ROUTER_POOL": "fraud",
    }
    result = subprocess.run(
        [*PROGRAM, "dev", "--port", "0", "--data-dir", str(folder)],
        env={**os.environ, **wrong},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 78
    for name in wrong:
        assert name in result.stderr


def test_the_end_of_its_postgres_ends_it_with_words(folder: Path) -> None:
    with dev(folder) as (process, _):
        postgres = int((folder / "postgres-16" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postgres, signal.SIGKILL)
        assert process.wait(30) == 7
        log = folder.with_suffix(".log").read_text()
    assert json.loads(log.splitlines()[-1])["error"]["reason"] == "POSTGRES_ENDED"


def test_with_tokens_a_call_needs_one_and_the_first_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    secrets = []
    for _ in range(2):
        with dev(folder, "--tokens") as (process, address):
            file = folder / "admin-token"
            assert file.stat().st_mode & 0o777 == 0o600
            secrets.append(file.read_text())
            refused = subprocess.run(
                [*PROGRAM, "list", "--address", address, "--json"], capture_output=True, text=True
            )
            assert json.loads(refused.stderr)["error"]["reason"] == "UNAUTHENTICATED"
            known = {**os.environ, "WAYSTATION_TOKEN_FILE": str(file)}
            admitted = subprocess.run(
                [*PROGRAM, "list", "--address", address, "--json"],
                capture_output=True,
                text=True,
                env=known,
            )
            assert json.loads(admitted.stdout) == {"items": [], "more": False}
            assert ended(process) == 0
    assert secrets[0] == secrets[1]
    log = folder.with_suffix(".log").read_text()
    assert secrets[0].strip() not in log
