"""Whether a file is another one than before."""

from __future__ import annotations

from pathlib import Path


def stamp_of(path: Path | None) -> tuple[int, int, int] | None:
    """Differs after the file was replaced or written; None: it cannot be looked at, or there is none."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
