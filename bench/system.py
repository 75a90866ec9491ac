"""The systems under load, each with a durable Postgres and a handler process: the parts as processes with their own
RabbitMQ, or `waystation dev`."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import psycopg

from bench.cpu import child
from bench.sampler import sampled
from localservers.health import serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from localservers.together import Together
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc

BINARIES = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]


class _Waystation(Together):
    """What both forms have."""

    def __init__(self, folder: Path, *, profile: bool) -> None:
        """`profile`: the Python processes run with a sampler, which writes to `folder`."""
        super().__init__()
        self.folder = folder
        self._profile = profile
        self.address = f"127.0.0.1:{free_port()}"
        self.groups: dict[str, list[int]] = {}
        """The root processes of each group whose CPU time is reported. What stands before a `/` in a group's name
        is one line of the table; only a profile tells the rest apart."""
        self.sampled: dict[str, int] = {}
        """The processes with a sampler by their samplers' names."""
        self._environment = {
            "WAYSTATION_API_PORT": self.address.rpartition(":")[2],
            "WAYSTATION_ADDRESS": self.address,
            "WAYSTATION_HANDLER_PORT": "0",
            "WAYSTATION_LOG_FORMAT": "json",
        }

    def _part(self, name: str, argv: list[str | Path], **more: str) -> ChildProcess:
        """A process of the engine or of the handlers, counted in the group before the `-` of its name."""
        command = [str(part) for part in argv]
        process = self._child(
            name, sampled(command, self.folder, name) if self._profile else command, **more
        )
        self.groups.setdefault(name.partition("-")[0], []).append(process.pid)
        if self._profile:
            self.sampled[name] = process.pid
        return process

    def _start_handler(self) -> None:
        handler = self._part("handler", [sys.executable, "-m", "bench.handlers"])
        handler.wait_ready(lambda: _has_handler(self.address), timeout=60)

    def _child(self, name: str, argv: list[str], **more: str) -> ChildProcess:
        return self._exits.enter_context(
            ChildProcess(
                argv,
                name=name,
                log=self.folder / f"{name}.log",
                env={**self._environment, **more},
                cwd=ROOT,
            )
        )


class System(_Waystation):
    """RabbitMQ, API, so many routers."""

    def __init__(self, folder: Path, *, routers: int = 1, profile: bool = False) -> None:
        super().__init__(folder, profile=profile)
        self._routers = routers

    def _start(self) -> None:
        self._postgres = self._exits.enter_context(PostgresServer(durable=True))
        rabbitmq = self._exits.enter_context(RabbitMQServer())
        self._environment["WAYSTATION_DATABASE_URL"] = self._postgres.dsn()
        self._environment["WAYSTATION_BROKER_URL"] = rabbitmq.amqp_url
        self._child("migrate", [str(BINARIES / "waystation"), "migrate"]).wait(60)
        api = self._part("api", [BINARIES / "waystation-api"])
        ports = [free_port() for _ in range(self._routers)]
        routers = [
            self._part(
                f"router-{number}",
                [BINARIES / "waystation-router"],
                WAYSTATION_ROUTER_PORT=str(port),
            )
            for number, port in enumerate(ports, 1)
        ]
        api.wait_ready(lambda: serves(self.address), timeout=60)
        for router, port in zip(routers, ports, strict=True):
            router.wait_ready(lambda port=port: serves(f"127.0.0.1:{port}"), timeout=60)  # type: ignore[misc]
        self._start_handler()
        self.groups["postgres"] = [self._postgres.pid]
        self.groups["rabbitmq"] = [rabbitmq.pid]

    def tell_connections_apart(self) -> None:
        """Makes a group of each kind of Postgres' processes: of those that serve the API, the routers, and so on."""
        with psycopg.connect(self._postgres.dsn()) as connection:
            found = connection.execute(
                "SELECT COALESCE(NULLIF(application_name, ''), backend_type), pid "
                "FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            ).fetchall()
        for name in [name for name in self.groups if name.startswith("postgres/")]:
            del self.groups[name]
        for name, pid in found:
            self.groups.setdefault(f"postgres/{name}", []).append(pid)


class Embedded(_Waystation):
    """`waystation dev`."""

    def _start(self) -> None:
        self._environment["WAYSTATION_DATA_DIR"] = str(self.folder / "data")
        dev = self._part("engine", [BINARIES / "waystation", "dev"])
        dev.wait_ready(lambda: serves(self.address), timeout=60)
        self._start_handler()
        self.groups["postgres"] = [child(dev.pid, "postgres")]

    def tell_connections_apart(self) -> None:
        """Its Postgres stays one group: it listens to nobody else."""


def _has_handler(address: str) -> bool:
    with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(address) as channel:
        answer = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel).ListHandlers(
            handler_registry_service_pb2.ListHandlersRequest(), timeout=5
        )
        return bool(answer.handlers)
    return False


def run_load(options: dict[str, Any], command: list[str]) -> dict[str, Any]:
    """What a load client found with these options. Raises RuntimeError with its complaint."""
    done = subprocess.run(
        [*command, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=options["warm_up"] + options["seconds"] + 120,
        check=False,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load client ended with {done.returncode}:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def load_client() -> list[str]:
    """The command of Waystation's load client, without its options."""
    return [sys.executable, "-m", "bench.load"]
