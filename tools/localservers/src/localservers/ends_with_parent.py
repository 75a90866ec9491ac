"""Ends the children of a process that was killed, which cannot end them itself.

    minded(pid, signal.SIGTERM)     from now on it ends with this process, however that ends
    forgotten(pid)                  it has ended, or shall not end with this process

A second process holds the other end of a pipe, which closes when this one is gone. It asks the children
that are left to end, as whoever started them would have, and kills what does not. (Linux could send a
signal by itself, PR_SET_PDEATHSIG; but it does so at the end of the thread that started the child, and
only to the child itself.) Run as a program this file is that second process: it imports nothing more.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SECONDS = 10.0
"""Between asking and killing: RabbitMQ takes some seconds."""

_lock = threading.Lock()
_watcher: subprocess.Popen[bytes] | None = None
_children: dict[int, int] = {}


def minded(pid: int, stop_signal: signal.Signals) -> None:
    """Has a child of this process, and its process group, end with it."""
    with _lock:
        _children[pid] = int(stop_signal)
        _tell(f"{pid} {int(stop_signal)}\n")


def forgotten(pid: int) -> None:
    """Leaves a child alone from now on."""
    with _lock:
        if _children.pop(pid, None) is not None:
            _tell(f"{pid} 0\n")


def closed() -> None:
    """Ends what watches, and has what is still minded end with it."""
    global _watcher
    with _lock:
        if _watcher is not None:
            assert _watcher.stdin is not None
            _watcher.stdin.close()
            _watcher.wait()
        _watcher = None
        _children.clear()


def _tell(line: str) -> None:
    if _watcher is not None and _watcher.poll() is None:
        assert _watcher.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            _watcher.stdin.write(line.encode())
            return
    _start()


def _start() -> None:
    """Starts what watches, and tells it of all children."""
    global _watcher
    _watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        bufsize=0,
        # Nothing of this process's: neither what it is known by nor a file that somebody waits for.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    assert _watcher.stdin is not None
    told = "".join(f"{pid} {number}\n" for pid, number in _children.items())
    _watcher.stdin.write(told.encode())


def _in_fork() -> None:
    """A fork has none of these children, and must not keep the pipe open."""
    global _lock, _watcher
    _lock = threading.Lock()
    _children.clear()
    if _watcher is not None:
        assert _watcher.stdin is not None
        _watcher.stdin.close()
        _watcher.returncode = 0
        _watcher = None


os.register_at_fork(after_in_child=_in_fork)


# --- the second process ---------------------------------------------------------------------


def _began(pid: int) -> str | None:
    """When it began, which tells it from a later one of the same id; None where it has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else after_name[19]


def _left(children: dict[int, tuple[int, str | None]]) -> Iterator[tuple[int, int]]:
    for pid, (number, began) in children.items():
        if began is not None and _began(pid) == began:
            yield pid, number


def _watch() -> None:
    children: dict[int, tuple[int, str | None]] = {}
    for line in sys.stdin:
        pid, number = map(int, line.split())
        if number:
            children[pid] = number, _began(pid)
        else:
            children.pop(pid, None)
    asked = dict(_left(children))
    for pid, number in asked.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(_left(children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in asked:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    _watch()
