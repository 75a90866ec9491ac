"""Whole systems of real processes, of a test's own: embedded, or in parts on RabbitMQ and Postgres."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from localservers.health import serves
from localservers.ports import free_port
from localservers.processes import ChildProcess
from support.fork_server import fork_server
from support.waiting import eventually
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc
from waystation_worker import Client

BINARIES = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
CLAIMS = ("-m", "insurance_claim")
"""The example's handler service, as arguments of Python."""

READY_SECONDS = 90
_LISTENS = r"listens on 127\.0\.0\.1:(\d+)"


class System:
    """The engine's processes and the handler services that belong to them.

    `address` is that of the first API. A context manager: whatever it started ends with the block.
    """

    form = "none"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.engine: list[ChildProcess] = []
        self.handlers: list[ChildProcess] = []
        self._started = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the engine; returns when it is ready."""
        raise NotImplementedError

    def kill_a_router(self) -> None:
        """SIGKILL for a process that is a router (and, embedded, everything else); starts another
        one in its place and returns when that is ready."""
        raise NotImplementedError

    def kill_the_api(self) -> None:
        """SIGKILL for the process that clients talk to; starts another one at the same address and
        returns when that is ready."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends everything, handlers first."""
        for process in (*self.handlers, *self.engine):
            if process.running:
                process.kill()
        self.handlers.clear()
        self.engine.clear()

    def client(self) -> Client:
        """A client of this system; close it, or use it as a context manager."""
        return Client(self.address, retry_for=60)

    def start_handlers(
        self,
        *service: str | Path,
        count: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> list[ChildProcess]:
        """Starts so many processes of a handler service, given as Python's arguments; returns when
        the engine knows them all."""
        started = [
            self._spawn(
                "handler",
                [sys.executable, *service],
                {"WAYSTATION_HANDLER_PORT": "0", **(environment or {})},
            )
            for _ in range(count)
        ]
        self.handlers += started
        for process in started:
            port = int(process.wait_for_output(_LISTENS, timeout=READY_SECONDS)[1])
            process.wait_ready(
                lambda port=port: port in self.registered_ports(),
                timeout=READY_SECONDS,
                what="its registration",
            )
        return started

    def kill_a_handler(self, at: int, *service: str | Path) -> None:
        """SIGKILL for a handler process; starts another one in its place."""
        self.handlers.pop(at).kill()
        self.start_handlers(*service)

    def _spawn(
        self, name: str, argv: Sequence[str | Path], environment: Mapping[str, str]
    ) -> ChildProcess:
        self._started += 1
        return ChildProcess(
            argv,
            name=name,
            log=self.folder / f"{self._started:02d}-{name}.log",
            env={"WAYSTATION_ADDRESS": self.address, **environment},
            fork_server=fork_server(),
        )

    def registered_ports(self) -> set[int]:
        """The ports of all endpoints that are registered now."""
        with grpc.insecure_channel(self.address) as channel:
            stub = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
            request = handler_registry_service_pb2.ListHandlersRequest(page_size=1000)
            with contextlib.suppress(grpc.RpcError):
                return {handler.port for handler in stub.ListHandlers(request, timeout=5).handlers}
        return set()


class Embedded(System):
    """`waystation dev`: one process, a broker in memory, a Postgres of its own."""

    form = "embedded"

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._environment = dict(environment or {})

    def start(self) -> None:
        """As of the base; again after a kill with the same data."""
        port = self.address.rpartition(":")[2]
        data = self.folder / "data"
        argv = [BINARIES / "waystation", "dev", "--port", port, "--data-dir", data]
        process = self._spawn("dev", argv, self._environment)
        self.engine.append(process)
        wait_serving(process, self.address)

    def kill_a_router(self) -> None:
        """As of the base: all of it dies, its Postgres included."""
        self.engine.pop().kill()
        self.start()

    def kill_the_api(self) -> None:
        """As of the base: all of it dies, its Postgres included."""
        self.kill_a_router()


class Parts(System):
    """`waystation-api` and `waystation-router` processes on a given RabbitMQ and database."""

    form = "parts"

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        amqp_url: str,
        api_amqp_url: str | None = None,
        routers: int = 2,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`api_amqp_url`: the API has a user of its own there."""
        super().__init__(folder)
        self.routers: list[ChildProcess] = []
        self._routers = routers
        self._of_api = {"WAYSTATION_BROKER_URL": api_amqp_url} if api_amqp_url else {}
        self._environment = {
            "WAYSTATION_DATABASE_URL": database_url,
            "WAYSTATION_BROKER_URL": amqp_url,
            # The tests' Postgres need not survive its machine.
            "WAYSTATION_UNSAFE_DATABASE": "true",
            # A dead router's work is taken over soon.
            "WAYSTATION_ROUTER_LEASE_SECONDS": "3",
            **(environment or {}),
        }

    def start(self) -> None:
        """As of the base."""
        api = self._start_api()
        ports = [self._start_router() for _ in range(self._routers)]
        wait_serving(api, self.address)
        for process, port in zip(self.routers, ports, strict=True):
            wait_serving(process, f"127.0.0.1:{port}")

    def kill_a_router(self) -> None:
        """As of the base: the oldest of the routers."""
        oldest = self.routers.pop(0)
        self.engine.remove(oldest)
        oldest.kill()
        port = self._start_router()
        wait_serving(self.routers[-1], f"127.0.0.1:{port}")

    def stop(self) -> None:
        """As of the base."""
        super().stop()
        self.routers.clear()

    def kill_the_api(self) -> None:
        """As of the base."""
        self.engine.remove(self._api)
        self._api.kill()
        wait_serving(self._start_api(), self.address)

    def _start_api(self) -> ChildProcess:
        port = self.address.rpartition(":")[2]
        environment = {**self._environment, **self._of_api, "WAYSTATION_API_PORT": port}
        self._api = self._spawn("api", [BINARIES / "waystation-api"], environment)
        self.engine.append(self._api)
        return self._api

    def start_router(self, *options: str) -> ChildProcess:
        """Starts one more router, with these options; returns when it is ready."""
        port = self._start_router(*options)
        wait_serving(self.routers[-1], f"127.0.0.1:{port}")
        return self.routers[-1]

    def spawn_api(self, **settings: str) -> tuple[ChildProcess, str]:
        """One more API with these settings, which may die at once, and the address that it will have."""
        address = f"127.0.0.1:{free_port()}"
        environment = {"WAYSTATION_API_PORT": address.rpartition(":")[2], **settings}
        return self._spawn_engine("waystation-api", environment), address

    def spawn_router(self, *options: str, **settings: str) -> tuple[ChildProcess, str]:
        """One more router with these options and settings, which may die at once, and the address
        of its health service."""
        address = f"127.0.0.1:{free_port()}"
        environment = {"WAYSTATION_ROUTER_PORT": address.rpartition(":")[2], **settings}
        return self._spawn_engine("waystation-router", environment, *options), address

    def _spawn_engine(
        self, program: str, settings: Mapping[str, str], *options: str
    ) -> ChildProcess:
        process = self._spawn(
            program.removeprefix("waystation-"),
            [BINARIES / program, *options],
            {**self._environment, **settings},
        )
        self.engine.append(process)
        return process

    def _start_router(self, *options: str) -> int:
        port = free_port()
        environment = {**self._environment, "WAYSTATION_ROUTER_PORT": str(port)}
        argv = [BINARIES / "waystation-router", *options]
        process = self._spawn("router", argv, environment)
        self.routers.append(process)
        self.engine.append(process)
        return port


def wait_serving(process: ChildProcess, address: str) -> None:
    """Returns when the process's health service at that address says SERVING."""
    process.wait_ready(lambda: serves(address), timeout=READY_SECONDS, what="it to serve")


async def logged(process: ChildProcess, pattern: str, *, timeout: float = 30) -> re.Match[str]:
    """The first match of the pattern in what the process wrote, once it is there."""

    async def look() -> re.Match[str] | None:
        return re.search(pattern, await asyncio.to_thread(process.output), re.MULTILINE)

    found = await eventually(look, timeout=timeout, what=f"{pattern!r} in {process.log.name}")
    assert found is not None
    return found
