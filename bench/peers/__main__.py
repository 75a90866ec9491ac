"""`python -m bench.peers`: Waystation and Restate in turns, on one machine in one run; prints the ratios.

A turn is a window of each, one after the other, with both systems running; a system without load costs next to
nothing. The open loop has half the rate that the slower of both reaches in a closed loop, or that of `--rate`.
"""

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import report
from bench.cases import OPEN_CLIENTS, Case
from bench.peers.restate import Restate, install
from bench.system import ROOT, System, load_client, run_load

ENVIRONMENT = ROOT / ".venv-peers"
WARM_UP_SECONDS = 3.0

ROWS = (
    Case("claim-3", 1),
    Case("claim-3", 8),
    Case("claim-3", 64),
    Case("claim-3", 256),
    Case("claim-group", 64),
    Case("claim-fan", 64),
    Case("claim-3", 64, clients=64),
    Case("claim-3", 64, clients=2, transport="unary"),
    Case("claim-3", rate=1, clients=OPEN_CLIENTS),
)
"""The rate of the open one is found, or given."""
PEERS_HANDLER = {"claim-3": "claim_3", "claim-group": "claim_fan", "claim-fan": "claim_fan"}

Windows = list[dict[str, Any]]


def main() -> None:
    """Measures what the options say."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one window (8)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each in turns (3)")
    parser.add_argument(
        "--row", type=int, action="append", help="only this row of the table, from 1"
    )
    parser.add_argument("--rate", type=float, help="of the open loop, workflows a second")
    options = parser.parse_args()
    install(ENVIRONMENT)
    print("python:", report.interpreter(), flush=True)
    wanted = [ROWS[number - 1] for number in options.row] if options.row else [*ROWS]
    with (
        tempfile.TemporaryDirectory(prefix="waystation-peers-") as folder,
        System(Path(folder)) as system,
        Restate(ENVIRONMENT, Path(folder)) as peer,
    ):
        turns = Turns(system, peer, options.seconds)
        wanted = [
            dataclasses.replace(case, rate=options.rate or turns.half_rate()) if case.rate else case
            for case in wanted
        ]
        results: dict[Case, tuple[Windows, Windows]] = {case: ([], []) for case in wanted}
        for _ in range(options.rounds):
            for case, (ours, theirs) in results.items():
                for windows, found in zip((ours, theirs), turns.one(case), strict=True):
                    windows.append(found)
                print(f"{case.name}: {_rates(ours)} against {_rates(theirs)}", flush=True)
    _show(results)


class Turns:
    """Measures both systems."""

    def __init__(self, system: System, peer: Restate, seconds: float) -> None:
        self._system = system
        self._peer = peer
        self._seconds = seconds

    def one(self, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        """A window of each."""
        request = {**case.options(), "warm_up": WARM_UP_SECONDS, "seconds": self._seconds}
        system = {"address": self._system.address, "groups": self._system.groups}
        peer = {
            "ingress": f"http://{self._peer.ingress}",
            "handler": PEERS_HANDLER[case.workload],
            "groups": self._peer.groups,
        }
        return (
            run_load({**request, **system}, load_client()),
            run_load({**request, **peer}, self._peer.load_client()),
        )

    def half_rate(self) -> float:
        """Half of what the slower one reaches in a closed loop."""
        both = self.one(Case("claim-3", 64, clients=OPEN_CLIENTS))
        return max(1, round(min(found["ended"] / found["seconds"] for found in both) / 2))


def _rates(windows: Windows) -> str:
    return "/".join(str(round(one["ended"] / one["seconds"])) for one in windows)


def _show(results: dict[Case, tuple[Windows, Windows]]) -> None:
    table = Table(title="Waystation / Restate, medians of windows in turns")
    table.add_column("work")
    for name in ("workflows/s", "p50 ms", "p99 ms", "CPU s per 1,000"):
        table.add_column(name, justify="right")
        table.add_column("ratio", justify="right")
    for case, (ours, theirs) in results.items():
        mine, other = report.figures(ours), report.figures(theirs)
        # A machine that is slower for some seconds is so for both of a turn.
        rate = statistics.median(
            (a["ended"] / a["seconds"]) / (b["ended"] / b["seconds"])
            for a, b in zip(ours, theirs, strict=True)
        )
        cells = [f"{mine['workflows_per_s']:.0f} / {other['workflows_per_s']:.0f}", f"{rate:.2f}"]
        for name in ("p50_ms", "p99_ms"):
            cells += [f"{mine[name]:.1f} / {other[name]:.1f}", f"{mine[name] / other[name]:.2f}"]
        cpu = report.without_client(mine), report.without_client(other)
        cells += [f"{cpu[0]:.2f} / {cpu[1]:.2f}", f"{cpu[0] / cpu[1]:.2f}"]
        table.add_row(case.name, *cells)
    table.caption = (
        "the ratio of rates: the median of the turns' ratios; CPU: all processes but the client"
    )
    Console(width=None if Console().is_terminal else 150).print(table)


if __name__ == "__main__":
    main()
