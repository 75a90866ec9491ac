"""`python -m bench`: starts everything, measures, prints a table, writes `bench/results/latest.json`."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench import report
from bench.handlers import CLAIM_3, CLAIM_FAN, CLAIM_GROUP
from bench.system import System, run_load

WORKLOADS = {"claim-3": CLAIM_3, "claim-fan": CLAIM_FAN, "claim-group": CLAIM_GROUP}
WARM_UP_SECONDS = 3.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="default: claim-3")
    parser.add_argument("--concurrency", type=int, action="append", help="default: 1 and 64")
    parser.add_argument("--seconds", type=float, default=15.0, help="of one window (15)")
    parser.add_argument("--repeats", type=int, default=3, help="windows per row (3)")
    parser.add_argument("--clients", type=int, default=2, help="clients that the callers share (2)")
    parser.add_argument("--unary", action="store_true", help="a call for each workflow, no stream")
    parser.add_argument("--output", type=Path, default=report.LATEST, help="the JSON file")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    return parser.parse_args()


def main() -> None:
    """Measures what the options say."""
    options = _options()
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder,
        System(options.logs or Path(folder)) as system,
    ):
        print("processes:", ", ".join(f"{name} {pid}" for name, pid in system.groups.items()))
        for workload in options.workload or ["claim-3"]:
            for concurrency in options.concurrency or [1, 64]:
                repeats = [
                    _measure(system, workload, concurrency, options) for _ in range(options.repeats)
                ]
                rows.append(report.row(workload, concurrency, repeats))
                print(
                    f"{workload} at {concurrency}: {rows[-1]['workflows_per_s']} workflows/s, "
                    f"p50 {rows[-1]['p50_ms']} ms",
                    flush=True,
                )
    report.write(rows, options.output)
    report.show(rows)


def _measure(
    system: System, workload: str, concurrency: int, options: argparse.Namespace
) -> dict[str, Any]:
    request = {
        "address": system.address,
        "workflow_type": WORKLOADS[workload],
        "concurrency": concurrency,
        "clients": options.clients,
        "unary": options.unary,
        "warm_up": min(WARM_UP_SECONDS, options.seconds),
        "seconds": options.seconds,
        "groups": system.groups,
    }
    return run_load(request, seconds=options.seconds)


if __name__ == "__main__":
    main()
