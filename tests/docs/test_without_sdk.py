"""The least that works without SDK, as docs/without-sdk has it, in Python and called as a router would."""

import re
import subprocess
import sys
from pathlib import Path

import grpc

from localservers.ports import accepts_connections, free_port
from localservers.processes import ChildProcess
from waystation.v1 import task_handler_service_pb2, task_handler_service_pb2_grpc

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "without-sdk" / "README.md"


def test_the_least_handler_answers(tmp_path: Path) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    port = free_port()
    program = tmp_path / "greet.py"
    program.write_text(source.replace("7510", str(port)))
    (typed,) = re.findall(r"^(grpcurl .*?)```$", PAGE.read_text(), re.M | re.S)
    with ChildProcess(
        [sys.executable, program], name="greet.py", log=tmp_path / "greet.log"
    ) as process:
        process.wait_ready(lambda: accepts_connections(port))
        done = subprocess.run(
            ["bash", "-c", typed.replace("7510", str(port))],
            cwd=ROOT,
            env={"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert '"greeting": "Hello, Ada"' in done.stdout, done.stderr
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)
            request = task_handler_service_pb2.HandleEventRequest(task_id="greet")
            assert stub.HandleEvent(request, timeout=10).failure.reason == "NAME_MISSING"
