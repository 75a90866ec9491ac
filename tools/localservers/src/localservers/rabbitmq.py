"""A private RabbitMQ node: own name, ports, epmd, cookie and data; shares nothing, and leaves nothing behind."""

import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localservers.ports import free_port
from localservers.processes import ChildProcess, ProcessFailed, wait_until

_HOMES = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/rabbitmq/sbin")
_MISSING = (
    "RabbitMQ is not installed. On Debian and Ubuntu: apt-get install -y rabbitmq-server "
    "(the service that the package starts is not used and may be stopped)"
)
USER = PASSWORD = "waystation"


class RabbitMQMissing(RuntimeError):
    """There is no RabbitMQ on this machine; the message says how to get it."""


def programs() -> Path:
    """The folder with RabbitMQ's own scripts. Raises RabbitMQMissing."""
    for home in _HOMES:
        if (Path(home) / "rabbitmq-server").exists():
            return Path(home)
    found = shutil.which("rabbitmq-server")
    if found is None:
        raise RabbitMQMissing(_MISSING)
    return Path(found).parent


class RabbitMQServer:
    """One running node with its management page. Use as a context manager, or call `stop`.

    Login `waystation` / `waystation` on 127.0.0.1 only.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        port: int | None = None,
        management_port: int | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """Starts it and returns when AMQP and the management page answer (5 to 10 seconds).

        `folder` keeps the data between runs; None is a temporary one that `stop` removes. `tls`, a
        certificate and its key, makes it listen on `tls_port` too.
        Raises RabbitMQMissing, ProcessFailed.
        """
        self._programs = programs()
        self._keep = folder is not None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="waystation-rabbitmq-"))).resolve()
        self.port = port or free_port()
        self.management_port = management_port or free_port()
        self.tls_port = free_port() if tls is not None else 0
        self._tls = tls
        self._epmd_port = free_port()
        self._vhosts = itertools.count(1)
        self._node = f"waystation{self.port}@localhost"
        self._epmd: ChildProcess | None = None
        self._process: ChildProcess | None = None
        self._env = self._environment(distribution_port=free_port())
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def amqp_url(self) -> str:
        """`amqp://` address with login, for pika and the servers' settings."""
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/"

    @property
    def management_url(self) -> str:
        """Address of the management page and its HTTP API, without login."""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def login(self) -> tuple[str, str]:
        """User and password of the management page."""
        return USER, PASSWORD

    @property
    def pid(self) -> int:
        """The node's process id. Raises RuntimeError while it is stopped."""
        if self._process is None:
            raise RuntimeError("this RabbitMQ node is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file that the node's messages go to."""
        return self.folder / "rabbitmq.log"

    def start(self) -> None:
        """Starts it again after `stop_server` or `kill`, on the same ports."""
        if self._process is not None and self._process.running:
            return
        self._write_configuration()
        if self._epmd is None or not self._epmd.running:
            self._epmd = ChildProcess(
                [_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                name="epmd",
                log=self.folder / "epmd.log",
            )
        self._process = ChildProcess(
            [self._programs / "rabbitmq-server"],
            name="rabbitmq",
            log=self.log,
            env=self._env,
            cwd=self.folder,
        )
        self._process.wait_ready(self._speaks_amqp, timeout=90, what="it to speak AMQP")
        self._process.wait_ready(self._shows_page, timeout=60, what="its management page")

    def restart(self, *, wipe: bool = False) -> None:
        """Stops and starts it; with `wipe` as a new node: queues, messages, all gone."""
        if wipe:
            # An orderly end takes seconds and would only tidy up what is removed next.
            self.kill()
            self.wipe()
        else:
            self.stop_server()
        self.start()

    def stop_server(self) -> None:
        """Stops the node in good order and keeps its data."""
        if self._process is not None:
            self._process.stop(timeout=40)
            self._process = None

    def kill(self) -> None:
        """SIGKILL; the data stays as it happened to be, for `start` to recover."""
        if self._process is not None:
            self._process.kill()
            self._process = None
            # epmd frees the node's name only once it has seen the connection break.
            wait_until(
                lambda: self._node.split("@")[0] not in self._registered(),
                timeout=10,
                what="epmd to forget the killed node",
            )

    def wipe(self) -> None:
        """Removes everything that the stopped node remembers."""
        if self._process is not None:
            raise RuntimeError("stop the node before its data is taken away")
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def stop(self) -> None:
        """Ends it and removes its data, unless the folder was given. Safe to call twice."""
        if self._process is not None:
            if self._keep:
                self._process.stop(timeout=40)
            else:
                self._process.kill()
        if self._epmd is not None:
            self._epmd.stop()
        self._process = self._epmd = None
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def ctl(self, *args: str) -> str:
        """What `rabbitmqctl args` prints, without headings (`--quiet`).

        Raises ProcessFailed with its complaint. Takes about a second.
        """
        done = subprocess.run(
            [self._programs / "rabbitmqctl", "-n", self._node, "--quiet", *args],
            env={**os.environ, **self._env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise ProcessFailed(f"rabbitmqctl {' '.join(args)}: {done.stderr}{done.stdout}")
        return done.stdout

    def api(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """The management API's answer as JSON; None where it is empty.

        `path` follows `/api/`, e.g. `queues/%2F/waystation.router.default`. Raises
        urllib.error.HTTPError.
        """
        request = urllib.request.Request(
            f"{self.management_url}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def fresh_vhost(self) -> str:
        """The `amqp://` address of a new virtual host: its names collide with nobody else's."""
        name = f"vhost-{next(self._vhosts)}-{os.urandom(3).hex()}"
        self.api(f"vhosts/{name}", method="PUT")
        permissions = {"configure": ".*", "write": ".*", "read": ".*"}
        self.api(f"permissions/{name}/{USER}", method="PUT", body=permissions)
        return f"{self.amqp_url}{name}"

    def drop_vhost(self, amqp_url: str) -> None:
        """Removes a virtual host of `fresh_vhost` with all in it and closes its connections."""
        self.api(f"vhosts/{amqp_url.rsplit('/', 1)[1]}", method="DELETE")

    def _environment(self, *, distribution_port: int) -> dict[str, str]:
        data = self.folder / "data"
        return {
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(data),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            # Named so that the machine's own files under /etc are not read.
            "RABBITMQ_CONFIG_FILES": str(self.folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            # Two schedulers that sleep when there is nothing to do leave the cores to the rest.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def _write_configuration(self) -> None:
        for name in ("data", "log", "conf.d", "generated"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(os.urandom(16).hex())
            cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq-env.conf").write_text("")
        (self.folder / "advanced.config").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"default_user = {USER}\n"
            f"default_pass = {PASSWORD}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.management_port}\n"
            "collect_statistics_interval = 1000\n"
            "management.rates_mode = none\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.console.level = info\n" + self._tls_listener()
        )

    def _tls_listener(self) -> str:
        if self._tls is None:
            return ""
        certificate, key = self._tls
        return (
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.certfile = {certificate}\n"
            f"ssl_options.keyfile = {key}\n"
            "ssl_options.verify = verify_none\n"
        )

    def _speaks_amqp(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                # A method frame (type 1): the server's Connection.Start.
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _shows_page(self) -> bool:
        try:
            self.api("overview")
        except (urllib.error.URLError, OSError, ValueError):
            return False
        return True

    def _registered(self) -> str:
        done = subprocess.run(
            [_epmd(), "-port", str(self._epmd_port), "-names"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout


def _epmd() -> str:
    """Erlang's port mapper: in the PATH, else inside the Erlang installation."""
    found = shutil.which("epmd")
    if found is not None:
        return found
    for candidate in sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")):
        return str(candidate)
    raise RabbitMQMissing(_MISSING)
