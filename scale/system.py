"""The system under load: RabbitMQ, a durable Postgres, one API, one router, one handler service.
Router and handlers come and go as a case says."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import psycopg

from bench.handlers import CLAIM_3
from bench.system import load_client, run_load
from localservers.given_servers import GivenServers
from localservers.health import serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess, wait_until
from localservers.rabbitmq import RabbitMQServer
from localservers.together import Together
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc

BINARIES = Path(sys.executable).parent
READY_SECONDS = 180


class System(Together):
    """One running system."""

    def __init__(self, folder: Path, servers: GivenServers | None) -> None:
        """`servers` None: it starts its own."""
        super().__init__()
        self.folder = folder
        self._given = servers
        self.address = f"127.0.0.1:{free_port()}"
        self._router_address = f"127.0.0.1:{free_port()}"
        self._router: ChildProcess | None = None
        self._handlers: ChildProcess | None = None

    @property
    def is_own(self) -> bool:
        """Whether it started its servers itself."""
        return self._given is None

    def _start(self) -> None:
        if (servers := self._given) is None:
            # Only what is its own may be broken, so only then these are there.
            self.postgres = self._exits.enter_context(PostgresServer(durable=True))
            self.rabbitmq = self._exits.enter_context(RabbitMQServer())
            servers = GivenServers(self.postgres.dsn(), self.rabbitmq.amqp_url)
        self._database_url = servers.database_url
        self._environment = {
            "WAYSTATION_DATABASE_URL": servers.database_url,
            "WAYSTATION_BROKER_URL": servers.broker_url,
            "WAYSTATION_API_PORT": self.address.rpartition(":")[2],
            "WAYSTATION_ROUTER_PORT": self._router_address.rpartition(":")[2],
            "WAYSTATION_ADDRESS": self.address,
            "WAYSTATION_HANDLER_PORT": "0",
            "WAYSTATION_LOG_FORMAT": "json",
        }
        self._child("migrate", [BINARIES / "waystation", "migrate"]).wait(READY_SECONDS)
        self._start_api()
        self.start_router()
        self.start_handlers()

    def _start_api(self) -> None:
        self._api = self._child("api", [BINARIES / "waystation-api"])
        self._api.wait_ready(lambda: serves(self.address), timeout=READY_SECONDS)

    def restart_engine(self, **settings: str) -> None:
        """Stops API and router and starts them with these settings beside the others."""
        self.stop_router()
        self._api.stop(60)
        self._environment.update(settings)
        self._start_api()
        self.start_router()

    def engine(self) -> dict[str, int]:
        """The process ids of API and router."""
        assert self._router is not None
        return {"API": self._api.pid, "router": self._router.pid}

    def start_router(self) -> None:
        """Starts the router and waits until it takes work."""
        self._router = self._child("router", [BINARIES / "waystation-router"])
        self._router.wait_ready(lambda: serves(self._router_address), timeout=READY_SECONDS)

    def stop_router(self) -> None:
        """Stops it with SIGTERM."""
        assert self._router is not None
        self._router.stop(60)

    def start_handlers(
        self, *, rejects: bool = False, slow: bool = False, wait: bool = True
    ) -> None:
        """Starts the handler service; waits until it is registered unless told not to."""
        self._handlers = self._child(
            "handlers",
            [sys.executable, "-m", "scale.handlers"],
            SCALE_REJECTS="1" if rejects else "",
            SCALE_SLOW="1" if slow else "",
            PYTHONPATH=os.pathsep.join(sys.path),
        )
        if wait:
            self._handlers.wait_ready(lambda: self._registered("scale"), timeout=READY_SECONDS)

    def start_more(self, module: str, service: str, number: int = 1) -> None:
        """Starts so many more processes of handlers, and waits until the service is registered with all of its
        processes."""
        wanted = self._processes_of(service) + number
        for _ in range(number):
            self._child(
                "more-handlers",
                [sys.executable, "-m", module],
                PYTHONPATH=os.pathsep.join(sys.path),
            )
        wait_until(
            lambda: self._processes_of(service) >= wanted,
            timeout=READY_SECONDS,
            what=f"{wanted} processes of {service}",
        )

    def start_handlers_in(self, namespace: str) -> None:
        """Starts the handler service once more, for another namespace, and waits until it is registered there."""
        self._child(
            f"handlers-{namespace}",
            [sys.executable, "-m", "scale.handlers"],
            PYTHONPATH=os.pathsep.join(sys.path),
            WAYSTATION_NAMESPACE=namespace,
        )
        wait_until(
            lambda: self._processes_of("scale", namespace) > 0,
            timeout=READY_SECONDS,
            what=f"the service in {namespace}",
        )

    def start_flood(self, workflow_type: str, clients: int) -> ChildProcess:
        """Clients that start one workflow of a type after the other, in a process of their own."""
        return self._child(
            "flood",
            [sys.executable, "-m", "scale.flood", self.address, workflow_type, str(clients)],
            PYTHONPATH=os.pathsep.join(sys.path),
        )

    def run_claims(self, callers: int, seconds: float) -> dict[str, Any]:
        """What so many callers of claim-3 found in a closed loop of so many seconds, on one connection."""
        options = {
            "address": self.address,
            "workflow_type": CLAIM_3,
            "concurrency": callers,
            "clients": 1,
            "warm_up": min(2.0, seconds),
            "seconds": seconds,
            "groups": {},
        }
        return run_load(options, load_client())

    def stop_handlers(self) -> None:
        """Stops it with SIGTERM: it unregisters."""
        assert self._handlers is not None
        self._handlers.stop(60)
        wait_until(
            lambda: not self._registered("scale"), timeout=READY_SECONDS, what="it to be gone"
        )

    def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Runs a statement of a case's own, without the servers' bounds."""
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def until(self, query: str, number: int) -> None:
        """Waits until the statement returns this number."""
        wait_until(lambda: self.rows(query)[0][0] == number, timeout=READY_SECONDS, what=query)

    def run(self, statements: Sequence[str], parameters: Mapping[str, Any]) -> None:
        """Runs statements on one connection, so that temporary tables live between them."""
        with psycopg.connect(
            self._database_url, autocommit=True, cursor_factory=psycopg.ClientCursor
        ) as connection:
            for statement in statements:
                connection.execute(statement, parameters)  # type: ignore[call-overload]

    def _registered(self, service: str) -> bool:
        return self._processes_of(service) > 0

    def _processes_of(self, service: str, namespace: str = "") -> int:
        with grpc.insecure_channel(self.address) as channel:
            stub = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
            request = handler_registry_service_pb2.ListHandlersRequest(
                service_name=service, namespace=namespace
            )
            return len(stub.ListHandlers(request, timeout=10).handlers)

    def _child(self, name: str, argv: list[str | Path], **more: str) -> ChildProcess:
        return self._exits.enter_context(
            ChildProcess(
                argv,
                name=name,
                log=self.folder / f"{name}.log",
                env={**self._environment, **more},
            )
        )
