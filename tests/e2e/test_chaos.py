"""`make chaos` in its short form: a minute of faults, replies of Postgres lost most of the time, and the
whole check afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos import schedule
from chaos.run import STEADY_SECONDS

ROOT = Path(__file__).resolve().parents[2]


SEED = 1482
KINDS = {
    "duplicates",
    "kill-handler",
    "kill-router",
    "link",
    "lost-replies",
    "pause-router",
    "postgres-restart",
    "rabbitmq-stop",
}
"""What the minute of this seed has: something of each kind of server."""


@pytest.mark.timeout(1500)
def test_no_promise_breaks_in_a_minute_of_faults(tmp_path: Path) -> None:
    planned = schedule.plan(SEED, 60 - STEADY_SECONDS, lost_replies=0.1)
    assert {entry.kind for entry in planned} == KINDS, "choose another seed"
    options = [
        *("--minutes", "1", "--seed", str(SEED), "--rate", "1"),
        *("--lost-replies", "0.1", "--forked"),
    ]
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
