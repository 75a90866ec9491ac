"""A terminal as a person has it: bash on a pseudo-terminal, typed into and read."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

_PROMPT = re.compile(r"\x1e(\d+)\x1e\n")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLUMNS, _LINES = 120, 50


class Terminal:
    """One open terminal; `close` ends everything that still runs in it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.ONLCR
        attributes[3] &= ~(termios.ECHO | termios.ECHOCTL)
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self._master = master
        self._bash = subprocess.Popen(
            # Its own session, with this terminal: by a program, see tests/house/test_process_forks.py.
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={
                **environment,
                "TERM": "xterm",
                "PS1": "",
                "PS2": "",
                # Told after each command: its exit code, between characters that nobody prints.
                "PROMPT_COMMAND": r"printf '\036%s\036\n' $?",
                "VIRTUAL_ENV_DISABLE_PROMPT": "1",
            },
        )
        os.close(slave)
        self._changed = threading.Condition()
        self._text = ""
        self._from = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_prompt(10)

    @property
    def output(self) -> str:
        """What came since the last line was typed, without colours and prompts."""
        with self._changed:
            return _PROMPT.sub("", self._text[self._from :])

    def type(self, line: str) -> None:
        """Types a line and Enter; what comes from now on is its output."""
        with self._changed:
            self._from = len(self._text)
        os.write(self._master, line.encode() + b"\n")

    def interrupt(self) -> None:
        """Types Ctrl-C; what comes from now on is the answer."""
        with self._changed:
            self._from = len(self._text)
        os.write(self._master, b"\x03")

    def wait_prompt(self, timeout: float) -> int | None:
        """The exit code of what was typed last; None: it still runs after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (seen := _PROMPT.search(self._text, self._from)) is None:
                if not self._changed.wait(deadline - time.monotonic()):
                    return None
            return int(seen[1])

    def wait_change(self, timeout: float) -> None:
        """Returns when more came, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def close(self) -> None:
        """Ends the shell and whatever runs in it. Safe to call twice."""
        members = [process for process in psutil.process_iter() if self._is_mine(process)]
        for what, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 10)):
            for process in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(what)
            if self._bash.poll() is None:
                self._bash.send_signal(signal.SIGHUP)
            psutil.wait_procs(members, timeout=seconds)
        self._bash.wait(10)
        self._reader.join(10)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.pid != self._bash.pid and os.getsid(process.pid) == self._bash.pid
        except OSError:
            return False

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:
                # Every program that had this terminal has ended.
                chunk = b""
            with self._changed:
                self._text += _ESCAPES.sub("", chunk.decode(errors="replace").replace("\r", ""))
                self._changed.notify_all()
            if not chunk:
                return
