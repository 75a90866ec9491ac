"""Secrets and payloads stay where they belong.

A whole system is given secrets that are easy to find, runs some workflows and many errors, and then everything that
it wrote or says is searched: logs, errors, messages of RabbitMQ, the audit log, process lists, what commands show, and
all rows of the database. Payloads belong to the rows of workflows, events, history and dead letters, to calls and to
their answers, and to no other place.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pika
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.broker_rights import as_role
from support.databases import APP, as_app
from support.system import BINARIES, ROOT, Parts
from support.waiting import eventually

from localservers.ports import free_port
from localservers.processes import ChildProcess
from localservers.rabbitmq import RabbitMQServer
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_worker import Client, TaskResult, WaystationError

SCRIPT = ROOT / "tests" / "e2e" / "services" / "discreet.py"
PAYLOAD = "canary-payload"
PASSWORDS = {"database password": "canary-of-postgres", "broker password": "canary-of-rabbitmq"}

PLACES_OF_PAYLOADS = {
    ("workflow_instances", "data"),
    ("events", "payload"),
    ("history", "change"),
}
"""Columns of the database that have what these clients sent."""


@dataclass
class Run:
    """A system with what it was given and what it said."""

    system: Parts
    admin: str
    secrets: dict[str, str]
    """By what each is."""
    said: dict[str, str] = field(default_factory=dict)
    """What was found where, besides the database."""

    async def refused(self, name: str, call: Any) -> None:
        """Keeps the whole of a refusal."""
        with pytest.raises((WaystationError, grpc.aio.AioRpcError)) as caught:
            await call
        error = caught.value
        trailing = error.trailing_metadata() if isinstance(error, grpc.aio.AioRpcError) else ()
        self.said[f"error of {name}"] = f"{error!r} {error} {vars(error)} {trailing}"

    def keep_logs(self, folder: Path) -> None:
        """Keeps what its processes logged."""
        for log in sorted(folder.glob("*.log")):
            self.said[f"log {log.name}"] = log.read_text()

    def command(self, *words: str) -> None:
        """Keeps what a command of the command line says."""
        done = subprocess.run(
            [BINARIES / "waystation", *words, "--address", self.system.address],
            env={**os.environ, "WAYSTATION_TOKEN": self.admin},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode in (0, 7), (words, done.stderr)
        self.said[f"waystation {words[0]}"] = done.stdout + done.stderr


@pytest.fixture
def run(
    database_url: str, rabbitmq: RabbitMQServer, amqp_url: str, tmp_path: Path
) -> Iterator[Run]:
    admin, signing = new_key(), Ed25519PrivateKey.generate()
    pem = signing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    keys, signs = tmp_path / "keys.json", tmp_path / "signing.pem"
    grants = {"*": ["admin", "operator", "client", "handler"]}
    row = {
        "name": "ops",
        "sha256": digest_of_key(admin),
        "grants": grants,
        "service_names": ["discreet"],
    }
    keys.write_text(json.dumps({"keys": [row]}))
    signs.write_text(pem)
    for file in (keys, signs):
        file.chmod(0o600)
    urls = {role: _with_password(rabbitmq, amqp_url, role) for role in ("api", "router")}
    system = Parts(
        tmp_path,
        database_url=as_app(database_url).replace(
            f"//{APP}@", f"//{APP}:{PASSWORDS['database password']}@"
        ),
        amqp_url=urls["router"],
        api_amqp_url=urls["api"],
        routers=1,
        environment={
            "WAYSTATION_KEYS_FILE": str(keys),
            "WAYSTATION_SIGNING_KEY": str(signs),
            "WAYSTATION_LOG_LEVEL": "debug",
        },
    )
    secrets = {**PASSWORDS, "preshared key": admin, "signing key": pem.splitlines()[1]}
    with system:
        yield Run(system, admin, secrets)


def _with_password(server: RabbitMQServer, amqp_url: str, role: str) -> str:
    url = as_role(server, amqp_url, role)
    user = f"waystation_{role}"
    password = PASSWORDS["broker password"]
    server.api(f"users/{user}", method="PUT", body={"password": password, "tags": ""})
    return f"amqp://{user}:{password}@{url.partition('@')[2]}"


async def test_nothing_is_where_it_does_not_belong(
    run: Run, database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    tap = _Tap(amqp_url)
    async with Client(run.system.address, token=run.admin) as client:
        handler = _handler(run, tmp_path)
        token = await client.tokens.create("deploy", {"default": ["CLIENT"]})
        run.secrets["API token"] = token.secret
        await _work(run, client, tmp_path)
        await _errors(run, client)
        _bad_starts(run)
        for words in (
            ("status", "--json"),
            ("explain", "refused-1"),
            ("list",),
            ("handlers", "list", "--json"),
            ("tokens", "list", "--json"),
            ("audit", "--all", "--json"),
            ("lint",),
        ):
            run.command(*words)
        processes = [*run.system.engine, *run.system.handlers, handler]
        _process_list(run, processes)
    run.said["messages of RabbitMQ"] = tap.close()
    for process in processes:
        process.stop(30)
    run.keep_logs(tmp_path)
    _nowhere(run.said, {**run.secrets, "payload": PAYLOAD})
    _database(database_url, run.secrets)


def _handler(run: Run, folder: Path) -> ChildProcess:
    token = folder / "handler.token"
    token.write_text(run.admin)
    token.chmod(0o600)
    process = ChildProcess(
        [BINARIES / "python", SCRIPT],
        name="handler",
        log=folder / "handler.log",
        env={
            "WAYSTATION_ADDRESS": run.system.address,
            "WAYSTATION_HANDLER_PORT": "0",
            "WAYSTATION_TOKEN_FILE": str(token),
        },
    )
    process.wait_for_output("registered", timeout=60)
    return process


async def _work(run: Run, client: Client, folder: Path) -> None:
    """Workflows with payloads in every place, in which a dead letter is left."""
    file = folder / "completion.token"
    await client.start("refused", {"card": PAYLOAD}, workflow_instance_id="refused-1")
    await client.start(
        "later", {"file": str(file), "card": PAYLOAD}, workflow_instance_id="later-1"
    )
    asks = await client.run("asks", {"card": PAYLOAD}, workflow_instance_id="asks-1")
    assert asks.outcome == "WAITING_FOR_INPUT"
    await client.publish("asks-1", "card.seen", {"card": PAYLOAD})
    await client.provide_input("asks-1", {"card": PAYLOAD})
    assert (await client.wait("asks-1", timeout=30)).status == "COMPLETED"
    assert (await client.wait("refused-1", timeout=30)).status == "FAILED"
    run.secrets["completion token"] = (await eventually(_read(file))).strip()
    done = TaskResult()
    done.set("/card", PAYLOAD)
    await client.complete_delivery(run.secrets["completion token"], done)


def _read(file: Path) -> Any:
    def read() -> str:
        return file.read_text() if file.exists() else ""

    return lambda: asyncio.to_thread(read)


async def _errors(run: Run, client: Client) -> None:
    """Refusals, each with secrets or payloads in what was sent."""
    card = {"card": PAYLOAD}
    refused = {
        "no credential": Client(run.system.address, retry_for=0).get("asks-1"),
        "an ended workflow": client.publish("asks-1", "card.seen", card),
        "no wait": client.provide_input("asks-1", card),
        "a used completion token": client.fail_delivery(
            run.secrets["completion token"], "NO", PAYLOAD
        ),
        "another start": client.start("asks", {"card": [PAYLOAD]}, workflow_instance_id="asks-1"),
        "a reserved type": client.publish("later-1", "workflow.completed", card),
        "a token that exists": client.tokens.create("deploy", {"default": ["CLIENT"]}),
    }
    for name, call in refused.items():
        await run.refused(name, call)
    async with grpc.aio.insecure_channel(run.system.address) as channel:
        stub: Any = WorkflowServiceStub(channel)
        for name, credential in (
            ("a wrong key", run.admin[:-4] + "AAAA"),
            ("no key at all", f"{run.secrets['API token']} {run.admin}"),
        ):
            metadata = (("authorization", f"Bearer {credential}"),)
            request = pb.CancelWorkflowRequest(workflow_instance_id="asks-1", reason=PAYLOAD)
            await run.refused(name, stub.CancelWorkflow(request, metadata=metadata))


def _bad_starts(run: Run) -> None:
    """Servers with settings that are wrong, or that lead nowhere."""
    database, broker = (PASSWORDS[each] for each in ("database password", "broker password"))
    for settings in (
        {"WAYSTATION_DATABASE_URL": f"postgres//somebody:{database}@127.0.0.1/x"},
        {"WAYSTATION_BROKER_URL": f"amqp:/somebody:{broker}@127.0.0.1"},
        {"WAYSTATION_DATABSE_URL": database},
        {"WAYSTATION_KEYS_FILE": f"/nowhere/{free_port()}"},
    ):
        process, _ = run.system.spawn_api(**settings)
        assert process.wait(30) == 78
        run.system.engine.remove(process)
    waits, _ = run.system.spawn_api(
        WAYSTATION_DATABASE_URL=f"postgresql://somebody:{database}@127.0.0.1:{free_port()}/x",
        WAYSTATION_BROKER_URL=f"amqp://somebody:{broker}@127.0.0.1:{free_port()}/x",
    )
    waits.wait_for_output("waiting", timeout=30)


def _process_list(run: Run, processes: list[ChildProcess]) -> None:
    for process in processes:
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        title = Path(f"/proc/{process.pid}/comm").read_text()
        run.said[f"process {process.name} {process.pid}"] = line + title


class _Tap:
    """A queue that gets every message: events, notices and copies of dead letters."""

    def __init__(self, amqp_url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        self._channel = self._connection.channel()
        self._channel.queue_declare("tap")
        # Not `events`: what is bound there takes its messages from the default pool.
        for exchange in ("unrouted", "notices", "dead-letters"):
            self._channel.queue_bind("tap", f"waystation.{exchange}", "#")

    def close(self) -> str:
        """All that came, with its properties."""
        found: list[str] = []
        while True:
            method, properties, body = self._channel.basic_get("tap", auto_ack=True)
            if method is None:
                break
            found.append(f"{method} {properties} {body!r}")
        self._connection.close()
        assert found
        return "\n".join(found)


def _nowhere(said: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    assert all(secrets.values())
    # What is searched has something in it.
    about = {place for place, text in said.items() if "refused-1" in text}
    assert about >= {"waystation explain", "waystation list", "log 02-router.log"}
    found = [
        (secret, place, _around(text, value))
        for place, text in said.items()
        for secret, value in secrets.items()
        if value in text
    ]
    assert found == []


def _around(text: str, value: str) -> str:
    at = text.index(value)
    return text[max(0, at - 100) : at + 100]


def _database(database_url: str, secrets: Mapping[str, str]) -> None:
    """No secret stands in any row, and payloads only where they belong."""
    found: set[tuple[str, str, str]] = set()
    with psycopg.connect(database_url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public'"
        ).fetchall()
        for table, column in columns:
            rows = connection.execute(f'SELECT "{column}"::text FROM public."{table}"').fetchall()
            text = "\n".join(value for (value,) in rows if value is not None)
            found |= {(name, table, column) for name, value in secrets.items() if value in text}
            if PAYLOAD in text:
                found.add(("payload", table, column))
    payloads = {(table, column) for name, table, column in found if name == "payload"}
    assert payloads == PLACES_OF_PAYLOADS
    assert {one for one in found if one[0] != "payload"} == set()
