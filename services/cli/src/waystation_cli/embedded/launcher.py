"""Starts a program as another account, and has the kernel end it with its parent.

    launched(["postgres", "-D", data], account=account, ends_with_parent=True)

gives a command line that does both. A small program does it after the fork, not `subprocess` with
`user=` or `preexec_fn=`: these make Python fork the whole process and run in the copy, and the copy
of a process with gRPC threads crashes (seen: four of ten). Run as a program this file is that small
program: it imports nothing more, and becomes what it starts, under the same process id.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

_SAME = -1
_PR_SET_PDEATHSIG = 1


class Account(NamedTuple):
    """An account other than our own."""

    name: str
    uid: int
    gid: int


def launched(
    command: Sequence[str], *, account: Account | None = None, ends_with_parent: bool = False
) -> list[str]:
    """The command line that runs `command`, which starts with the path of a program.

    `account` needs root. `ends_with_parent`: the kernel sends SIGINT when the thread that started
    it ends; Linux only, elsewhere it does nothing. Exit code 126 where it can't be started, with the
    reason on stderr.
    """
    uid, gid = (account.uid, account.gid) if account is not None else (_SAME, _SAME)
    parent = os.getpid() if ends_with_parent and sys.platform == "linux" else 0
    if uid == _SAME and not parent:
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(uid), str(gid), str(parent), *command]


def _become(uid: int, gid: int, parent: int, command: list[str]) -> None:
    if uid != _SAME:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if parent:
        # After the change of account, which would clear it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))
        if os.getppid() != parent:
            sys.exit("the process that started this one has ended")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        _become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    except OSError as error:
        print(f"{sys.argv[4]} cannot be started: {error.strerror}", file=sys.stderr)
        sys.exit(126)
