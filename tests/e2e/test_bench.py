"""`make bench` in its shortest forms: it measures, and says so in the file that others read."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.system import ROOT

from bench.loops import OpenLoop
from bench.stages import IN_C, stage_of
from bench.window import Window

pytestmark = pytest.mark.timeout(240)
WORKLOADS = ("claim-3", "claim-fan", "claim-group")


def measured(output: Path, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """The rows that a run writes, and what it prints."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--output", output, "--seconds", "1", "--rounds", "1"),
            *arguments,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text(encoding="utf-8")), done.stdout


def check(row: dict[str, Any], groups: set[str]) -> None:
    """Whether it has all figures."""
    assert row["workflows_per_s"] > 0
    assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
    assert set(row["cpu_s_per_1000"]) == groups


def test_the_bench_measures_its_workloads_and_shows_where_their_time_goes(tmp_path: Path) -> None:
    rows, printed = measured(
        tmp_path / "rows.json",
        *(part for workload in WORKLOADS for part in ("--workload", workload)),
        *("--concurrency", "4", "--routers", "2", "--profile"),
    )
    assert [(row["workload"], row["concurrency"], row["routers"]) for row in rows] == [
        (workload, 4, 2) for workload in WORKLOADS
    ]
    for row in rows:
        check(row, {"api", "router", "handler", "postgres", "rabbitmq", "client"})
        assert row["cpu_s_per_1000"]["router"] > 0
        assert row["case"] in printed
        assert f"{row['case']}: CPU, µs" in " ".join(printed.split())
    # Of the engine's rules and of Postgres' processes, each of which is a line of the table.
    assert "decisions: the rules" in printed
    assert "waystation-router" in printed
    # Which Python: a run on another one is another measurement.
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"python: {sys.implementation.name} {version}, built with" in printed


def test_the_bench_measures_an_open_loop_over_calls_of_their_own_to_an_embedded_engine(
    tmp_path: Path,
) -> None:
    rows, _ = measured(
        tmp_path / "rows.json",
        *("--rate", "20", "--clients", "8", "--transport", "unary", "--engine", "embedded"),
    )
    [row] = rows
    assert row["case"] == "claim-3, open, 20/s, 8 clients, unary, embedded"
    check(row, {"engine", "handler", "postgres", "client"})


def test_the_bench_measures_an_engine_that_is_secured_as_on_a_network(tmp_path: Path) -> None:
    [row], _ = measured(tmp_path / "rows.json", "--concurrency", "4", "--engine", "secured")
    assert row["case"] == "claim-3, 4 callers, secured"
    check(row, {"api", "router", "handler", "postgres", "rabbitmq", "client"})


async def test_a_latency_of_an_open_loop_counts_from_when_the_workflow_should_have_begun() -> None:
    stands_still = 0.1
    begun: list[float] = []

    async def run_one(client: int, claim: dict[str, Any]) -> None:
        begun.append(time.monotonic())
        while time.monotonic() < begun[0] + stands_still:
            pass

    window = Window({})
    await OpenLoop(run_one, rate=500, clients=4).run(window, warm_up=0, seconds=0.3)
    found = window.result()
    assert len(begun) == len(found["latencies"]) == 150
    # Those that were due while everything stood still took no time of their own, and have waited.
    waited = sorted(found["latencies"], reverse=True)[:25]
    assert waited[0] >= stands_still
    assert waited[-1] >= stands_still / 4


def test_a_sample_belongs_to_the_innermost_module_that_is_a_stage() -> None:
    def called_by(module: str, call: Any) -> Any:
        scope: dict[str, Any] = {"__name__": module, "call": call}
        exec("def run():\n    return call()", scope)
        return scope["run"]

    in_json = called_by("json.encoder", lambda: stage_of(sys._getframe(1)))
    in_domain = called_by("waystation_domain.commit", in_json)

    async def in_a_loop() -> str:
        return called_by("waystation_router.calls", in_domain)()

    assert asyncio.run(in_a_loop()) == "decisions: the rules"

    async def nothing_of_ours() -> str:
        return in_json()

    # The test is a caller of the loop, not part of what it does.
    assert asyncio.run(nothing_of_ours()) == IN_C
