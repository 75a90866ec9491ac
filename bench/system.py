"""The systems under load, each with a durable Postgres and a handler process: the parts as processes with their own
RabbitMQ, in plain text, secured or traced, or `waystation dev`."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import psycopg

from bench.cpu import child
from bench.sampler import sampled
from localservers.health import channel_to, serves
from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from localservers.together import Together
from waystation.v1 import handler_registry_service_pb2, handler_registry_service_pb2_grpc
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.identity.signatures import SigningKey

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
        self.client_environment: dict[str, str] = {}
        """What a client needs beyond the address, as variables."""
        self._of_part: dict[str, dict[str, str]] = {}
        """Variables of one kind of process."""
        self._authorities: bytes | None = None
        self._environment = {
            "WAYSTATION_API_PORT": self.address.rpartition(":")[2],
            "WAYSTATION_ADDRESS": self.address,
            "WAYSTATION_HANDLER_PORT": "0",
            "WAYSTATION_LOG_FORMAT": "json",
        }

    def _part(self, name: str, argv: list[str | Path], **more: str) -> ChildProcess:
        """A process of the engine or of the handlers, counted in the group before the `-` of its name."""
        kind = name.partition("-")[0]
        command = [str(part) for part in argv]
        process = self._child(
            name,
            sampled(command, self.folder, name) if self._profile else command,
            **self._of_part.get(kind, {}),
            **more,
        )
        self.groups.setdefault(kind, []).append(process.pid)
        if self._profile:
            self.sampled[name] = process.pid
        return process

    def _start_handler(self) -> None:
        handler = self._part("handler", [sys.executable, "-m", "bench.handlers"])
        handler.wait_ready(self._has_handler, timeout=60)

    def _has_handler(self) -> bool:
        token = self.client_environment.get("WAYSTATION_TOKEN")
        metadata = [("authorization", f"Bearer {token}")] if token else []
        with contextlib.suppress(grpc.RpcError), channel_to(self.address, self._authorities) as to:
            answer = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(to).ListHandlers(
                handler_registry_service_pb2.ListHandlersRequest(), timeout=5, metadata=metadata
            )
            return bool(answer.handlers)
        return False

    def _serves(self, address: str) -> bool:
        return serves(address, authorities=self._authorities)

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
        api.wait_ready(lambda: self._serves(self.address), timeout=60)
        for router, port in zip(routers, ports, strict=True):
            router.wait_ready(lambda port=port: self._serves(f"127.0.0.1:{port}"), timeout=60)  # type: ignore[misc]
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


class Traced(System):
    """The parts, where the router sends spans to a collector: those of one workflow in a hundred."""

    def _start(self) -> None:
        port = free_port()
        self._child("collector", [sys.executable, "-m", "bench.collector", str(port)])
        self._of_part = {
            "router": {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "0.01",
            }
        }
        super()._start()


class Secured(System):
    """The same as on a network: TLS for every call, with client certificates between routers and handlers; a key for
    each caller; signed calls to handlers. Postgres and RabbitMQ are reached as before."""

    def _start(self) -> None:
        certificates = self.folder / "certificates"
        self._child(
            "certificates", [str(BINARIES / "waystation"), "tls", "dev-certs", str(certificates)]
        ).wait(60)
        signing_key = self.folder / "signing-key.pem"
        self._child(
            "signing-key", [str(BINARIES / "waystation"), "signing-key", "new", str(signing_key)]
        ).wait(60)
        authority = str(certificates / "ca.pem")
        self._authorities = Path(authority).read_bytes()
        clients, handlers = new_key(), new_key()
        keys = self.folder / "keys.json"
        keys.write_text(json.dumps({"keys": [_key("client", clients), _key("handler", handlers)]}))
        keys.chmod(0o600)

        def own(part: str) -> dict[str, str]:
            return {
                "WAYSTATION_TLS_CERT": str(certificates / f"{part}.pem"),
                "WAYSTATION_TLS_KEY": str(certificates / f"{part}-key.pem"),
            }

        self.client_environment = {"WAYSTATION_TLS_CA": authority, "WAYSTATION_TOKEN": clients}
        self._of_part = {
            "api": {**own("api"), "WAYSTATION_KEYS_FILE": str(keys)},
            "router": {
                **own("router"),
                "WAYSTATION_HANDLER_TLS_CA": authority,
                "WAYSTATION_SIGNING_KEY": str(signing_key),
            },
            "handler": {
                **own("handler"),
                "WAYSTATION_TLS_CLIENT_CA": authority,
                "WAYSTATION_TLS_CA": authority,
                "WAYSTATION_TOKEN": handlers,
                "WAYSTATION_IDENTITY_KEYS": SigningKey.read(signing_key).public,
            },
        }
        super()._start()


def _key(role: str, key: str) -> dict[str, object]:
    return {
        "name": role,
        "sha256": digest_of_key(key),
        "grants": {"default": [role, "reader"]},
        "service_names": ["bench-claims"],
    }


class Embedded(_Waystation):
    """`waystation dev`."""

    def _start(self) -> None:
        self._environment["WAYSTATION_DATA_DIR"] = str(self.folder / "data")
        dev = self._part("engine", [BINARIES / "waystation", "dev"])
        dev.wait_ready(lambda: self._serves(self.address), timeout=60)
        self._start_handler()
        self.groups["postgres"] = [child(dev.pid, "postgres")]

    def tell_connections_apart(self) -> None:
        """Its Postgres stays one group: it listens to nobody else."""


def run_load(
    options: dict[str, Any], command: list[str], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a load client found with these options and further variables. Raises RuntimeError with its complaint."""
    done = subprocess.run(
        [*command, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=options["warm_up"] + options["seconds"] + 120,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load client ended with {done.returncode}:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def load_client() -> list[str]:
    """The command of Waystation's load client, without its options."""
    return [sys.executable, "-m", "bench.load"]
