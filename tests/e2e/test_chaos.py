"""`make chaos` in its short form: two minutes of faults from one seed, replies of Postgres lost most of
the time, and the whole check afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1500)
def test_no_promise_breaks_in_two_minutes_of_faults(tmp_path: Path) -> None:
    options = ["--minutes", "2", "--seed", "7", "--rate", "2", "--lost-replies", "0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--folder", tmp_path / "run", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid and clean" in done.stdout
