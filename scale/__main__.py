"""`python -m scale`: starts everything, puts the load of each case on it, prints a table, writes
`scale/results/latest.json`. Its exit code is 1 where a bound was missed."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from localservers import given_servers
from localservers.given_servers import GivenServers
from scale import (
    backlogs,
    growth,
    handlers,
    hot_instance,
    neighbours,
    overload,
    readers,
    report,
    slow_calls,
    strangers,
)
from scale.clients import rate_of_normal_work
from scale.report import Row
from scale.system import System

Case = Callable[[System, int, float], Awaitable[list[Row]]]

CASES: dict[str, tuple[Case, int]] = {
    "parked": (backlogs.parked, 300_000),
    "lost": (backlogs.lost, 300_000),
    "delayed": (backlogs.delayed, 300_000),
    "letters": (backlogs.letters, 100_000),
    "big": (readers.big, 10_000),
    "endpoints": (readers.endpoints, 10_000),
    "watchers": (readers.watchers, 2_000),
    "overload": (overload.overload, 20_000),
    "neighbours": (neighbours.neighbours, 64),
    "namespaces": (neighbours.namespaces, 64),
    "slow-calls": (slow_calls.slow_calls, 10_000),
    "growth": (growth.growth, 1_000_000),
    "hot-instance": (hot_instance.hot_instance, 8_000),
    "strangers": (strangers.strangers, 2_000),
}
"""How many of its things each case has at full size."""
BREAKS_SERVERS = {"lost", "overload"}


def _options() -> tuple[argparse.Namespace, GivenServers | None]:
    parser = argparse.ArgumentParser(prog="python -m scale", description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="default: all of them")
    parser.add_argument(
        "--number", type=int, help="how many things each case has, instead of the full size"
    )
    parser.add_argument("--output", type=Path, default=report.LATEST, help="the JSON file")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="seconds in which normal work is measured (10)"
    )
    given_servers.add_options(parser)
    options = parser.parse_args()
    servers = given_servers.from_options(parser, options)
    if servers is not None and (len(options.case or CASES) > 1 or BREAKS_SERVERS & {*options.case}):
        parser.error("--database-url is for a single case that breaks no server")
    return options, servers


async def _measure(options: argparse.Namespace, servers: GivenServers | None) -> list[Row]:
    rows: list[Row] = []
    for name in options.case or CASES:
        case, number = CASES[name]
        # What one case leaves behind must not slow down the next one.
        with (
            tempfile.TemporaryDirectory(prefix="waystation-scale-") as folder,
            System(options.logs / name if options.logs else Path(folder), servers) as system,
        ):
            normal = await rate_of_normal_work(system.address, handlers.NOW, options.seconds)
            print(f"{name}: normal work is {normal:.0f} workflows of one task a second", flush=True)
            found = await case(system, options.number or number, normal)
        for row in found:
            print(f"{name}: {row.what}: {row.figure:,.2f} {row.unit}", flush=True)
        rows += found
    return rows


def main() -> int:
    """Measures what the options say; the exit code."""
    options, servers = _options()
    rows = asyncio.run(_measure(options, servers))
    report.write(rows, options.output)
    report.show(rows)
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
