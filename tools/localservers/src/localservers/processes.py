"""Child processes that are waited for, read, ended and killed by their id, never by name."""

import atexit
import contextlib
import os
import re
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from localservers import ends_with_parent
from localservers.fork_server import Forked, ForkServer

_alive: "weakref.WeakSet[ChildProcess]" = weakref.WeakSet()


class ProcessFailed(RuntimeError):
    """A child ended or stayed silent where it should have been ready; the message ends with its log."""


def wait_until(
    condition: Callable[[], bool], *, timeout: float, what: str, interval: float = 0.05
) -> None:
    """Returns once `condition` holds; asks again every `interval` seconds.

    Raises TimeoutError, naming `what`, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)


class ChildProcess:
    """A running child with its output in a file.

    It leads a session of its own, so that `kill` takes its children too and a Ctrl-C in the
    terminal does not end it before whoever started it does. What is still running when this
    interpreter ends is ended then, and also where that was killed (`ends_with_parent`).
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        fork_server: ForkServer | None = None,
    ) -> None:
        """Starts it. `env` is added to this process's environment; `user` needs root.

        With a fork server it is forked there, which is quicker; `localservers.fork_server` says what
        differs.
        """
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        command, environment = as_user(user, argv), {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | Forked
        with log.open("ab") as output:
            if fork_server is None:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=cwd,
                    start_new_session=True,
                )
            else:
                self._process = fork_server.start(
                    command, environment=environment, cwd=cwd or Path.cwd(), output=output
                )
        ends_with_parent.minded(self.pid, stop_signal)
        _alive.add(self)

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
    def pid(self) -> int:
        """Its process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; negative is the signal that ended it; None while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.returncode is None

    def output(self) -> str:
        """Everything that this child has written so far, without colours."""
        with self.log.open("rb") as source:
            source.seek(self._log_start)
            text = source.read().decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def wait_for_output(self, pattern: str, *, timeout: float = 30) -> re.Match[str]:
        """The first match of a regular expression in its output.

        Raises ProcessFailed when it ends without one or `timeout` seconds pass.
        """
        found: re.Match[str] | None = None

        def seen() -> bool:
            nonlocal found
            found = re.search(pattern, self.output(), re.MULTILINE)
            return found is not None

        self.wait_ready(seen, timeout=timeout, what=f"/{pattern}/ in its output")
        assert found is not None
        return found

    def wait_ready(
        self, condition: Callable[[], bool], *, timeout: float = 30, what: str = "it to be ready"
    ) -> None:
        """Returns once `condition` holds.

        Raises ProcessFailed with the end of the log when the child ends first or time runs out.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = not self.running
            if condition():
                return
            if ended:
                raise ProcessFailed(self._report(f"ended with {self.returncode} before {what}"))
            if time.monotonic() > deadline:
                raise ProcessFailed(self._report(f"waited {timeout:g} s for {what}"))
            time.sleep(0.05)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code, once it has ended by itself. Raises ProcessFailed after `timeout` s."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(self._report(f"still running after {timeout:g} s")) from None

    def send(self, what: signal.Signals) -> None:
        """Sends the process itself a signal; one that has ended gets nothing."""
        self._process.send_signal(what)

    def stop(self, timeout: float = 20) -> int:
        """Asks it to end, kills it after `timeout` seconds; its exit code. Safe to call twice."""
        if self.running:
            self.send(self._stop_signal)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()
        self._ended()
        return code

    def kill(self) -> int:
        """SIGKILL for it and its whole process group, as a power cut would; its exit code."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        code = self._process.wait(10)
        self._ended()
        # Its children end a little later; ports and files are free only after that.
        wait_until(lambda: not _group_alive(self.pid), timeout=10, what=f"the end of {self.name}")
        return code

    def _ended(self) -> None:
        _alive.discard(self)
        ends_with_parent.forgotten(self.pid)

    def _report(self, problem: str) -> str:
        tail = "\n".join(self.output().splitlines()[-40:])
        return f"{self.name} (pid {self.pid}): {problem}. The end of {self.log}:\n{tail}"


def _group_alive(group: int) -> bool:
    """Whether any member still runs; one that merely waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Every thread is asked: the first one's end may show while others still hold a port.
    for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return not Path("/proc/self/stat").exists()


def as_user(user: str | None, argv: Sequence[str | Path]) -> list[str]:
    """The command line that runs `argv` as another user, which needs root; None: as this one.

    By a program, not by `subprocess` with `user=`: that makes Python fork, and a fork of a process
    with gRPC threads crashes before it becomes the program (seen: four of ten).
    """
    command = [str(part) for part in argv]
    if user is None:
        return command
    return ["setpriv", "--reuid", user, "--regid", _primary_group(user), "--clear-groups", *command]


def _primary_group(user: str) -> str:
    import pwd  # POSIX only, like everything that runs as another user

    return str(pwd.getpwnam(user).pw_gid)


@atexit.register
def _end_everything() -> None:
    for child in list(_alive):
        if child.running:
            child.stop(timeout=5)
    ends_with_parent.closed()
