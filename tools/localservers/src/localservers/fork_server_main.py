"""The program of a fork server: imports what it is told to, then forks a process for each order.

Not for import: `localservers.fork_server` starts it and says what a forked process has in common with a
fresh one. It makes no thread, opens no connection and reads no setting; what it imports must not either.
Then nothing that it has done can be wrong in a fork.

A process runs at the top of this file, where the interpreter of a fresh one would: it ends as every
interpreter ends, with its atexit functions, its exit code and its traceback.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys

# It copies all variables when it is imported, for programs that run under CGI: none of these do, and noted, they
# would all count.
import wsgiref.handlers  # noqa: F401
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

LARGEST_ORDER = 1 << 20
READ_WHEN_AN_INTERPRETER_STARTS = ("PYTHON", "GRPC_", "LC_", "LANG", "LD_", "MALLOC_", "TZ")
"""Prefixes of variables that Python, or a library in C, reads before or while it is imported."""


class _Environ(type(os.environ)):  # type: ignore[misc]
    """Notes which variables are asked for."""

    def __init__(self, real: Any) -> None:
        self.__dict__.update(vars(real))
        self.asked = set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        value: str = super().__getitem__(name)
        return value

    def __iter__(self) -> Iterator[str]:
        self.asked.update(super().__iter__())
        return iter(list(super().__iter__()))


@dataclass
class Template:
    """The process that all others are forked from."""

    control: socket.socket
    variables_read: set[str] = field(default_factory=set)
    """Variables that the imported modules have read: all forks have their values."""
    running: dict[int, int] = field(default_factory=dict)
    """Processes, and the descriptors to which their exit codes are written."""

    def load(self, modules: list[str], path: list[str]) -> None:
        """Imports the modules, from these folders too."""
        usual = list(sys.path)
        sys.path += path
        real = os.environ
        os.environ = noting = _Environ(real)
        try:
            for name in modules:
                importlib.import_module(name)
        finally:
            os.environ = real  # noqa: B003
            sys.path[:] = usual
        self.variables_read = noting.asked
        if (threads := _threads()) != 1:
            raise RuntimeError(f"{threads} threads after the imports; a fork has one")
        gc.collect()
        # Collections of the forks leave alone what was imported, and so the pages that they share.
        gc.freeze()

    def next_process(self) -> dict[str, Any]:
        """Serves orders until it returns in a fork, with what is to run there. Ends with its parent."""
        woken, waking = os.pipe()
        for end in (woken, waking):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(waking)
        while True:
            ready, _, _ = select.select([self.control.fileno(), woken], [], [])
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                self._reap()
            if self.control.fileno() not in ready:
                continue
            message, descriptors, _, _ = socket.recv_fds(self.control, LARGEST_ORDER, 3)
            if not message:
                os._exit(0)
            order: dict[str, Any] = json.loads(message)
            told, cwd, output = descriptors
            if refused := self._other_variable(order["environment"]):
                os.write(told, json.dumps({"refused": refused}).encode())
            elif pid := os.fork():
                self.running[pid] = os.dup(told)
            else:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self.control.close()
                for mine in (woken, waking, *self.running.values()):
                    os.close(mine)
                _become(order, told, cwd, output)
                return order
            for each in descriptors:
                os.close(each)

    def _reap(self) -> None:
        for pid in list(self.running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                told = self.running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):  # nobody asks any more
                    os.write(told, json.dumps({"ended": code}).encode())
                os.close(told)

    def _other_variable(self, environment: dict[str, str]) -> str | None:
        """A variable that counts while an interpreter starts and has another value here."""
        for name in {*environment, *os.environ}:
            counts = name in self.variables_read or name.startswith(READ_WHEN_AN_INTERPRETER_STARTS)
            if counts and environment.get(name) != os.environ.get(name):
                return name
        return None


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: the signal itself has woken whoever waits."""


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _become(order: dict[str, Any], told: int, cwd: int, output: int) -> None:
    """Everything by which a process is known, as of the order; says so when it is done."""
    os.setsid()
    os.fchdir(cwd)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["program"], *order["arguments"]]
    sys.path.insert(0, order["path"])
    os.write(told, json.dumps({"pid": os.getpid()}).encode())
    for descriptor in (told, cwd, output):
        os.close(descriptor)


def _run(order: dict[str, Any]) -> None:
    if order["module"]:
        runpy.run_module(order["program"], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(order["program"], run_name="__main__")


if __name__ == "__main__":
    # The folder of this file: nothing is imported from there.
    del sys.path[0]
    descriptor, *folders_and_modules = sys.argv[1:]
    border = folders_and_modules.index("--")
    template = Template(socket.socket(fileno=int(descriptor)))
    template.load(folders_and_modules[border + 1 :], folders_and_modules[:border])
    template.control.send(b"ready")
    process = template.next_process()
    del template
    _run(process)
