"""Dockerfile and docker-compose.yml, as far as they can be held to their word without an engine."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: spec for name, spec in SERVICES.items() if spec.get("build")}
LISTENS = {
    "api": "WAYSTATION_API_PORT",
    "router-1": "WAYSTATION_ROUTER_PORT",
    "router-2": "WAYSTATION_ROUTER_PORT",
    "claim-handlers": "WAYSTATION_HANDLER_PORT",
}


def test_the_production_shape_is_complete() -> None:
    assert set(SERVICES) == {
        "postgres",
        "rabbitmq",
        "migrate",
        "api",
        "router-1",
        "router-2",
        "claim-handlers",
    }
    declared = set(COMPOSE["volumes"])
    used = {volume.split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])}
    assert used == declared
    assert {"postgres", "rabbitmq"} == {n for n, s in SERVICES.items() if s.get("volumes")}
    for name, spec in SERVICES.items():
        assert "healthcheck" in spec or name == "migrate", name
        assert set(spec.get("depends_on", {})) <= set(SERVICES), name


def test_every_command_is_one_that_the_image_has() -> None:
    scripts: set[str] = set()
    for project in (ROOT / "services").glob("*/pyproject.toml"):
        scripts |= set(tomllib.loads(project.read_text())["project"].get("scripts", {}))
    for name, spec in OURS.items():
        program, *rest = spec["command"]
        if program == "python":
            package = rest[rest.index("-m") + 1]
            assert (ROOT / "examples/insurance_claim/src" / package / "__main__.py").exists()
        else:
            assert program in scripts, name


def test_no_secret_and_no_open_door() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for line in re.findall(r".*(?:PASS|://\w+:).*", text):
        assert re.search(r"\$\{\w+:\?", line), f"a password in the file: {line}"
    for name, spec in SERVICES.items():
        for port in spec.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    allowed = OURS["router-1"]["environment"]["WAYSTATION_HANDLER_ALLOWLIST"]
    assert allowed == COMPOSE["networks"]["waystation"]["ipam"]["config"][0]["subnet"]
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(re.findall(r"^(\w+)=$", example, re.M))


@pytest.mark.parametrize("name", LISTENS)
def test_health_is_asked_where_the_process_listens(name: str) -> None:
    port = SERVICES[name]["environment"][LISTENS[name]]
    assert SERVICES[name]["healthcheck"]["test"][-1] == f"127.0.0.1:{port}"
    assert re.search(rf"^EXPOSE .*\b{port}\b", (ROOT / "Dockerfile").read_text(), re.M)


@pytest.fixture
def health_server() -> Iterator[tuple[str, health.HealthServicer]]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", servicer
    server.stop(None).wait()


def test_the_health_check_tells_serving_from_everything_else(
    health_server: tuple[str, health.HealthServicer],
) -> None:
    address, servicer = health_server

    def check() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, ROOT / "docker/health_check.py", address],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    assert check() == (0, f"{address}: SERVING\n")
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert check() == (1, f"{address}: NOT_SERVING\n")
    address = "127.0.0.1:1"
    code, said = check()
    assert code == 1
    assert "UNAVAILABLE" in said


def test_the_image_runs_as_nobody_special_and_copies_what_exists() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert re.fullmatch(r"USER [1-9]\d*", [line for line in lines if line.startswith("USER")][-1])
    ignored = (ROOT / ".dockerignore").read_text()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.split('/')[0]}" in ignored, source
