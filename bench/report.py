"""The results of the rounds: one row for each case, as JSON and as a table."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases import Case

LATEST = Path(__file__).parent / "results" / "latest.json"
PERCENTILES = (50, 95, 99)


def interpreter() -> str:
    """Which Python this is, and how it was built: servers, handlers and clients run on the same one."""
    program = Path(__file__).parents[1] / "scripts" / "interpreter.py"
    return subprocess.check_output([sys.executable, program], text=True).strip()


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all values do not exceed (nearest rank)."""
    rank = max(1, -(-len(sorted_values) * percent // 100))
    return sorted_values[int(rank) - 1]


def figures(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds, with least and most of the rate. CPU in seconds per 1,000 workflows."""
    rates, latencies, cpu = [], [], []
    for found in rounds:
        ordered = sorted(found["latencies"])
        if not ordered or not found["ended"]:
            raise RuntimeError("nothing ended inside the window")
        rates.append(found["ended"] / found["seconds"])
        latencies.append([percentile(ordered, percent) * 1000 for percent in PERCENTILES])
        cpu.append({group: spent * 1000 / found["ended"] for group, spent in found["cpu"].items()})
    return {
        "workflows_per_s": round(statistics.median(rates), 1),
        "workflows_per_s_min": round(min(rates), 1),
        "workflows_per_s_max": round(max(rates), 1),
        **{
            f"p{percent}_ms": round(statistics.median(each[at] for each in latencies), 1)
            for at, percent in enumerate(PERCENTILES)
        },
        "cpu_s_per_1000": {
            group: round(statistics.median(each[group] for each in cpu), 2) for group in cpu[0]
        },
    }


def without_client(figures: Mapping[str, Any]) -> float:
    """CPU seconds per 1,000 workflows of all processes but the client."""
    return sum(spent for group, spent in figures["cpu_s_per_1000"].items() if group != "client")


def row(case: Case, rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The case and its figures."""
    return {"case": case.name, **asdict(case), **figures(rounds)}


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Replaces the file with these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(rows), indent=2) + "\n", encoding="utf-8")


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the table."""
    # An embedded engine is one process instead of some, so not every row has every group.
    groups = [*dict.fromkeys(group for each in rows for group in each["cpu_s_per_1000"])]
    table = Table(title="medians of the rounds; CPU in seconds per 1,000 workflows, by process")
    table.add_column("case")
    for name in ("workflows/s", "least-most", "p50 ms", "p95 ms", "p99 ms", *groups, "all"):
        table.add_column(name, justify="right")
    for each in rows:
        cpu = each["cpu_s_per_1000"]
        table.add_row(
            each["case"],
            f"{each['workflows_per_s']:.0f}",
            f"{each['workflows_per_s_min']:.0f}-{each['workflows_per_s_max']:.0f}",
            *(f"{each[f'p{percent}_ms']:.1f}" for percent in PERCENTILES),
            *(f"{cpu[group]:.2f}" if group in cpu else "" for group in groups),
            f"{without_client(each):.2f}",
        )
    table.caption = "all: without the client"
    Console(width=None if Console().is_terminal else 150).print(table)
