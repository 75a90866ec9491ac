"""A sampling profiler inside a process: `python -m bench.sampler FOLDER NAME PROGRAM ARGUMENTS`, where PROGRAM is a
file or, after `-m`, a module.

A timer of the kernel counts the CPU time of the main thread and interrupts it; what it was doing then belongs to a
stage (`bench.stages`). Other threads, gRPC's, are not sampled: their CPU time is read from /proc. No rights are
needed, as the process looks at itself. At SIGUSR2 it writes what it has counted so far: `FOLDER/NAME-1.json` and so on.

Linux only, as all of bench.
"""

import atexit
import ctypes
import json
import os
import runpy
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

from bench.stages import stage_of

INTERVAL_NS = 4_000_000
"""The kernel looks at the timers of CPU time at its ticks, of which most kernels have 250 a second."""

_CLOCK_THREAD_CPUTIME_ID = 3
_SIGEV_THREAD_ID = 4
_TICK = os.sysconf("SC_CLK_TCK")


class _Sigevent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("padding", ctypes.c_byte * 44),
    )


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Sampler:
    """Counts from when it is made."""

    def __init__(self, folder: Path, name: str) -> None:
        self._files = (folder / f"{name}-{number}.json" for number in range(1, 1 << 62))
        self._stages: Counter[str] = Counter()
        # Not `signal.setitimer`: that counts all threads, and interrupts the main one for what others spent.
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR2, self._write)
        # A system call that was interrupted is begun again: C code, too, goes on undisturbed.
        signal.siginterrupt(signal.SIGPROF, False)
        signal.siginterrupt(signal.SIGUSR2, False)
        self._start_timer()

    @staticmethod
    def _start_timer() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        timer = ctypes.c_void_p()
        event = _Sigevent(
            signo=signal.SIGPROF, notify=_SIGEV_THREAD_ID, thread=threading.get_native_id()
        )
        every = _Itimerspec(0, INTERVAL_NS, 0, INTERVAL_NS)
        if libc.timer_create(
            _CLOCK_THREAD_CPUTIME_ID, ctypes.byref(event), ctypes.byref(timer)
        ) or libc.timer_settime(timer, 0, ctypes.byref(every), None):
            raise OSError(ctypes.get_errno(), "no timer of the thread's CPU time")
        # An interpreter that ends no longer handles signals, and this one would kill it.
        atexit.register(libc.timer_delete, timer)

    def _sample(self, signal_number: int, frame: FrameType | None) -> None:
        self._stages[stage_of(frame)] += 1

    def _write(self, signal_number: int, frame: FrameType | None) -> None:
        found = {"threads": _cpu_of_threads(), "stages": self._stages}
        path = next(self._files)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found), encoding="utf-8")
        # Whoever waits for the file reads all of it.
        part.rename(path)


def _cpu_of_threads() -> dict[str, float]:
    """CPU seconds so far: of the main thread, and of all others together."""
    spent = {"main": 0.0, "other": 0.0}
    for stat in Path("/proc/self/task").glob("*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # It ended meanwhile.
        user, system = text.rpartition(")")[2].split()[11:13]
        name = "main" if stat.parent.name == str(os.getpid()) else "other"
        spent[name] += (int(user) + int(system)) / _TICK
    return spent


def sampled(argv: list[str], folder: Path, name: str) -> list[str]:
    """The command that runs `argv` (a Python program's file, or `python -m module`) with a sampler."""
    program = argv[1:] if argv[0] == sys.executable else argv
    return [sys.executable, "-m", "bench.sampler", str(folder), name, *program]


def main() -> None:
    """Runs the program that the command line names."""
    folder, name, *argv = sys.argv[1:]
    _ = Sampler(Path(folder), name)
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
