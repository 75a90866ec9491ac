"""`python -m insurance_claim.demo`: exit 0 only when every claim ended as its file says."""

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from insurance_claim.demo.claim_files import DEFAULT_FOLDER, Ending, joined, read_claims
from insurance_claim.demo.operators import Operator
from insurance_claim.demo.run import Result, Run
from insurance_claim.demo.screen import Screen
from insurance_claim.demo.timeline import draw_timeline
from insurance_claim.reader import reader_from_environment
from insurance_claim.service import build_service
from waystation_worker import Client


def main() -> int:
    """Reads the command line and runs the demo."""
    parser = argparse.ArgumentParser(prog="python -m insurance_claim.demo")
    parser.add_argument("--address", default="127.0.0.1:7400", help="HOST:PORT of Waystation")
    parser.add_argument(
        "--handlers",
        choices=("external", "embedded"),
        default="external",
        help="embedded serves the tasks from this process; external expects them to run",
    )
    parser.add_argument("--claims", type=Path, default=DEFAULT_FOLDER, help="folder of claims")
    parser.add_argument(
        "--join",
        choices=("naive", "structured", "both"),
        default="naive",
        help="how the parallel checks come together; both runs each claim twice",
    )
    parser.add_argument(
        "--timeline", default="car-no-policy-number", help="the claim whose story is told"
    )
    chosen = parser.parse_args()
    try:
        return asyncio.run(_demo(chosen))
    except FileNotFoundError as missing:
        parser.error(str(missing))
    except KeyboardInterrupt:
        return 130


async def _demo(chosen: argparse.Namespace) -> int:
    console = Console()
    claims = joined(read_claims(chosen.claims), chosen.join)
    async with contextlib.AsyncExitStack() as stack:
        if chosen.handlers == "embedded":
            service = build_service(reader_from_environment()).serving(
                address=chosen.address, port=0
            )
            serving = await stack.enter_async_context(service)
            # A claim that nobody handles yet would stand idle, which is an ending of its own.
            await serving.wait_registered()
        client = await stack.enter_async_context(Client(chosen.address))
        screen = stack.enter_context(Screen(console, [claim.name for claim in claims]))
        run = Run(client, Operator(client), screen)
        started = time.monotonic()
        results = await run.all(claims)
        seconds = time.monotonic() - started
        screen.close()
        await _tell_story(console, client, results, chosen.timeline)
    _print_table(console, results)
    wrong = [result for result in results if not result.as_expected]
    for result in wrong:
        console.print(
            f"{result.claim.name}: expected {result.claim.expected}, "
            f"got {result.ending} {result.problem}",
            markup=False,
        )
    console.print(
        f"{len(results) - len(wrong)} of {len(results)} claims ended as their files say, "
        f"in {seconds:.1f} s."
    )
    return 1 if wrong else 0


async def _tell_story(console: Console, client: Client, results: list[Result], name: str) -> None:
    for result in results:
        if result.claim.name == name:
            workflow = await client.get(result.instance_id)
            history = [entry async for entry in client.history(result.instance_id)]
            events = [entry async for entry in client.events(result.instance_id)]
            console.print(f"\nThe story of {name}: {result.claim.why}", markup=False)
            console.print(draw_timeline(workflow, history, events), soft_wrap=True)
            console.print()


def _print_table(console: Console, results: list[Result]) -> None:
    table = Table(box=None, padding=(0, 1))
    table.add_column("claim", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("as told", no_wrap=True)
    for result in results:
        table.add_row(
            result.claim.name,
            _outcome_in_words(result.ending),
            str(result.events),
            f"{result.milliseconds:,}",
            "[green]yes[/]" if result.as_expected else "[red]no[/]",
        )
    console.print(table)


def _outcome_in_words(ending: Ending) -> str:
    """Says COMPLETED by its decision alone, and what people had to do for it."""
    parts = [
        ending.outcome if ending.status == "COMPLETED" else f"{ending.status} {ending.outcome}",
        f"{ending.waits} answered" if ending.waits else "",
        "rescued" if ending.dead_letters else "",
    ]
    return ", ".join(filter(None, parts))


if __name__ == "__main__":
    sys.exit(main())
