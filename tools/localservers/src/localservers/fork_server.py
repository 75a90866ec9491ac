"""Programs in Python that start in a few milliseconds: forked from a process that has imported everything.

    server = ForkServer(["waystation_router.main"])
    process = server.start(["bin/waystation-router"], environment, cwd, output)

For tests, which start the same programs again and again: most of what such a start costs is imports. A
forked process is a process as any other: its own id and session, memory, environment, threads, gRPC; it is
killed like any other, and ends as an interpreter ends. What differs from a fresh interpreter:

- What was imported for it is there before its program begins, also what the program forgot to import.
- Variables that count while an interpreter starts (`PYTHON...`, those that an imported module has read) are
  those of the fork server. Another value of one is refused with ValueError.
- One seed for the hashes of texts for all of them; umask, limits, flags as the fork server got them.
- The garbage collector leaves alone what was imported, and pages of memory are shared until they are
  written to. So memory and speed must not be measured this way.
- A traceback begins with some lines of the fork server; `ps` shows its command line.

A fork copies one thread only, and gRPC does not survive it. So nothing is ever forked from the process
that asks, but from a program of its own (`fork_server_main`), which does nothing but import.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("fork_server_main.py")
_HEAD_BYTES = 1024

_open: "weakref.WeakSet[ForkServer]" = weakref.WeakSet()


class ForkServerEnded(RuntimeError):
    """The fork server has ended. The exit codes of its processes are not known any more."""


class ForkServer:
    """The process that others are forked from. Any thread may use it; it ends with this process."""

    def __init__(self, modules: Sequence[str], *, path: Sequence[Path] = ()) -> None:
        """Returns when the modules are imported; `path` are further folders to import from.

        Raises ForkServerEnded with its traceback where that fails.
        """
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until it ends
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, PROGRAM, str(theirs.fileno()), *map(str, path), "--", *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        if not self._control.recv(16):
            ended = self._ended()
            self.close()
            raise ended
        _open.add(self)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        output: IO[bytes],
    ) -> "Forked":
        """Starts a program in a session of its own, with nothing to read. It is one of this interpreter's:
        `python -m module`, `python file`, or a command that is installed beside `python`.

        Raises ValueError for any other, and for an environment that a fresh interpreter is needed for.
        """
        order = {**_program(argv, cwd), "environment": dict(environment)}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            folder = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY)
            try:
                socket.send_fds(
                    self._control,
                    [json.dumps(order).encode()],
                    [theirs.fileno(), folder, output.fileno()],
                )
            except (BrokenPipeError, ConnectionResetError):
                raise self._ended() from None
            finally:
                os.close(folder)
            theirs.close()
            said: dict[str, Any] = json.loads(ours.recv(4096) or "{}")
            if "refused" in said:
                raise ValueError(
                    f"{said['refused']} counts while an interpreter starts, and the fork server's is another"
                )
            if "ended" in said:
                raise RuntimeError(f"{argv[0]} ended with {said['ended']} before it began")
            if "pid" not in said:
                raise self._ended()
            return Forked(said["pid"], ours.detach())

    def close(self) -> None:
        """Ends it. Its processes go on; how they end is not known then."""
        _open.discard(self)
        self._control.close()
        self._process.wait()
        self._errors.close()

    def _ended(self) -> ForkServerEnded:
        self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        return ForkServerEnded(f"the fork server ended with {self._process.returncode}: {errors}")


class Forked:
    """A forked process, with what `subprocess.Popen` has."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._lock = threading.Lock()
        # Not closed before: another thread may be waiting. And not at exit, when its end is still asked for.
        weakref.finalize(self, os.close, told).atexit = False

    def poll(self) -> int | None:
        """Its exit code; negative is the signal that ended it; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._look(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal; one that has ended gets nothing."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Sends it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        looking = select.poll()
        looking.register(self._told, select.POLLIN)
        if self.returncode is None and looking.poll(None if timeout is None else timeout * 1000):
            with self._lock:
                if self.returncode is None:
                    said = os.read(self._told, 4096)
                    if not said:
                        raise ForkServerEnded(f"how process {self.pid} ended is not known")
                    self.returncode = json.loads(said)["ended"]
        return self.returncode


def _program(argv: Sequence[str | Path], cwd: Path) -> dict[str, Any]:
    """What to run, and the folder that it imports from first."""
    words = [str(word) for word in argv]
    if words[0] == sys.executable:
        del words[0]
        if words[:1] == ["-m"] and len(words) > 1:
            return {
                "module": True,
                "program": words[1],
                "arguments": words[2:],
                "path": str(cwd.resolve()),
            }
    elif not _installed(Path(words[0])):
        raise ValueError(f"{words[0]} is no program of this interpreter")
    if not words or words[0].startswith("-"):
        raise ValueError(f"a fork server knows no option of Python but -m: {argv}")
    folder = (cwd / words[0]).resolve().parent
    return {"module": False, "program": words[0], "arguments": words[1:], "path": str(folder)}


def _installed(command: Path) -> bool:
    """Whether it is a command in Python that was installed with this interpreter."""
    binaries = Path(sys.executable).parent
    if command.parent != binaries:
        return False
    with command.open("rb") as file:
        return str(binaries).encode() in file.read(_HEAD_BYTES)


@atexit.register
def _close_all() -> None:
    # Registered before what ends the processes, so it comes after that.
    for server in list(_open):
        server.close()
