"""`python -m bench.peers`: Waystation and Restate in turns, on one machine in one run; prints the ratios.

A turn is a window of each, one after the other, with both systems running; a system without load costs next to
nothing.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import report
from bench.handlers import CLAIM_3, CLAIM_FAN, CLAIM_GROUP
from bench.peers.restate import Restate, install
from bench.system import ROOT, System, run_load

ENVIRONMENT = ROOT / ".venv-peers"
WARM_UP_SECONDS = 3.0

Row = tuple[str, str, dict[str, Any], str, int]
"""Name; Waystation's workflow type and options; the peer's handler; callers."""

ROWS: tuple[Row, ...] = (
    ("claim-3, SDK client", CLAIM_3, {"clients": 1}, "claim_3", 64),
    ("claim-group, SDK client", CLAIM_GROUP, {"clients": 1}, "claim_fan", 64),
    ("claim-fan (naive join), SDK client", CLAIM_FAN, {"clients": 1}, "claim_fan", 64),
    ("claim-3, 64 clients", CLAIM_3, {"clients": 64}, "claim_3", 64),
    ("claim-3, unary", CLAIM_3, {"clients": 2, "unary": True}, "claim_3", 64),
    ("claim-3, SDK client", CLAIM_3, {"clients": 1}, "claim_3", 1),
)


def main() -> None:
    """Measures what the options say."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one window (8)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each in turns (3)")
    parser.add_argument(
        "--row", type=int, action="append", help="only this row of the table, from 1"
    )
    options = parser.parse_args()
    install(ENVIRONMENT)
    wanted = [ROWS[number - 1] for number in options.row] if options.row else ROWS
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="waystation-peers-") as folder,
        System(Path(folder)) as system,
        Restate(ENVIRONMENT, Path(folder)) as peer,
    ):
        for row in wanted:
            ours, theirs = _in_turns(row, system, peer, options.rounds, options.seconds)
            results.append((row, ours, theirs))
            print(f"{row[0]} at {row[4]}: {_rates(ours)} against {_rates(theirs)}", flush=True)
    _show(results)


def _in_turns(
    row: Row, system: System, peer: Restate, rounds: int, seconds: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    _, workflow_type, client, handler, concurrency = row
    common = {"concurrency": concurrency, "warm_up": WARM_UP_SECONDS, "seconds": seconds}
    ours, theirs = [], []
    for _ in range(rounds):
        request = {
            **common,
            **client,
            "address": system.address,
            "workflow_type": workflow_type,
            "groups": system.groups,
        }
        ours.append(run_load(request, seconds=seconds))
        request = {
            **common,
            "ingress": f"http://{peer.ingress}",
            "handler": handler,
            "groups": peer.groups,
        }
        theirs.append(peer.run_load(request, seconds=seconds))
    return ours, theirs


def _figures(repeats: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    """Medians: workflows a second, p50 and p99 in ms, CPU seconds per 1,000 without the client."""
    row = report.row("", 0, repeats)
    cpu = sum(spent for group, spent in row["cpu_s_per_1000"].items() if group != "client")
    return row["workflows_per_s"], row["p50_ms"], row["p99_ms"], cpu


def _rates(repeats: list[dict[str, Any]]) -> str:
    return "/".join(str(round(len(one["latencies"]) / one["seconds"])) for one in repeats)


def _show(results: list[tuple[Row, list[dict[str, Any]], list[dict[str, Any]]]]) -> None:
    table = Table(
        title="Waystation / Restate, medians of windows in turns; ratio of the pairs' medians"
    )
    table.add_column("work")
    for name in (
        "at",
        "workflows/s",
        "ratio",
        "p50 ms",
        "ratio",
        "p99 ms",
        "CPU s per 1,000",
        "ratio",
    ):
        table.add_column(name, justify="right")
    for (name, _, _, _, concurrency), ours, theirs in results:
        mine, other = _figures(ours), _figures(theirs)
        pairs = statistics.median(
            (len(a["latencies"]) / a["seconds"]) / (len(b["latencies"]) / b["seconds"])
            for a, b in zip(ours, theirs, strict=True)
        )
        table.add_row(
            name,
            str(concurrency),
            f"{mine[0]:.0f} / {other[0]:.0f}",
            f"{pairs:.2f}",
            f"{mine[1]:.1f} / {other[1]:.1f}",
            f"{mine[1] / other[1]:.2f}",
            f"{mine[2]:.1f} / {other[2]:.1f}",
            f"{mine[3]:.2f} / {other[3]:.2f}",
            f"{mine[3] / other[3]:.2f}",
        )
    table.caption = "CPU: all processes but the client"
    Console(width=None if Console().is_terminal else 150).print(table)


if __name__ == "__main__":
    main()
