"""The system under load: its own RabbitMQ and a durable Postgres, API, router and handler process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc

from localservers.health import serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from localservers.together import Together
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc

BINARIES = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]


class System(Together):
    """One running system."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.groups: dict[str, int] = {}
        """The root process of each group whose CPU time is reported."""

    def _start(self) -> None:
        postgres = self._exits.enter_context(PostgresServer(durable=True))
        rabbitmq = self._exits.enter_context(RabbitMQServer())
        router = f"127.0.0.1:{free_port()}"
        environment = {
            "WAYSTATION_DATABASE_URL": postgres.dsn(),
            "WAYSTATION_BROKER_URL": rabbitmq.amqp_url,
            "WAYSTATION_API_PORT": self.address.rpartition(":")[2],
            "WAYSTATION_ROUTER_PORT": router.rpartition(":")[2],
            "WAYSTATION_ADDRESS": self.address,
            "WAYSTATION_HANDLER_PORT": "0",
            "WAYSTATION_LOG_FORMAT": "json",
        }
        self._child("migrate", [BINARIES / "waystation", "migrate"], environment).wait(60)
        api = self._child("api", [BINARIES / "waystation-api"], environment)
        routing = self._child("router", [BINARIES / "waystation-router"], environment)
        handler = self._child("handler", [sys.executable, "-m", "bench.handlers"], environment)
        api.wait_ready(lambda: serves(self.address), timeout=60)
        routing.wait_ready(lambda: serves(router), timeout=60)
        handler.wait_ready(lambda: _has_handler(self.address), timeout=60)
        self.groups = {
            "api": api.pid,
            "router": routing.pid,
            "handler": handler.pid,
            "postgres": postgres.pid,
            "rabbitmq": rabbitmq.pid,
        }

    def _child(self, name: str, argv: list[str | Path], env: dict[str, str]) -> ChildProcess:
        process = ChildProcess(argv, name=name, log=self._folder / f"{name}.log", env=env)
        return self._exits.enter_context(process)


def _has_handler(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        answer = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel).ListHandlers(
            handler_registry_service_pb2.ListHandlersRequest(), timeout=5
        )
    return bool(answer.handlers)


def run_load(
    options: dict[str, Any],
    *,
    seconds: float,
    python: str | Path = sys.executable,
    module: str = "bench.load",
) -> dict[str, Any]:
    """What a load client found in a window of so many seconds. Raises RuntimeError with its complaint."""
    done = subprocess.run(
        [python, "-m", module, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load client failed:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
