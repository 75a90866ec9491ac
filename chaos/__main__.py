"""`python -m chaos`: makes a run, checks it, and prints what was found. Exit code 0: valid and clean, 1: a promise
broke, 2: the run proved nothing."""

import argparse
import asyncio
import signal
import sys
import time
import traceback
from pathlib import Path

import uvloop

from chaos.faults.catalogue import CATALOGUE
from chaos.folder import RunFolder
from chaos.programs import KINDS
from chaos.run import Options, Run
from chaos.verdict import BROKEN, CLEAN, Verdict, judge, render

RUNS = Path(__file__).parent / "runs"


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="minutes of load under faults (20)"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seeds", help="several runs, e.g. 1-50, and a summary")
    parser.add_argument("--rate", type=float, default=4.0, help="workflows started per second (4)")
    parser.add_argument("--most-open", type=int, default=80, help="workflows open at once (80)")
    parser.add_argument(
        "--faults", type=_names, help=f"only these, or none: {', '.join(CATALOGUE)}"
    )
    parser.add_argument("--lost-replies", type=float, help="share of Postgres' replies, e.g. 0.1")
    parser.add_argument("--kinds", type=_names, default=(), help=f"programs: {', '.join(KINDS)}")
    parser.add_argument("--schedule", type=Path, help="a schedule.json to carry out again")
    parser.add_argument("--folder", type=Path, help="where the run is written (chaos/runs/...)")
    parser.add_argument("--soak", action="store_true", help="no faults, and half the rate")
    parser.add_argument("--check", type=Path, help="only check this folder again")
    parser.add_argument(
        "--forked", action="store_true", help="start processes by forking: quicker, for short runs"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder of a clean run too")
    options = parser.parse_args()
    if options.soak and options.forked:
        parser.error("--soak measures memory, which forked processes share")
    return options


def main() -> int:
    """What the options say."""
    options = _options()
    if options.check:
        return _tell(judge(RunFolder(options.check)), options.check)
    first, _, last = (options.seeds or str(options.seed)).partition("-")
    verdicts = {}
    for seed in range(int(first), int(last or first) + 1):
        path = options.folder or RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{seed}"
        verdicts[seed] = _run(options, seed, path)
    if len(verdicts) > 1:
        _sum_up(verdicts)
    codes = {verdict.exit_code for verdict in verdicts.values()}
    return BROKEN if BROKEN in codes else max(codes)


def _run(options: argparse.Namespace, seed: int, path: Path) -> Verdict:
    no_faults = options.soak or options.faults == ("none",)
    folder = RunFolder(path)
    folder.make()
    print(f"seed {seed}: {path}", flush=True)
    run = Run(
        Options(
            seed=seed,
            minutes=options.minutes,
            rate=options.rate / 2 if options.soak else options.rate,
            most_open=options.most_open,
            faults=() if no_faults else options.faults,
            kinds=options.kinds,
            lost_replies=options.lost_replies,
            schedule=options.schedule,
            forked=options.forked,
        ),
        folder,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(run))
    except Exception:
        # The checker says what is missing; a later seed has its own run.
        traceback.print_exc()
    verdict = judge(folder)
    _tell(verdict, path)
    if verdict.exit_code == CLEAN and not options.keep:
        folder.tidy()
    return verdict


async def _until_stopped(run: Run) -> None:
    """The run. SIGTERM ends it as Ctrl-C does: with everything that it started."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await run.run()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _tell(verdict: Verdict, path: Path) -> int:
    print(render(verdict))
    print(f"{verdict.word}; everything is in {path}", flush=True)
    return verdict.exit_code


def _sum_up(verdicts: dict[int, Verdict]) -> None:
    for name in ("workflows", "lost", "double_effects", "stuck"):
        print(f"{name}: {sum(verdict.figures[name] for verdict in verdicts.values())}")
    for seed, verdict in verdicts.items():
        print(f"seed {seed}: {verdict.word}")


if __name__ == "__main__":
    sys.exit(main())
