"""`make bench` in its shortest form: it measures, and says so in the file that others read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.system import ROOT

pytestmark = pytest.mark.timeout(240)
WORKLOADS = ("claim-3", "claim-fan", "claim-group")
GROUPS = {"api", "router", "handler", "postgres", "rabbitmq", "client"}


def test_the_bench_measures_its_workloads_and_writes_their_rows(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--output", output),
            *(part for workload in WORKLOADS for part in ("--workload", workload)),
            *("--concurrency", "4", "--seconds", "1", "--repeats", "1"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text(encoding="utf-8"))
    assert [(row["workload"], row["concurrency"]) for row in rows] == [
        (workload, 4) for workload in WORKLOADS
    ]
    for row in rows:
        assert row["workflows_per_s"] > 0
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert set(row["cpu_s_per_1000"]) == GROUPS
        assert row["cpu_s_per_1000"]["router"] > 0
    assert all(workload in done.stdout for workload in WORKLOADS)
