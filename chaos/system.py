"""The system under test: real processes on a private RabbitMQ and Postgres, every link a proxy."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from chaos.folder import ROOT, Lines, RunFolder
from chaos.handlers import SERVICES
from chaos.links import Links
from localservers.behaviours import Pass
from localservers.fork_server import ForkServer
from localservers.health import serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc

BINARIES = Path(sys.executable).parent
APIS, ROUTERS, ENDPOINTS = 2, 3, 2
READY_SECONDS = 180.0
_LOOK_SECONDS = 0.3
_IMPORTED = ("waystation_api.main", "waystation_router.main", "waystation_worker")
"""What its processes are forked with, where they are."""


@dataclass(frozen=True, slots=True)
class Role:
    """One place for a process: what runs there, and how; it may be filled again and again."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    """Where it serves, behind no proxy."""
    host: str = "127.0.0.1"


@dataclass(slots=True)
class _Place:
    role: Role
    process: ChildProcess
    held: int = 0
    """How many faults keep it down: the supervisor leaves it alone."""
    deaths: list[int] = field(default_factory=list)


class System:
    """An async context manager: what it started ends with the block.

    A supervisor starts again whatever ends by itself, and notes it in the faults' file.
    """

    def __init__(
        self, folder: RunFolder, seed: int, settings: Mapping[str, str], *, forked: bool = False
    ) -> None:
        """`settings` are further variables for APIs and routers. `forked`: processes start in
        milliseconds, which `localservers.fork_server` describes; memory is not worth measuring then."""
        self.folder = folder
        self.links = Links(seed)
        self.client_addresses: list[str] = []
        self._settings = settings
        self._places: dict[str, _Place] = {}
        self._noted = Lines(folder.faults)
        self._supervising: asyncio.Task[None] | None = None
        self._exits = contextlib.ExitStack()
        self._forked = forked
        self._fork_server: ForkServer | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        if self._forked:
            self._fork_server = await asyncio.to_thread(ForkServer, _IMPORTED)
            self._exits.callback(self._fork_server.close)
        # A folder outside of the report's: its path must be short and open to their user.
        self.postgres = self._exits.enter_context(
            await asyncio.to_thread(
                PostgresServer, durable=True, settings={"log_min_messages": "error"}
            )
        )
        self.rabbitmq = self._exits.enter_context(await asyncio.to_thread(RabbitMQServer))
        migrate = ChildProcess(
            [BINARIES / "waystation", "migrate"],
            name="migrate",
            log=self.folder.logs / "migrate.log",
            env={"WAYSTATION_DATABASE_URL": self.postgres.dsn()},
        )
        if await asyncio.to_thread(migrate.wait, READY_SECONDS) != 0:
            raise RuntimeError(f"the migration failed: {migrate.output()}")
        for number in range(1, APIS + 1):
            await self._add_server(f"api-{number}", "waystation-api", "WAYSTATION_API_PORT")
            name = f"client>api-{number}"
            proxy = await self.links.open(name, self._places[f"api-{number}"].role.port)
            self.client_addresses.append(proxy.address)
        for number in range(1, ROUTERS + 1):
            await self._add_server(
                f"router-{number}", "waystation-router", "WAYSTATION_ROUTER_PORT"
            )
        await asyncio.gather(*(self.wait_ready(name) for name in list(self._places)))
        for number in range(len(SERVICES) * ENDPOINTS):
            await self.add_handler(SERVICES[number // ENDPOINTS], f"handler-{number + 1}", number)
        await asyncio.gather(*(self.wait_ready(name) for name in list(self._places)))
        self._supervising = asyncio.create_task(self._supervise())

    async def _add_server(self, name: str, program: str, port_setting: str) -> None:
        postgres = await self.links.open(f"{name}>postgres", self.postgres.port)
        rabbitmq = await self.links.open(f"{name}>rabbitmq", self.rabbitmq.port)
        port = free_port()
        environment = {
            "WAYSTATION_DATABASE_URL": self.postgres.dsn().replace(
                f":{self.postgres.port}/", f":{postgres.port}/"
            ),
            "WAYSTATION_BROKER_URL": self.rabbitmq.amqp_url.replace(
                f":{self.rabbitmq.port}/", f":{rabbitmq.port}/"
            ),
            "WAYSTATION_LOG_FORMAT": "json",
            port_setting: str(port),
            **self._settings,
        }
        role = Role(name, (str(BINARIES / program),), environment, port)
        self._places[name] = _Place(role, self._spawn(role))

    async def add_handler(self, service: str, name: str, number: int = 0) -> None:
        """One more endpoint, behind a proxy of its own; does not wait for it."""
        api = f"api-{number % APIS + 1}"
        to_api = await self.links.open(f"{name}>api", self._places[api].role.port)
        port = free_port()
        # The endpoint listens on another address of loopback, its proxy where it is registered.
        await self.links.open(f"routers>{name}", port, target_host="127.0.0.2", port=port)
        environment = {
            "WAYSTATION_ADDRESS": to_api.address,
            "WAYSTATION_HANDLER_PORT": str(port),
            "CHAOS_LEDGER": str(self.folder.ledger),
        }
        argv = (sys.executable, "-m", "chaos.handlers", service, name)
        role = Role(name, argv, environment, port, "127.0.0.2")
        self._places[name] = _Place(role, self._spawn(role))

    async def stop(self) -> None:
        """Ends everything, at once."""
        if self._supervising is not None:
            self._supervising.cancel()
        for place in self._places.values():
            if place.process.running:
                # SIGKILL ends a process that SIGSTOP has stopped, too.
                await asyncio.to_thread(place.process.kill)
        await self.links.close()
        await asyncio.to_thread(self._exits.close)

    @property
    def names(self) -> list[str]:
        """The places of all processes."""
        return list(self._places)

    def port(self, name: str) -> int:
        """Where it serves; for a handler also where it is registered."""
        return self._places[name].role.port

    def pid(self, name: str) -> int:
        """Of the process that is there now."""
        return self._places[name].process.pid

    def pids(self) -> dict[str, int]:
        """Of all that run now, the servers included."""
        pids = {name: place.process.pid for name, place in self._places.items()}
        with contextlib.suppress(RuntimeError):
            pids["postgres"] = self.postgres.pid
        with contextlib.suppress(RuntimeError):
            pids["rabbitmq"] = self.rabbitmq.pid
        return pids

    def signal(self, name: str, what: signal.Signals) -> None:
        """Sends the process that is there a signal."""
        self._places[name].process.send(what)

    async def kill(self, name: str) -> int:
        """SIGKILL; nothing is started in its place before `fill`. Its process id."""
        place = self._places[name]
        place.held += 1
        pid = place.process.pid
        await asyncio.to_thread(place.process.kill)
        return pid

    async def terminate(self, name: str, within: float) -> int:
        """SIGTERM, and SIGKILL after `within` seconds; as `kill`. Its exit code."""
        place = self._places[name]
        place.held += 1
        return await asyncio.to_thread(place.process.stop, within)

    async def fill(self, name: str) -> None:
        """Starts a process where one was killed, unless there is one; does not wait for it."""
        place = self._places[name]
        place.held = max(0, place.held - 1)
        if not place.process.running and not place.held:
            place.process = self._spawn(place.role)

    async def heal(self) -> None:
        """The final heal: whatever a fault that went wrong has left behind is put right, and every
        process is ready. Raises ProcessFailed where one does not get ready."""
        for proxy in self.links:
            await proxy.behave(Pass())
        await asyncio.gather(
            asyncio.to_thread(self.postgres.start), asyncio.to_thread(self.rabbitmq.start)
        )
        for name, place in self._places.items():
            place.held = 0
            place.process.send(signal.SIGCONT)
            await self.fill(name)
        await asyncio.gather(*(self.wait_ready(name) for name in list(self._places)))

    async def wait_ready(self, name: str) -> None:
        """Returns when its health says SERVING, and for a handler when it is registered.

        Raises ProcessFailed when it ends instead, or after 3 minutes.
        """
        place = self._places[name]
        role = place.role

        def ready() -> bool:
            # Each look is a new connection: not more often than the processes can bear.
            time.sleep(_LOOK_SECONDS)
            serving = serves(f"{role.host}:{role.port}")
            if name.startswith(("api", "router")):
                return serving
            api = self._places["api-1"].role.port
            return serving and role.port in registered_ports(f"127.0.0.1:{api}")

        await asyncio.to_thread(
            place.process.wait_ready, ready, timeout=READY_SECONDS, what=f"{name} to serve"
        )

    def _spawn(self, role: Role) -> ChildProcess:
        unbuffered = {} if self._forked else {"PYTHONUNBUFFERED": "1"}
        return ChildProcess(
            role.argv,
            name=role.name,
            log=self.folder.logs / f"{role.name}.log",
            env={**role.environment, **unbuffered},
            cwd=ROOT,
            fork_server=self._fork_server,
        )

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            for name, place in self._places.items():
                if place.held or place.process.running:
                    continue
                code = place.process.returncode
                self._noted.write(event="died", name=name, code=code)
                place.process = self._spawn(place.role)


def registered_ports(address: str) -> set[int]:
    """The ports of the endpoints that the engine knows."""
    with grpc.insecure_channel(address) as channel, contextlib.suppress(grpc.RpcError):
        stub = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
        request = handler_registry_service_pb2.ListHandlersRequest(page_size=1000)
        return {handler.port for handler in stub.ListHandlers(request, timeout=5).handlers}
    return set()


def children(pid: int) -> list[int]:
    """The process ids of its children."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descriptors(pid: int) -> int:
    """How many files and sockets it has open; 0 where it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
