"""The load: a process that starts programs at a pace and is their client until they have ended.

`python -m chaos.load FOLDER`; its orders are lines of the folder's control file:
`drain` (start nothing new), `probe` (a number of programs, at once), `kill` (a program whose task
kills its process), `run-away` (one that raises events without end), `stop`.
"""

import asyncio
import itertools
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from chaos.driver import Driver
from chaos.folder import Lines, RunFolder, Tail
from chaos.operations import Operations
from chaos.programs import Program, Programs

_LOOK_SECONDS = 0.1
_PROBE_KINDS = ("chain", "join", "failing", "chain")
"""Of probes: together they go through every service."""


class Load:
    """The clients of one run."""

    def __init__(self, folder: RunFolder, settings: dict[str, Any]) -> None:
        self._folder = folder
        self._rate: float = settings["rate"]
        self._most_open: int = settings["most_open"]
        seed: int = settings["seed"]
        self._programs = Programs(seed, late=settings["late"])
        self._kinds: list[str] = settings["kinds"]
        self._pace = random.Random(f"pace {seed}")
        self._driver = Driver(settings["addresses"], Operations(Lines(folder.operations)), seed)
        self._written = Lines(folder.programs)
        self._progress = Lines(folder.progress)
        self._completer = Lines(folder.ledger / "completer.jsonl")
        self._open: set[asyncio.Task[None]] = set()
        self._started = self._ended = self._busy = 0
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until it is told to stop. Raises what a program's client did not expect."""
        watching = [
            asyncio.create_task(self._obey()),
            asyncio.create_task(self._complete()),
            asyncio.create_task(self._start()),
            asyncio.create_task(self._report()),
        ]
        watching.append(asyncio.create_task(self._stop_asked()))
        done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        for task in (*watching, *self._open):
            task.cancel()
        await self._driver.close()
        for task in done:
            task.result()

    async def _stop_asked(self) -> None:
        await self._stopping.wait()

    async def _start(self) -> None:
        due = time.monotonic()
        while not self._draining.is_set():
            due = max(due, time.monotonic() - 1) + self._pace.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            # A system that has fallen behind gets no more work, however slow the machine is.
            if self._busy < self._most_open and not self._draining.is_set():
                kind = self._kinds[self._started % len(self._kinds)] if self._kinds else None
                self._play(self._programs.next(kind))
        await self._stopping.wait()

    def _play(self, program: Program) -> None:
        self._started += 1
        self._written.write(**program.as_dict())
        task = asyncio.create_task(self._driver.play(program))
        self._open.add(task)
        task.add_done_callback(self._over)
        if program.kind != "late":
            # That one is idle until its service comes.
            self._busy += 1
            task.add_done_callback(self._no_longer_busy)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled():
            self._ended += 1
            if error := task.exception():
                print(f"a program's client ended: {error!r}", file=sys.stderr, flush=True)

    def _no_longer_busy(self, task: asyncio.Task[None]) -> None:
        self._busy -= 1

    async def _obey(self) -> None:
        control = Tail(self._folder.control)
        probes = itertools.cycle(_PROBE_KINDS)
        while True:
            for line in control.new():
                if line["do"] == "drain":
                    self._draining.set()
                elif line["do"] == "probe":
                    for _ in range(line["count"]):
                        self._play(self._programs.next(next(probes)))
                elif line["do"] == "kill":
                    self._play(self._programs.killer())
                elif line["do"] == "run-away":
                    self._play(self._programs.runaway())
                elif line["do"] == "stop":
                    self._stopping.set()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _complete(self) -> None:
        """Completes what tasks left pending, each after its time."""
        tails: dict[Path, Tail] = {}
        at_work: set[asyncio.Task[None]] = set()
        while True:
            for file in self._folder.ledger.glob("*.jsonl"):
                for line in tails.setdefault(file, Tail(file)).new():
                    if line["answer"] == "pending":
                        task = asyncio.create_task(self._complete_one(line))
                        at_work.add(task)
                        task.add_done_callback(at_work.discard)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _complete_one(self, pending: dict[str, Any]) -> None:
        await asyncio.sleep(float(pending["seconds"]))
        token = f"{pending['block']}/{pending['event'][-12:]}/completed/{os.urandom(4).hex()}"
        self._completer.write(
            **{**pending, "at": time.time(), "process": "completer", "answer": "ok", "token": token}
        )
        await self._driver.complete(pending, token)

    async def _report(self) -> None:
        while True:
            self._progress.write(open=len(self._open), started=self._started, ended=self._ended)
            await asyncio.sleep(0.5)


def main() -> None:
    """Reads the run's settings from its folder."""
    folder = RunFolder(Path(sys.argv[1]))
    uvloop.run(_run(folder))


async def _run(folder: RunFolder) -> None:
    # Made inside of the loop that its channels belong to.
    await Load(folder, json.loads(folder.settings.read_text())).run()


if __name__ == "__main__":
    main()
