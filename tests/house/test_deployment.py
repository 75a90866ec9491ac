"""Dockerfile and docker-compose.yml, as far as they can be held to their word without an engine."""

import os
import re
import shutil
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
from support.certificates import Pki, issued

from localservers.ports import free_port
from localservers.processes import ChildProcess
from waystation_api.settings import ApiSettings
from waystation_core.rpc.settings import Settings, read_settings, variable
from waystation_router.settings import RouterSettings
from waystation_tls import ServerCredentials
from waystation_worker.settings import read_settings as read_handler_settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: spec for name, spec in SERVICES.items() if spec.get("build")}
LISTENS = {
    "api": "WAYSTATION_API_PORT",
    "router-1": "WAYSTATION_ROUTER_PORT",
    "router-2": "WAYSTATION_ROUTER_PORT",
    "router-fraud": "WAYSTATION_ROUTER_PORT",
    "claim-handlers": "WAYSTATION_HANDLER_PORT",
}
SETTINGS: dict[str, type[Settings]] = {
    "api": ApiSettings,
    "router-1": RouterSettings,
    "router-2": RouterSettings,
    "router-fraud": RouterSettings,
}
OBSERVES = {"prometheus", "grafana", "collector"}
# Those that end, or have no shell in their image.
WITHOUT_HEALTH = {"security", "migrate", "operator", "collector"}
# What the example's password variables are replaced with.
SECRET = "secret"


def environment(name: str) -> dict[str, str]:
    """What compose would set for a service."""
    return {
        variable: re.sub(
            r"\$\{\w+:-(.*?)\}", r"\1", re.sub(r"\$\{\w+:\?[^}]*\}", SECRET, str(value))
        )
        for variable, value in SERVICES[name].get("environment", {}).items()
    }


def test_the_production_shape_is_complete() -> None:
    assert set(SERVICES) == {
        "postgres",
        "rabbitmq",
        "security",
        "migrate",
        "operator",
        "api",
        "router-1",
        "router-2",
        "router-fraud",
        "claim-handlers",
        *OBSERVES,
    }
    declared = set(COMPOSE["volumes"])
    used = {volume.split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])}
    files = {name for name in used if name.startswith("./")}
    assert used - files == declared
    assert all((ROOT / name).exists() for name in files)
    assert {name for name, s in SERVICES.items() if s.get("profiles") == ["observe"]} == OBSERVES
    assert {n for n, s in SERVICES.items() if not s.get("volumes")} == {"migrate"}
    for name, spec in SERVICES.items():
        assert "healthcheck" in spec or name in WITHOUT_HEALTH, name
        assert set(spec.get("depends_on", {})) <= set(SERVICES), name


def test_every_command_is_one_that_the_image_has() -> None:
    scripts: set[str] = set()
    for project in (ROOT / "services").glob("*/pyproject.toml"):
        scripts |= set(tomllib.loads(project.read_text())["project"].get("scripts", {}))
    for name, spec in OURS.items():
        program, *rest = spec["command"]
        if program == "python" and rest[0].startswith("/opt/waystation/"):
            assert f"docker/{Path(rest[0]).name} " in (ROOT / "Dockerfile").read_text()
        elif program == "sleep":
            assert name == "operator"
        elif program == "python":
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
    # Each process sees its own keys only, and none can change them.
    assert "WAYSTATION_INSECURE" not in text
    for name in (*LISTENS, "operator"):
        (volume,) = SERVICES[name]["volumes"]
        assert volume == f"security-{folder_of(name)}:/security:ro"
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(re.findall(r"^(\w+)=$", example, re.M))


def folder_of(name: str) -> str:
    """What `trial_security.py` calls that kind of process."""
    return {"claim-handlers": "handlers"}.get(name, name.partition("-")[0])


def secured(name: str, folder: Path) -> dict[str, str]:
    """The environment of a service whose volume is in that folder."""
    return {
        variable: text.replace("/security/", f"{folder / folder_of(name)}/")
        for variable, text in environment(name).items()
    }


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service `security` makes."""
    folder = tmp_path_factory.mktemp("security")
    run_security(folder)
    return folder


def run_security(folder: Path) -> None:
    _, script, place, *names = OURS["security"]["command"]
    assert place == "/security"
    assert set(names) >= {"api", environment("claim-handlers")["WAYSTATION_ADVERTISE_HOST"]}
    argv = [sys.executable, ROOT / "docker" / Path(script).name, folder, *names]
    subprocess.run(argv, check=True)


def test_what_makes_it_safe_is_closed_to_others_and_stays(security: Path) -> None:
    made = {path: path.read_bytes() for path in security.rglob("*") if path.is_file()}
    for path in made:
        secret = path.name in {"token", "signing.pem", "keys.json"} or "key.pem" in path.name
        assert path.stat().st_mode & 0o077 == (0 if secret else 0o044), path
    run_security(security)
    assert {path: path.read_bytes() for path in made} == made
    for name in ("operator", "handlers"):
        token = (security / name / "token").read_bytes().strip()
        assert all(token not in made[path] for path in made if path.parts[-2] != name)


@pytest.mark.parametrize("name", LISTENS)
def test_health_is_asked_where_the_process_listens(name: str) -> None:
    port = SERVICES[name]["environment"][LISTENS[name]]
    assert SERVICES[name]["healthcheck"]["test"][-1] == f"127.0.0.1:{port}"
    assert re.search(rf"^EXPOSE .*\b{port}\b", (ROOT / "Dockerfile").read_text(), re.M)


def test_every_variable_is_a_setting_of_some_process_and_is_accepted(security: Path) -> None:
    known = {variable(field) for kind in SETTINGS.values() for field in kind.model_fields}
    for name, kind in SETTINGS.items():
        given = secured(name, security)
        assert set(given) - {"OTEL_EXPORTER_OTLP_ENDPOINT"} <= known, name
        settings = read_settings(kind, given)
        assert not settings.insecure
        for variable_name, text in given.items():
            field = variable_name.removeprefix("WAYSTATION_").lower()
            if field in kind.model_fields and not field.endswith("url"):
                assert str(getattr(settings, field)).lower() == text.lower(), variable_name
    assert {"WAYSTATION_DATABASE_URL", "WAYSTATION_BROKER_URL"} <= set(environment("api"))
    assert "WAYSTATION_DATABASE_URL" in environment("migrate")
    # Whoever registers an endpoint is refused by one list and dialled by the other.
    lists = {environment(name)["WAYSTATION_HANDLER_ALLOWLIST"] for name in SETTINGS}
    assert len(lists) == 1
    given = secured("claim-handlers", security)
    handlers = read_handler_settings(environ=given)
    assert (handlers.address, handlers.host, handlers.port, handlers.advertise_host) == (
        f"api:{environment('api')['WAYSTATION_API_PORT']}",
        given["WAYSTATION_HANDLER_HOST"],
        int(given["WAYSTATION_HANDLER_PORT"]),
        "claim-handlers",
    )


def test_the_services_run_by_hand_as_compose_would_run_them(
    empty_database_url: str, amqp_url: str, security: Path, tmp_path: Path
) -> None:
    ports = {name: str(free_port()) for name in LISTENS}
    address = f"127.0.0.1:{ports['api']}"
    # Only where things are differs from compose; here they are on one machine's loopback.
    here = {
        "WAYSTATION_DATABASE_URL": empty_database_url,
        "WAYSTATION_BROKER_URL": amqp_url,
        "WAYSTATION_ADDRESS": address,
        "WAYSTATION_ADVERTISE_HOST": "127.0.0.1",
        "WAYSTATION_HANDLER_ALLOWLIST": "127.0.0.0/8",
        **{f"WAYSTATION_{part}_HOST": "127.0.0.1" for part in ("API", "ROUTER", "HANDLER")},
    }
    binaries = Path(sys.executable).parent

    def run(name: str) -> ChildProcess:
        given = secured(name, security)
        changed = {key: here[key] for key in given.keys() & here.keys()}
        # The tests' Postgres need not survive its machine.
        own = {"WAYSTATION_UNSAFE_DATABASE": "true"}
        if name in LISTENS:
            own[LISTENS[name]] = ports[name]
            own |= {variable: "0" for variable in given if variable.endswith("METRICS_PORT")}
        program, *rest = OURS[name]["command"]
        return ChildProcess(
            [binaries / program, *rest],
            name=name,
            log=tmp_path / f"{name}.log",
            env={**given, **changed, **own},
        )

    def healthy(name: str) -> bool:
        command = [part.replace("/opt/waystation", str(ROOT / "docker")) for part in asked(name)]
        command[-1] = f"127.0.0.1:{ports[name]}"
        env = {**secured(name, security), **path_of(binaries)}
        done = subprocess.run(command, capture_output=True, check=False, env=env)
        return done.returncode == 0

    assert run("migrate").wait(60) == 0
    one, two, fraud = run("router-1"), run("router-2"), run("router-fraud")
    with run("api") as api, one, two, fraud:
        api.wait_ready(lambda: healthy("api"), timeout=60)
        with run("claim-handlers") as handlers:
            handlers.wait_for_output("registered", timeout=60)
            processes = (api, one, two, fraud, handlers)
            for name, process in zip(LISTENS, processes, strict=True):
                process.wait_ready(lambda name=name: healthy(name), timeout=60)
            assert [process.stop() for process in reversed(processes)] == [0] * 5


def test_what_observes_reads_every_process_and_shows_every_dashboard(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: scripts/install-packages prometheus"
    mounted = dict(
        volume.split(":")[:2] for name in OBSERVES for volume in SERVICES[name]["volumes"]
    )
    for source, place in mounted.items():
        if place.startswith("/etc/prometheus/"):
            shutil.copy(ROOT / source, tmp_path / Path(place).name)
    subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], check=True)
    read: dict[str, Any] = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    targets = {
        target
        for job in read["scrape_configs"]
        for found in job["static_configs"]
        for target in found["targets"]
    }
    targets |= {
        f"{name}:{found['port']}"
        for job in read["scrape_configs"]
        for found in job.get("dns_sd_configs", [])
        for name in found["names"]
    }
    ports = {
        f"{name}:{port}"
        for name in LISTENS
        for variable, port in environment(name).items()
        if variable.endswith("METRICS_PORT")
    }
    assert targets == ports
    assert len(targets) == len(LISTENS)
    assert all(job["job_name"].startswith("waystation-") for job in read["scrape_configs"])
    (source,) = yaml.safe_load((ROOT / "deploy/compose/grafana-datasources.yml").read_text())[
        "datasources"
    ]
    host, _, port = source["url"].removeprefix("http://").partition(":")
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (provider,) = yaml.safe_load((ROOT / "deploy/compose/grafana-dashboards.yml").read_text())[
        "providers"
    ]
    assert mounted["./deploy/grafana"] == provider["options"]["path"]
    collector = yaml.safe_load((ROOT / "deploy/compose/collector.yml").read_text())
    used = collector["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(used[kind]) == set(collector[kind])
    endpoint = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    said = re.search(
        r"OTEL_EXPORTER_OTLP_ENDPOINT=http://(\S+)", (ROOT / ".env.example").read_text()
    )
    assert said is not None
    assert said[1] == f"collector:{endpoint.rpartition(':')[2]}"


def asked(name: str) -> list[str]:
    """The health check's command line, as compose would run it."""
    how, *command = SERVICES[name]["healthcheck"]["test"]
    assert how == "CMD"
    return command


def path_of(binaries: Path) -> dict[str, str]:
    """An environment in which `python` is this one, as it is in the image."""
    return {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}


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


def test_the_health_check_believes_the_certificate_of_its_own_process(
    tmp_path: Path,
) -> None:
    pki = Pki(tmp_path)
    tls = pki.server(issued("ours", "*.example.com"), client_ca=pki.ca())
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_secure_port("127.0.0.1:0", ServerCredentials(tls).of_grpc())
    server.start()
    address = f"127.0.0.1:{port}"

    def check(**settings: Path | None) -> tuple[int, str]:
        given = {f"WAYSTATION_TLS_{name}": str(path) for name, path in settings.items()}
        done = subprocess.run(
            [sys.executable, ROOT / "docker/health_check.py", address],
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    try:
        assert check(CERT=tls.cert, KEY=tls.key) == (0, f"{address}: SERVING\n")
        other = pki.pair("other", issued("ours", "other"))
        code, said = check(CERT=other[0], KEY=other[1])
        assert (code, "UNAVAILABLE" in said) == (1, True)
        code, said = check(CERT=tmp_path / "missing.pem", KEY=tls.key)
        assert (code, "missing.pem" in said) == (1, True)
    finally:
        server.stop(None).wait()


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
