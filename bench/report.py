"""What the repeats come to: one row per workload and concurrency, as JSON and as a table."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LATEST = Path(__file__).parent / "results" / "latest.json"
PERCENTILES = (50, 95, 99)


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all values do not exceed (nearest rank)."""
    rank = max(1, -(-len(sorted_values) * percent // 100))
    return sorted_values[int(rank) - 1]


def row(workload: str, concurrency: int, repeats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the repeats, with min and max of the rate. CPU in seconds per 1,000 workflows."""
    rates, latencies, cpu = [], [], []
    for repeat in repeats:
        ordered = sorted(repeat["latencies"])
        if not ordered:
            raise RuntimeError(f"{workload} at {concurrency}: nothing ended inside the window")
        rates.append(len(ordered) / repeat["seconds"])
        latencies.append([percentile(ordered, percent) * 1000 for percent in PERCENTILES])
        cpu.append({group: spent * 1000 / len(ordered) for group, spent in repeat["cpu"].items()})
    return {
        "workload": workload,
        "concurrency": concurrency,
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


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Replaces the file with these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(rows), indent=2) + "\n", encoding="utf-8")


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the table."""
    groups = list(rows[0]["cpu_s_per_1000"])
    table = Table(title="closed loop; CPU in seconds per 1,000 workflows, by process group")
    table.add_column("workload")
    for name in ("at", "workflows/s", "min-max", "p50 ms", "p95 ms", "p99 ms", *groups, "all"):
        table.add_column(name, justify="right")
    for each in rows:
        cpu = each["cpu_s_per_1000"]
        engine = sum(spent for group, spent in cpu.items() if group != "client")
        table.add_row(
            each["workload"],
            str(each["concurrency"]),
            f"{each['workflows_per_s']:.0f}",
            f"{each['workflows_per_s_min']:.0f}-{each['workflows_per_s_max']:.0f}",
            *(f"{each[f'p{percent}_ms']:.1f}" for percent in PERCENTILES),
            *(f"{cpu[group]:.2f}" for group in groups),
            f"{engine:.2f}",
        )
    table.caption = "all: without the client"
    Console(width=None if Console().is_terminal else 150).print(table)
