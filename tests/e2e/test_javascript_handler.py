"""A handler in another language: the .proto files alone, HandleEvent only, registered statically."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from localservers.ports import accepts_connections, free_port
from localservers.processes import ChildProcess
from waystation.v1 import (
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    handler_pb2,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
)
from waystation_worker import Client

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "handler_javascript"
BINARIES = Path(sys.executable).parent
TASK = handler_pb2.TaskSpec(
    task_id="fraud_scoring", event_types=["workflow.started"], workflow_types=["js_demo"]
)


@pytest.fixture(scope="module")
def node() -> str:
    """The node program, with the example's two packages installed beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("this test runs a JavaScript handler: apt-get install nodejs npm")
    if not (EXAMPLE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        subprocess.run(
            [npm, "install", "--no-package-lock", "--no-audit", "--no-fund"],
            cwd=EXAMPLE,
            check=True,
            timeout=240,
        )
    return node


class Handler:
    """The JavaScript handler's process, which can die and come back on its port."""

    def __init__(self, node: str, folder: Path) -> None:
        self.port = free_port()
        self._node = node
        self._folder = folder
        self._process: ChildProcess | None = None
        self._lives = 0

    def start(self, slow_ms: int = 0) -> ChildProcess:
        self._lives += 1
        self._process = ChildProcess(
            [self._node, EXAMPLE / "index.js"],
            name="javascript handler",
            log=self._folder / f"handler-{self._lives}.log",
            env={"PORT": str(self.port), "SLOW_MS": str(slow_ms)},
        )
        self._process.wait_for_output("^listening")
        return self._process

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


@pytest.fixture
def handler(node: str, tmp_path: Path) -> Iterator[Handler]:
    handler = Handler(node, tmp_path)
    yield handler
    handler.stop()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Waystation of this module's own, embedded."""
    folder, port = tmp_path_factory.mktemp("waystation"), free_port()
    with ChildProcess(
        [BINARIES / "waystation", "dev", "--port", str(port), "--data-dir", folder / "data"],
        name="waystation dev",
        log=folder / "waystation.log",
    ) as engine:
        engine.wait_ready(lambda: accepts_connections(port), timeout=60)
        yield f"127.0.0.1:{port}"


async def register(address: str, port: int) -> None:
    """Registers the handler once for all, as an operator does."""
    async with grpc.aio.insecure_channel(address) as channel:
        await handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel).RegisterHandler(
            handler_registry_service_pb2.RegisterHandlerRequest(
                service_name="js-fraud",
                host="127.0.0.1",
                port=port,
                kind=handler_pb2.REGISTRATION_KIND_STATIC,
                tasks=[TASK],
            ),
            timeout=10,
        )


def test_handle_event_can_be_called_by_hand_with_grpcurl(handler: Handler) -> None:
    handler.start()

    def call(request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        service = "waystation.v1.TaskHandlerService/HandleEvent"
        contract = [
            "-import-path",
            ROOT / "proto",
            "-proto",
            "waystation/v1/task_handler_service.proto",
        ]
        target = f"127.0.0.1:{handler.port}"
        return subprocess.run(
            [
                BINARIES / "grpcurl",
                "-plaintext",
                *contract,
                "-d",
                json.dumps(request),
                target,
                service,
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    data = {"amount": 7000, "country": "XX", "seen": [1, None, {"deep": True}]}
    called = call({"task_id": "fraud_scoring", "attempt": 1, "context": {"data": data}})
    assert called.returncode == 0, called.stderr
    answer = json.loads(called.stdout)
    assert answer["result"]["complete"]["output"] == {
        "score": 100,
        "suspicious": True,
        "attempt": 1,
    }
    assert call({"task_id": "somebody_elses"}).stderr.splitlines()[1].endswith("Unimplemented")


async def test_it_completes_workflows_and_dead_letters_what_it_rejects(
    handler: Handler, address: str
) -> None:
    handler.start()
    await register(address, handler.port)
    async with Client(address) as client:
        done = await client.run("js_demo", {"amount": 1250.5, "country": "FR"}, timeout=30)
        assert (done.status, done.outcome) == ("COMPLETED", "DONE")
        assert done.output == {"score": 13, "suspicious": False, "attempt": 1}
        assert done.data["fraud"] == done.output
        failed = await client.run("js_demo", {"amount": "a lot"}, timeout=30)
        assert failed.status == "FAILED"
        assert failed.failure is not None
        assert failed.failure.reason == "AMOUNT_MISSING"
    async with grpc.aio.insecure_channel(address) as channel:
        request = dead_letter_service_pb2.ListDeadLettersRequest()
        request.filter.workflow_instance_ids.append(failed.id)
        stub = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
        (letter,) = (await stub.ListDeadLetters(request, timeout=10)).dead_letters
    assert (letter.task_id, letter.attempts) == ("fraud_scoring", 1)
    assert letter.error.permanent


async def test_killed_in_mid_call_it_is_called_again_when_it_is_back(
    handler: Handler, address: str
) -> None:
    slow = handler.start(slow_ms=600_000)
    await register(address, handler.port)
    async with Client(address) as client:
        started = await client.start("js_demo", {"amount": 100, "country": "FR"})
        first = slow.wait_for_output(r"^call key=(\S+)")
        slow.kill()
        again = handler.start()
        done = await client.wait(started.id, timeout=60)
        assert done.status == "COMPLETED"
        second = again.wait_for_output(r"^call key=(\S+)")
        assert second[1] == first[1]
        # The death of a process is not the fault of what it was called with: no attempt is spent.
        assert done.data["fraud"]["attempt"] == 1
        history = [entry async for entry in client.history(started.id)]
        assert [entry.action or entry.processed_by for entry in history].count("fraud_scoring") == 1
