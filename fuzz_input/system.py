"""The system that is asked: RabbitMQ, Postgres, API and router as processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

from localservers.given_servers import GivenServers
from localservers.health import serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from localservers.together import Together

BINARIES = Path(sys.executable).parent
ASKED_SECONDS = 10.0
"""A server that is given bad input may be slow to say that it is well."""


class System(Together):
    """One running system."""

    def __init__(self, folder: Path, servers: GivenServers | None) -> None:
        """`servers` None: it starts its own."""
        super().__init__()
        self._folder = folder
        self._given = servers
        self.address = f"127.0.0.1:{free_port()}"
        self.router_address = f"127.0.0.1:{free_port()}"
        self.amqp_url = ""
        self.processes: dict[str, ChildProcess] = {}

    def _start(self) -> None:
        if (servers := self._given) is None:
            postgres = self._exits.enter_context(PostgresServer())
            rabbitmq = self._exits.enter_context(RabbitMQServer())
            servers = GivenServers(postgres.dsn(), rabbitmq.amqp_url)
        self.amqp_url = servers.broker_url
        environment = {
            "WAYSTATION_DATABASE_URL": servers.database_url,
            "WAYSTATION_BROKER_URL": servers.broker_url,
            "WAYSTATION_API_PORT": self.address.rpartition(":")[2],
            "WAYSTATION_ROUTER_PORT": self.router_address.rpartition(":")[2],
            "WAYSTATION_ADDRESS": self.address,
            "WAYSTATION_LOG_FORMAT": "json",
            # Nothing here has to last.
            "WAYSTATION_UNSAFE_DATABASE": "true",
        }
        self._child("migrate", "waystation", environment, "migrate").wait(60)
        for name, address in (("api", self.address), ("router", self.router_address)):
            child = self._child(name, f"waystation-{name}", environment)
            child.wait_ready(lambda address=address: serves(address, ASKED_SECONDS), timeout=90)  # type: ignore[misc]
            self.processes[name] = child

    def _child(
        self, name: str, program: str, environment: dict[str, str], *arguments: str
    ) -> ChildProcess:
        process = ChildProcess(
            [BINARIES / program, *arguments],
            name=name,
            log=self._folder / f"{name}.log",
            env=environment,
        )
        return self._exits.enter_context(process)

    def memory_mib(self) -> dict[str, int]:
        """Resident memory of each process."""
        return {
            name: int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * 4 // 1024
            for name, child in self.processes.items()
        }

    def faults_logged(self) -> list[str]:
        """Lines in the logs that tell of a fault of ours."""
        return [
            line[:2_000]
            for name in self.processes
            for line in (self._folder / f"{name}.log").read_text(errors="replace").splitlines()
            if any(word in line for word in FAULTS)
        ]


FAULTS = (
    *("internal_error", "input_not_read", "answer_not_read", "call_not_carried_out", "call_failed"),
    *("background_work_failed", "batch_taken_apart", "event_not_taken_in_hand", "results_refused"),
    *(
        "broker_message_not_read",
        "broker_notice_not_read",
        "stream_failed",
        "Task exception was never",
    ),
)
