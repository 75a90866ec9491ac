"""One run: steady load, faults, the last heal, drain, probe, and the facts for the checker."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos import schedule
from chaos.announced import BrokerWitness
from chaos.facts import Facts
from chaos.faults.broker import QUEUE
from chaos.faults.world import World
from chaos.folder import ROOT, Lines, RunFolder
from chaos.monitors import Sampler, StallWatch
from chaos.programs import MOST_EVENTS
from chaos.streams import Streams
from chaos.system import APIS, System
from localservers.processes import ChildProcess

STEADY_SECONDS = 8.0
_DRAIN_SECONDS = 900.0
_STILL_SECONDS = 90.0
_PROBES, _PROBES_OF_A_SHORT_RUN = 60, 24
"""Each router and each endpoint gets some of either number; 60 are as much work as a minute of steady load."""
_TELLS_SECONDS = 15.0
"""The counts of the management API are some seconds old."""
_LATE_SERVICES = 3
_SETTINGS = {"WAYSTATION_MAX_EVENTS_PER_WORKFLOW": str(MOST_EVENTS)}


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of. `rate` is programs started per second."""

    seed: int
    minutes: float
    rate: float
    most_open: int
    faults: tuple[str, ...] | None
    """Kinds of faults; None: all; empty: none."""
    kinds: tuple[str, ...]
    """Kinds of programs; empty: all."""
    lost_replies: float | None = None
    """The share of Postgres' replies that get lost, most of the time."""
    schedule: Path | None = None
    """A schedule to carry out again, instead of one from the seed."""
    forked: bool = False
    """Whether its processes are forked from one that has imported everything."""


class Run:
    """Carries one run out in its folder."""

    def __init__(self, options: Options, folder: RunFolder) -> None:
        self._options = options
        self._folder = folder
        self._control = Lines(folder.control)
        self._noted = Lines(folder.faults)

    async def run(self) -> None:
        """Returns when everything is written that the checker needs."""
        options, folder = self._options, self._folder
        seconds = options.minutes * 60 - STEADY_SECONDS
        if options.schedule is not None:
            entries = schedule.read(options.schedule)
        elif options.faults == ():
            entries = []
        else:
            entries = schedule.plan(
                options.seed, seconds, options.faults, lost_replies=options.lost_replies
            )
        schedule.write(entries, folder.schedule)
        self._say(f"{len(entries)} faults are planned: {folder.schedule}")
        async with (
            System(folder, options.seed, _SETTINGS, forked=options.forked) as system,
            self._load(system) as watch,
        ):
            world = World(
                system,
                BrokerWitness(system.rabbitmq.amqp_url, Lines(folder.announced)),
                folder,
                self._control,
            )
            try:
                await asyncio.sleep(STEADY_SECONDS)
                began = time.monotonic()
                late = asyncio.create_task(self._register_late(system, seconds))
                await Streams(world, entries).run()
                await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
                await late
                await system.heal()
                self._noted.write(event="quiet")
                await self._drain(system, watch)
            finally:
                world.witness.stop()

    @contextlib.asynccontextmanager
    async def _load(self, system: System) -> AsyncIterator[StallWatch]:
        settings = {
            **asdict(self._options),
            "schedule": None,
            "addresses": system.client_addresses,
            "late": _LATE_SERVICES,
        }
        self._folder.settings.write_text(json.dumps(settings, indent=1))
        load = ChildProcess(
            [sys.executable, "-m", "chaos.load", self._folder.path],
            name="load",
            log=self._folder.logs / "load.log",
            cwd=ROOT,
        )
        watch = StallWatch(system, self._folder)
        beside = [
            asyncio.create_task(watch.run()),
            asyncio.create_task(Sampler(system, self._folder).run()),
        ]
        try:
            yield watch
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await asyncio.to_thread(load.stop, 10)

    async def _register_late(self, system: System, seconds: float) -> None:
        """The services whose events nobody handles before they come, one after the other."""
        for number in range(_LATE_SERVICES):
            await asyncio.sleep(seconds / (_LATE_SERVICES + 1))
            await system.add_handler(f"late-{number}", f"late-{number}", number)

    async def _drain(self, system: System, watch: StallWatch) -> None:
        """Everything started ends; then a probe goes through every part; then it is written down
        what the engine says."""
        self._say("all faults are healed: draining")
        self._control.write(do="drain")
        await self._until_empty(watch, "drain")
        facts = Facts(system.client_addresses[0])
        try:
            before = await facts.status()
            short = self._options.minutes * 60 < schedule.SHORT_RUN_SECONDS
            probes = _PROBES_OF_A_SHORT_RUN if short else _PROBES
            self._control.write(do="probe", count=probes)
            await asyncio.sleep(1.5)
            await self._until_empty(watch, "probe")
            self._control.write(do="stop")
            self._say("reading what the engine says")
            await facts.write(self._folder)
            await self._add_to_state(
                probe_before=_committed(before),
                probe_after=_committed(await facts.status()),
                broker=await self._broker(system),
                apis=APIS,
            )
        finally:
            await facts.close()

    async def _until_empty(self, watch: StallWatch, why: str) -> None:
        """Returns when nothing changes any more: what is open then is stuck."""
        end = time.monotonic() + _DRAIN_SECONDS
        while True:
            watch.look()
            if not watch.open:
                return
            if watch.still_for > _STILL_SECONDS or time.monotonic() > end:
                self._say(f"{watch.open} are still open: {await watch.dump(why)}")
                return
            await asyncio.sleep(0.3)

    async def _broker(self, system: System) -> dict[str, Any]:
        """Returns when the broker reports empty queues, or after a while."""
        end = time.monotonic() + _TELLS_SECONDS
        while True:
            found = await asyncio.to_thread(system.rabbitmq.api, f"queues/%2F/{QUEUE}")
            if found.get("messages") == 0 or time.monotonic() > end:
                return {name: found.get(name) for name in ("consumers", "messages")}
            await asyncio.sleep(0.5)

    async def _add_to_state(self, **more: Any) -> None:
        state = json.loads(self._folder.state.read_text())
        self._folder.state.write_text(json.dumps({**state, **more}, indent=1))

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _committed(status: dict[str, Any]) -> dict[str, int]:
    return {
        router["router_id"]: int(router.get("results_committed", 0))
        for router in status.get("routers", ())
    }
