"""Restate: its server, and the handlers in a process of their own, on the same machine."""

import json
import subprocess
import urllib.error
import urllib.request
import venv
from pathlib import Path

from bench.system import ROOT
from localservers.ports import free_port
from localservers.processes import ChildProcess
from localservers.together import Together

SERVER = "@restatedev/restate-server@1.7.12"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"


def install(folder: Path) -> None:
    """Makes the peer's environment, once: a Python environment, and the server from npm."""
    python = folder / "venv" / "bin" / "python"
    wanted = REQUIREMENTS.read_text(encoding="utf-8") + SERVER
    done = folder / "installed"
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    venv.create(folder / "venv", with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", folder, SERVER], check=True)
    done.write_text(wanted, encoding="utf-8")


class Restate(Together):
    """One running server with its handlers. Its defaults, which sync every write to the disk."""

    def __init__(self, environment: Path, folder: Path) -> None:
        super().__init__()
        self._bin = environment / "venv" / "bin"
        [self._server] = environment.glob("node_modules/@restatedev/restate-server-linux-*/bin/*")
        self._folder = folder
        self.ingress = f"127.0.0.1:{free_port()}"
        self._admin = f"127.0.0.1:{free_port()}"
        self.groups: dict[str, list[int]] = {}

    def _start(self) -> None:
        settings = {
            "RESTATE_BASE_DIR": str(self._folder / "restate-data"),
            "RESTATE_NODE_NAME": "bench",
            "RESTATE_CLUSTER_NAME": "bench",
            "RESTATE_INGRESS__BIND_ADDRESS": self.ingress,
            "RESTATE_ADMIN__BIND_ADDRESS": self._admin,
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_DISABLE_TELEMETRY": "true",
        }
        server = self._child("restate", [self._server, "--no-logo"], settings)
        port = free_port()
        handler = self._child(
            "restate-handler",
            [
                *(self._bin / "granian", "--interface", "asginl", "--http", "2"),
                *("--loop", "uvloop", "--port", str(port), "bench.peers.restate_handlers:app"),
            ],
            {"PYTHONPATH": str(ROOT)},
        )
        server.wait_ready(lambda: self._registered(port), timeout=60)
        self.groups = {"restate": [server.pid], "handler": [handler.pid]}

    def load_client(self) -> list[str]:
        """The command of its load client, without options."""
        return [str(self._bin / "python"), "-m", "bench.peers.restate_load"]

    def _registered(self, port: int) -> bool:
        request = urllib.request.Request(
            f"http://{self._admin}/deployments",
            data=json.dumps({"uri": f"http://127.0.0.1:{port}"}).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status in (200, 201)
        except urllib.error.URLError:
            return False

    def _child(self, name: str, argv: list[str | Path], settings: dict[str, str]) -> ChildProcess:
        process = ChildProcess(argv, name=name, log=self._folder / f"{name}.log", env=settings)
        return self._exits.enter_context(process)
