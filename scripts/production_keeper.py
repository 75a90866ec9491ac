#!/usr/bin/env python3
"""What `make up` leaves behind: it starts the production setup and keeps it running until SIGTERM.

RabbitMQ and Postgres first, then the schema, then our own processes, which it starts again when
they end. These speak TLS and ask for keys: `docker/trial_security.py` makes what they need for that. At SIGTERM it ends them all in the opposite order. Started by scripts/production only.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import yaml

from localservers.health import serves
from localservers.ports import accepts_connections, free_port
from localservers.postgres import PostgresMissing, PostgresServer
from localservers.processes import ChildProcess, ProcessFailed, wait_until
from localservers.rabbitmq import RabbitMQMissing, RabbitMQServer
from waystation_cli.embedded.account import let_through, postgres_account

ROOT = Path(__file__).resolve().parents[1]
BINARIES = Path(sys.executable).parent
FOLDER = Path(os.environ.get("UP_FOLDER") or ROOT / ".waystation" / "production").absolute()
STATE = FOLDER / "state.json"
SECURITY = FOLDER / "security"
ENVIRONMENT = FOLDER / "environment"
"""To be sourced: what commands need to be let in."""
MARK = "WAYSTATION_PRODUCTION_OF"
"""In the environment of the keeper and so of all that it starts: what `down` knows them by."""

USUAL_PORTS = {
    "postgres": 5432,
    "rabbitmq": 5672,
    "management": 15672,
    "api": 7400,
    "router-1": 7401,
    "router-2": 7402,
    "handlers": 7500,
    "prometheus": 9090,
}
METRICS_PORTS = {"api": 7410, "router-1": 7411, "router-2": 7412, "handlers": 7510}
"""As in deploy/prometheus/prometheus.yml."""
RESTART_PAUSE_SECONDS = 1.0


class NotStarted(Exception):
    """A part can't be started; the message says why and what to do."""


def _ports() -> dict[str, int]:
    """A port for each server: asked for, usual, or free. Raises NotStarted."""
    metrics = {f"{name}-metrics": usual for name, usual in METRICS_PORTS.items()}
    return {name: _port(name, usual) for name, usual in {**USUAL_PORTS, **metrics}.items()}


def _port(name: str, usual: int) -> int:
    variable = f"UP_{name.upper().replace('-', '_')}_PORT"
    asked = os.environ.get(variable)
    if not asked:
        return free_port() if accepts_connections(usual) else usual
    if not asked.isdecimal() or not 0 < int(asked) < 65_536:
        raise NotStarted(f"{variable}={asked} is not 1-65535")
    if accepts_connections(int(asked)):
        raise NotStarted(f"{variable}: something listens on 127.0.0.1:{asked} already")
    return int(asked)


class Kept:
    """One of our processes, started again when it ends."""

    def __init__(self, name: str, port: int, argv: list[str | Path], env: dict[str, str]) -> None:
        self.name, self.address = name, f"127.0.0.1:{port}"
        self.log = FOLDER / "logs" / f"{name}.log"
        self._argv, self._env = argv, env
        self._authorities = (SECURITY / "operator" / "ca.pem").read_bytes()
        self.start()

    def start(self) -> None:
        """Starts it; at first and whenever it has ended."""
        self._started = time.monotonic()
        self.child = ChildProcess(self._argv, name=self.name, log=self.log, env=self._env)

    def wait_serving(self) -> None:
        """Returns when its health says so. Raises ProcessFailed with the end of its log."""
        self.child.wait_ready(
            lambda: serves(self.address, timeout=1, authorities=self._authorities),
            timeout=90,
            what="it to serve",
        )

    def look(self) -> bool:
        """Starts it again where it has ended; whether it did."""
        if self.child.running or time.monotonic() < self._started + RESTART_PAUSE_SECONDS:
            return False
        print(f"{self.name} ended with {self.child.returncode}; starting it again", flush=True)
        self.start()
        return True


def keep() -> int:
    """Starts everything, waits for SIGTERM, ends everything in the opposite order."""
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    # Asked to end while still starting, the exception unwinds what is there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ports = _ports()
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(_postgres(ports["postgres"]))
        rabbitmq = stack.enter_context(
            RabbitMQServer(
                folder=FOLDER / "rabbitmq",
                port=ports["rabbitmq"],
                management_port=ports["management"],
            )
        )
        engine = {
            "WAYSTATION_DATABASE_URL": _database(postgres),
            "WAYSTATION_BROKER_URL": rabbitmq.amqp_url,
        }
        _migrate(engine)
        _make_secure()
        kept = [_api(ports, engine), *_routers(ports, engine), _handlers(ports)]
        for process in kept:
            stack.callback(lambda process=process: process.child.stop())
        for process in kept:
            process.wait_serving()
        kept[-1].child.wait_for_output("registered", timeout=60)
        # The page is some seconds behind: what is printed next must be on it.
        wait_until(lambda: _shown_routers(rabbitmq) == 2, timeout=30, what="the management page")
        prometheus = _prometheus(ports)
        if prometheus is not None:
            kept.append(prometheus)
            stack.callback(prometheus.child.stop)
            prometheus.child.wait_ready(
                lambda: _is_ready(prometheus.address), what="it to be ready"
            )
        signal.signal(signal.SIGTERM, stop)
        _write_environment(kept[0].address)
        servers = {"postgres": postgres, "rabbitmq": rabbitmq}
        _write_state(kept, servers, engine, rabbitmq.management_url)
        while not stopping:
            time.sleep(0.2)
            again = [process for process in kept if process.look()]
            if again:
                _write_state(kept, servers, engine, rabbitmq.management_url)
    return 0


def _postgres(port: int) -> PostgresServer:
    folder = FOLDER / "postgres"
    folder.mkdir(exist_ok=True)
    # Run by root, Postgres belongs to another account, which must be able to reach its folder.
    account = postgres_account(folder / "data")
    if account is not None:
        let_through(account, [folder])
    return PostgresServer(folder=folder, port=port, durable=True)


def _database(postgres: PostgresServer) -> str:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'waystation'")
        if there.fetchone() is None:
            connection.execute("CREATE DATABASE waystation")
    return postgres.dsn("waystation")


def _migrate(engine: dict[str, str]) -> None:
    done = subprocess.run(
        [BINARIES / "waystation", "migrate"],
        env={**os.environ, **engine},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotStarted(f"waystation migrate: {done.stderr.strip()}")


def _make_secure() -> None:
    subprocess.run([sys.executable, ROOT / "docker" / "trial_security.py", SECURITY], check=True)


def of_server(name: str) -> dict[str, str]:
    """The settings of an API or a router that lets in only callers with a key, over TLS, and signs its calls."""
    return {
        **_certificate(name),
        "WAYSTATION_KEYS_FILE": str(SECURITY / name / "keys.json"),
        "WAYSTATION_SIGNING_KEY": str(SECURITY / name / "signing.pem"),
        "WAYSTATION_HANDLER_TLS_CA": str(SECURITY / name / "ca.pem"),
    }


def of_caller(name: str) -> dict[str, str]:
    """The settings of a caller of the API: a handler service, or a person's commands."""
    return {
        "WAYSTATION_TLS_CA": str(SECURITY / name / "ca.pem"),
        "WAYSTATION_TOKEN_FILE": str(SECURITY / name / "token"),
    }


def _certificate(name: str) -> dict[str, str]:
    return {
        "WAYSTATION_TLS_CERT": str(SECURITY / name / "cert.pem"),
        "WAYSTATION_TLS_KEY": str(SECURITY / name / "cert-key.pem"),
    }


def _api(ports: dict[str, int], engine: dict[str, str]) -> Kept:
    env = {
        **engine,
        **of_server("api"),
        "WAYSTATION_API_PORT": str(ports["api"]),
        "WAYSTATION_METRICS_PORT": str(ports["api-metrics"]),
    }
    return Kept("api", ports["api"], [BINARIES / "waystation-api"], env)


def _routers(ports: dict[str, int], engine: dict[str, str]) -> list[Kept]:
    return [
        Kept(
            name,
            ports[name],
            [BINARIES / "waystation-router"],
            {
                **engine,
                **of_server("router"),
                "WAYSTATION_ROUTER_PORT": str(ports[name]),
                "WAYSTATION_METRICS_PORT": str(ports[f"{name}-metrics"]),
            },
        )
        for name in ("router-1", "router-2")
    ]


def _handlers(ports: dict[str, int]) -> Kept:
    env = {
        **_certificate("handlers"),
        **of_caller("handlers"),
        "WAYSTATION_IDENTITY_KEYS_FILE": str(SECURITY / "handlers" / "identity-keys"),
        "WAYSTATION_ADDRESS": f"127.0.0.1:{ports['api']}",
        "WAYSTATION_HANDLER_PORT": str(ports["handlers"]),
        "WAYSTATION_HANDLER_METRICS_PORT": str(ports["handlers-metrics"]),
    }
    return Kept("handlers", ports["handlers"], [sys.executable, "-m", "insurance_claim"], env)


def _prometheus(ports: dict[str, int]) -> Kept | None:
    """It reads all of them, with the alarms of this repository; None where it is not installed."""
    binary = shutil.which("prometheus")
    if binary is None:
        return None
    source = ROOT / "deploy" / "prometheus"
    text = (source / "prometheus.yml").read_text()
    for name, usual in METRICS_PORTS.items():
        text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{ports[f'{name}-metrics']}")
    settings = yaml.safe_load(text)
    settings["rule_files"] = [str(source / file) for file in settings["rule_files"]]
    folder = FOLDER / "prometheus"
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    argv: list[str | Path] = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
    ]
    return Kept("prometheus", ports["prometheus"], argv, {})


def _is_ready(prometheus: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{prometheus}/-/ready"):
        return True
    return False


def _write_environment(api: str) -> None:
    """What a person's terminal needs: `source .waystation/production/environment`."""
    settings = {"WAYSTATION_ADDRESS": api, **of_caller("operator")}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    ENVIRONMENT.write_text("".join(lines))


def _write_state(
    kept: list[Kept],
    servers: dict[str, PostgresServer | RabbitMQServer],
    engine: dict[str, str],
    management_url: str,
) -> None:
    processes = {
        name: {"pid": server.pid, "address": f"127.0.0.1:{server.port}", "log": str(server.log)}
        for name, server in servers.items()
    }
    for process in kept:
        processes[process.name] = {
            "pid": process.child.pid,
            "address": process.address,
            "log": str(process.log),
        }
    content = {
        "pid": os.getpid(),
        "database_url": engine["WAYSTATION_DATABASE_URL"],
        "broker_url": engine["WAYSTATION_BROKER_URL"],
        "management_url": management_url,
        "processes": processes,
    }
    fresh = STATE.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.rename(STATE)


def _shown_routers(rabbitmq: RabbitMQServer) -> int:
    """How many routers consume, as far as the management page knows."""
    tags = [str(each["consumer_tag"]) for each in rabbitmq.api("consumers/%2F")]
    return sum(tag.startswith("waystation-router-") for tag in tags)


def main() -> int:
    """Exit code 0 after SIGTERM; 1, with a line that says why, when a part can't be started."""
    try:
        return keep()
    except (NotStarted, ProcessFailed, PostgresMissing, RabbitMQMissing, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
