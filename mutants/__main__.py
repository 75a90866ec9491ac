"""`python -m mutants`: runs mutants and says which were killed. Exit code 0 when all were that can be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mutants.catalogue import MUTANTS
from mutants.mutant import Mutant
from mutants.running import run_tests

# Cheapest first: where a mutant's killers are looked for.
LADDER = (
    ("tests/domain",),
    ("tests/router", "tests/router_endpoints", "tests/rpc", "tests/worker_sdk"),
    ("tests/store",),
    ("tests/api", "tests/broker"),
    (
        "tests/e2e/test_joins.py",
        "tests/e2e/test_attempts.py",
        "tests/e2e/test_groups_and_timers.py",
    ),
)


def main() -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants by name; none: all")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="so many at once")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--find", action="store_true", help="look for tests that notice them")
    options = parser.parse_args()
    unknown = set(options.names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:40} {mutant.rule}")
        return 0
    if options.find:
        return _find(chosen, options.jobs)
    return _run(chosen, options.jobs)


def _run(chosen: Sequence[Mutant], jobs: int) -> int:
    tests = sorted({test for mutant in chosen if not mutant.survives for test in mutant.killers})
    print(f"{len(chosen)} mutants; without any, their {len(tests)} tests must pass ...", flush=True)
    healthy = run_tests(tests) if tests else None
    if healthy is not None and not healthy.passed:
        print(healthy.output[-4000:])
    broken = () if healthy is None else healthy.failures

    with ThreadPoolExecutor(jobs) as pool:
        fates = list(pool.map(lambda mutant: _try(mutant, broken), chosen))
    killed, explained = fates.count("killed"), fates.count("survives")
    survivors = len(chosen) - killed - explained
    print(f"killed {killed} of {len(chosen)}; {explained} survive with a reason, ", end="")
    print(f"{survivors} without one")
    return 1 if survivors else 0


def _try(mutant: Mutant, broken: Sequence[str]) -> str:
    """One mutant's fate, told as soon as it is known. `broken` are tests that fail without it."""
    if mutant.survives:
        return _told("survives", mutant, mutant.survives)
    if not mutant.killers:
        return _told("SURVIVES", mutant, f"no test: {mutant.rule}")
    if fails := [each for each in broken if each.startswith(mutant.killers)]:
        return _told("NOT RUN", mutant, f"without it too there fails {fails[0]}")
    ran = run_tests(mutant.killers, mutant=mutant)
    if ran.failed:
        return _told("killed", mutant, f"{ran.seconds:6.1f} s  {ran.failures[0]}")
    if ran.passed:
        return _told("SURVIVES", mutant, f"{ran.seconds:6.1f} s  its tests pass: {mutant.rule}")
    return _told("NOT RUN", mutant, ran.output[-2000:])


def _told(fate: str, mutant: Mutant, more: str) -> str:
    print(f"{fate:9} {mutant.name:40} {more}", flush=True)
    return fate


def _find(chosen: Sequence[Mutant], jobs: int) -> int:
    def climb(mutant: Mutant) -> str:
        for rung in LADDER:
            ran = run_tests(rung, mutant=mutant)
            if not ran.passed:
                how = "" if ran.failed else "  (not run)\n" + ran.output[-1500:]
                return f"{mutant.name}: {' '.join(ran.failures[:1])}{how}"
        return f"{mutant.name}: nothing"

    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(climb, chosen):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
