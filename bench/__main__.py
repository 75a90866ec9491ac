"""`python -m bench`: starts everything, measures, prints a table, writes `bench/results/latest.json`.

Without a choice it measures the standard cases. Each choice may be given several times, and every combination of them
is a case. A round has a window of each case; the table has the medians of the rounds.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import cases, report
from bench.cases import Case
from bench.profile import Profile
from bench.system import Embedded, Secured, System, Traced, load_client, run_load

WARM_UP_SECONDS = 3.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--workload", choices=cases.WORKLOADS, action="append", default=[])
    parser.add_argument(
        "--concurrency", type=int, action="append", default=[], help="callers of a closed loop"
    )
    parser.add_argument(
        "--rate", type=float, action="append", default=[], help="an open loop, workflows a second"
    )
    parser.add_argument(
        "--clients", type=int, help="each with its connection (closed loop: 1, open loop: 64)"
    )
    parser.add_argument("--transport", choices=("stream", "unary"), action="append", default=[])
    parser.add_argument(
        "--engine", choices=("parts", "secured", "traced", "embedded"), action="append", default=[]
    )
    parser.add_argument(
        "--routers", type=int, action="append", default=[], help="of the engine in parts"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="of one window (8)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each case (3)")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="where the CPU time goes, by process and stage; costs some percent",
    )
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    parser.add_argument("--output", type=Path, default=report.LATEST, help="the JSON file")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    return parser.parse_args()


def main() -> None:
    """Measures what the options say."""
    options = _options()
    wanted = cases.chosen(
        workloads=options.workload,
        concurrencies=options.concurrency,
        rates=options.rate,
        clients=options.clients,
        transports=options.transport,
        engines=options.engine,
        routers=options.routers,
    )
    if options.list:
        print("\n".join(case.name for case in wanted))
        return
    print("python:", report.interpreter(), flush=True)
    results, profiles = _measure(wanted, options)
    rows = [report.row(case, found) for case, found in results.items()]
    report.write(rows, options.output)
    report.show(rows)
    for case, profile in profiles.items():
        profile.show(case.name)


def _measure(
    wanted: Sequence[Case], options: argparse.Namespace
) -> tuple[dict[Case, list[dict[str, Any]]], dict[Case, Profile]]:
    results: dict[Case, list[dict[str, Any]]] = {case: [] for case in wanted}
    profiles = {case: Profile() for case in wanted} if options.profile else {}
    with contextlib.ExitStack() as exits:
        folder = options.logs or Path(
            exits.enter_context(tempfile.TemporaryDirectory(prefix="waystation-bench-"))
        )
        # All at once, so that they can be measured in turns: without load they cost next to nothing.
        systems: dict[tuple[str, int], System | Embedded] = {}
        for case in wanted:
            if (kind := (case.engine, case.routers)) not in systems:
                system = _system(case, folder / f"{case.engine}-{case.routers}", options.profile)
                systems[kind] = exits.enter_context(system)
                print(f"{kind[0]}, {kind[1]} router(s), processes: {system.groups}", flush=True)
        for _ in range(options.rounds):
            for case in wanted:
                system = systems[case.engine, case.routers]
                found = _window(case, system, options, profiles.get(case))
                results[case].append(found)
                one = report.figures([found])
                print(
                    f"{case.name}: {one['workflows_per_s']} workflows/s, p50 {one['p50_ms']} ms, "
                    f"p99 {one['p99_ms']} ms",
                    flush=True,
                )
    return results, profiles


def _system(case: Case, folder: Path, profile: bool) -> System | Embedded:
    folder.mkdir(parents=True, exist_ok=True)
    if case.engine == "embedded":
        return Embedded(folder, profile=profile)
    kind = {"secured": Secured, "traced": Traced}.get(case.engine, System)
    return kind(folder, routers=case.routers, profile=profile)


def _window(
    case: Case, system: System | Embedded, options: argparse.Namespace, profile: Profile | None
) -> dict[str, Any]:
    request = {
        **case.options(),
        "address": system.address,
        "warm_up": min(WARM_UP_SECONDS, options.seconds),
        "seconds": options.seconds,
        "groups": system.groups,
    }
    if profile is None:
        return run_load(request, load_client(), system.client_environment)
    return profile.window(system, request)


if __name__ == "__main__":
    main()
