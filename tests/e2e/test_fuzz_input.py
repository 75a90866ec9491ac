"""`make fuzz-input` in its short form: always the same inputs."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.system import ROOT

pytestmark = pytest.mark.timeout(600)


def test_every_generated_input_gets_a_typed_answer(
    tmp_path: Path, empty_database_url: str, amqp_url: str
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fuzz_input"),
            *("--count", "300", "--seed", "1", "--logs", tmp_path),
            *("--database-url", empty_database_url, "--broker-url", amqp_url),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert "300 inputs" in done.stdout
