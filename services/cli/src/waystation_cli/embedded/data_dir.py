"""The folder where `waystation dev` keeps its data, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class DataDirRefused(Exception):
    """The folder can't be used; the message says why and what to do."""


def default_data_dir() -> Path:
    """Where the data goes when nobody says: the user's own data folder."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # As the XDG rules have it, a relative path counts as unset.
    home = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return home / "waystation"


class DataDir:
    """A data folder that this process holds until `release`; use it as a context manager.

    The lock is the kernel's: it ends with the process, however that dies.
    """

    def __init__(self, path: Path) -> None:
        """Takes the folder, made where it is missing. Raises DataDirRefused."""
        self.path = path.expanduser().resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Not emptied on opening: until it is locked it is another process's.
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirRefused(
                f"The data directory {self.path} cannot be used ({error.strerror}). Choose another one "
                "with --data-dir or WAYSTATION_DATA_DIR."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._lock, 20).decode(errors="replace").strip()
            os.close(self._lock)
            raise DataDirRefused(
                f"Another `waystation dev` (process {holder or 'unknown'}) uses {self.path}. Stop "
                "it, or start this one with another --data-dir (WAYSTATION_DATA_DIR) and port."
            ) from error
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Lets another process have it. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
