"""make up, where it can't: it says why, and leaves nothing. (Where it can: docs/first-15-minutes.)"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

PRODUCTION = Path(__file__).resolve().parents[2] / "scripts" / "production"


def test_a_port_that_was_asked_for_and_is_taken_is_named_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, PRODUCTION, "up"],
            env={**os.environ, "UP_FOLDER": str(tmp_path), "UP_API_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"UP_API_PORT: something listens on 127.0.0.1:{port} already" in done.stderr
    assert not (tmp_path / "state.json").exists()
    started = [process for process in psutil.process_iter() if names(process, str(tmp_path))]
    assert started == []


def names(process: psutil.Process, folder: str) -> bool:
    """Whether the process was started with that folder."""
    try:
        return process.environ().get("UP_FOLDER") == folder
    except (psutil.Error, OSError):
        return False
